import Volumes
import VoxelSupport

/// The value of a volume at a point between its voxels.
protocol PointSampler {
    /// The value at a voxel position. Positions beyond the outermost voxels' centres are moved to the edge.
    func value(at position: SIMD3<Double>) -> Float
}

/// The values of a sampler at the places of a map, row by row on all cores.
func sampled(_ sampler: some PointSampler, at map: GridMap, outside: Float) -> [Float] {
    let shape = map.newShape
    let size = shape.x * shape.y * shape.z
    return [Float](unsafeUninitializedCapacity: size) { values, initialized in
        let values = values.baseAddress!
        concurrentRuns(of: shape.y * shape.z, by: 16) { rows in
            for row in rows {
                let (y, z) = (row % shape.y, row / shape.y)
                let (start, step) = (map.affine([0, Double(y), Double(z)]), map.affine.columns.x)
                let inside = map.columnsInside(y: y, z: z)
                let target = values + row * shape.x
                for x in 0..<inside.lowerBound { target[x] = outside }
                for x in inside { target[x] = sampler.value(at: start + Double(x) * step) }
                for x in inside.upperBound..<shape.x { target[x] = outside }
            }
        }
        initialized = size
    }
}

/// Order 0.
struct NearestSampler: PointSampler {
    let values: UnsafePointer<Float>
    let shape: SIMD3<Int>

    @inline(__always)
    func value(at position: SIMD3<Double>) -> Float {
        func nearest(_ axis: Int) -> Int {
            Int(min(max(position[axis] + 0.5, 0), Double(shape[axis]) - 0.5))
        }
        return values[(nearest(2) * shape.y + nearest(1)) * shape.x + nearest(0)]
    }
}

/// A position along an axis: the voxel at or before it, and the fraction of the way to the next.
private struct Place {
    let index: Int
    let fraction: Float

    @inline(__always)
    init(_ position: Double, count: Int) {
        let inside = min(max(position, 0), Double(count - 1))
        index = Int(inside)
        fraction = Float(inside - Double(index))
    }
}

/// Order 1.
struct LinearSampler: PointSampler {
    let values: UnsafePointer<Float>
    let shape: SIMD3<Int>

    @inline(__always)
    func value(at position: SIMD3<Double>) -> Float {
        let x = Place(position.x, count: shape.x)
        let y = Place(position.y, count: shape.y)
        let z = Place(position.z, count: shape.z)
        // At the last voxel the fraction is 0, and its neighbour may be itself.
        let right = x.index + 1 < shape.x ? 1 : 0
        let down = y.index + 1 < shape.y ? shape.x : 0
        let far = z.index + 1 < shape.z ? shape.x * shape.y : 0
        let corner = values + (z.index * shape.y + y.index) * shape.x + x.index
        func line(_ start: UnsafePointer<Float>) -> Float { start[0] + x.fraction * (start[right] - start[0]) }
        func plane(_ start: UnsafePointer<Float>) -> Float {
            let near = line(start)
            return near + y.fraction * (line(start + down) - near)
        }
        let near = plane(corner)
        return near + z.fraction * (plane(corner + far) - near)
    }
}

/// Order 3.
struct CubicSampler: PointSampler {
    /// B-spline coefficients with mirrored edges.
    let coefficients: UnsafePointer<Float>
    /// The volume without these edges.
    let shape: SIMD3<Int>

    @inline(__always)
    func value(at position: SIMD3<Double>) -> Float {
        let x = Place(position.x, count: shape.x)
        let y = Place(position.y, count: shape.y)
        let z = Place(position.z, count: shape.z)
        let down = shape.x + CubicSampler.edges
        let far = down * (shape.y + CubicSampler.edges)
        let (weightsY, weightsZ) = (CubicSpline.weights(y.fraction), CubicSpline.weights(z.fraction))
        let corner = UnsafeRawPointer(coefficients + z.index * far + y.index * down + x.index)
        var sum = SIMD4<Float>.zero
        for plane in 0..<4 {
            var rows = SIMD4<Float>.zero
            for row in 0..<4 {
                let place = corner + (plane * far + row * down) * MemoryLayout<Float>.stride
                rows += weightsY[row] * place.loadUnaligned(as: SIMD4<Float>.self)
            }
            sum += weightsZ[plane] * rows
        }
        return (sum * CubicSpline.weights(x.fraction)).sum()
    }

    /// How many coefficients an axis has beyond its samples: one before them and two after.
    static let edges = 3
}

extension VoxelBlock {
    /// The block with the mirrored numbers that ``CubicSampler`` reads beyond its edges.
    func mirroredEdges() -> VoxelBlock {
        let padded = shape &+ CubicSampler.edges
        let size = padded.x * padded.y * padded.z
        let columns = (0..<padded.x).map { CubicSpline.mirrored($0 - 1, count: shape.x) }
        let newValues = values.withUnsafeBufferPointer { old in
            [Float](unsafeUninitializedCapacity: size) { new, initialized in
                let (old, new) = (old.baseAddress!, new.baseAddress!)
                concurrentRuns(of: padded.y * padded.z, by: 64) { rows in
                    for row in rows {
                        let y = CubicSpline.mirrored(row % padded.y - 1, count: shape.y)
                        let z = CubicSpline.mirrored(row / padded.y - 1, count: shape.z)
                        let (source, target) = (old + (z * shape.y + y) * shape.x, new + row * padded.x)
                        for x in 0..<padded.x { target[x] = source[columns[x]] }
                    }
                }
                initialized = size
            }
        }
        return VoxelBlock(shape: padded, values: newValues)
    }
}
