import Volumes

extension Volume {
    /// The volume on another grid, by trilinear interpolation.
    ///
    /// Points up to half a voxel beyond the outermost voxel centres have the intensity at the edge; points farther out
    /// have the intensity `outside`.
    ///
    /// - Complexity: O(n) in the voxels of the new grid.
    public func resampled(onto target: VoxelGrid, outside: Float = 0) -> Volume {
        let toVoxel = grid.inverseAffine.after(target.affine)
        let (step, shape) = (toVoxel.columns.x, shape)
        let resampledVoxels = voxels.withUnsafeBufferPointer { old in
            [Float](unsafeUninitializedCapacity: target.count) { new, count in
                for z in 0..<target.shape.z {
                    for y in 0..<target.shape.y {
                        let row = target.offset(0, y, z)
                        let start = toVoxel(SIMD3(0, Double(y), Double(z)))
                        for x in 0..<target.shape.x {
                            new[row + x] = interpolate(old, shape, at: start + Double(x) * step) ?? outside
                        }
                    }
                }
                count = target.count
            }
        }
        return Volume(grid: target, voxels: resampledVoxels)
    }

    /// The trilinear interpolation at a voxel position, or `nil` if it is more than half a voxel outside. O(1).
    package func interpolated(atVoxel position: SIMD3<Double>) -> Float? {
        voxels.withUnsafeBufferPointer { interpolate($0, shape, at: position) }
    }
}

/// The trilinear interpolation at a voxel position, or `nil` if it is more than half a voxel outside.
@inline(__always)
private func interpolate(
    _ voxels: UnsafeBufferPointer<Float>, _ shape: SIMD3<Int>, at position: SIMD3<Double>
) -> Float? {
    guard let x = Neighbours(of: position.x, extent: shape.x, stride: 1),
        let y = Neighbours(of: position.y, extent: shape.y, stride: shape.x),
        let z = Neighbours(of: position.z, extent: shape.z, stride: shape.x * shape.y)
    else { return nil }
    func line(_ start: Int) -> Float { x.mix(voxels[start + x.low], voxels[start + x.high]) }
    func plane(_ start: Int) -> Float { y.mix(line(start + y.low), line(start + y.high)) }
    return z.mix(plane(z.low), plane(z.high))
}

/// The two voxels on either side of a position along an axis, as offsets into storage, and the fraction of the way from
/// one to the other.
private struct Neighbours {
    let low: Int
    let high: Int
    let fraction: Float

    @inline(__always)
    init?(of position: Double, extent: Int, stride: Int) {
        // Half a voxel, plus the rounding errors of the affines.
        let reach = 0.5 + 1e-6
        let last = Double(extent - 1)
        guard position >= -reach, position <= last + reach else { return nil }
        let inside = min(max(position, 0), last)
        let index = Int(inside)
        low = index * stride
        high = min(index + 1, extent - 1) * stride
        fraction = Float(inside - Double(index))
    }

    @inline(__always)
    func mix(_ lowValue: Float, _ highValue: Float) -> Float { lowValue + fraction * (highValue - lowValue) }
}
