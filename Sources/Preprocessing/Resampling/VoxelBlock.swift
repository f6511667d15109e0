import Volumes
import VoxelSupport

/// Numbers along three axes, the first fastest, on their way from one grid to another.
///
/// Work is split between cores so that each result is computed whole by one of them, with the same operations in the
/// same order wherever the split is.
struct VoxelBlock {
    var shape: SIMD3<Int>
    var values: [Float]

    /// The block with a map applied along an axis. O(n taps) in the numbers of the result.
    func filtered(_ filter: AxisFilter, along axis: Int) -> VoxelBlock {
        precondition(filter.count == shape[axis])
        if filter.isIdentity { return self }
        return mappingLines(along: axis, results: filter.results, width: filter.isSpline ? 256 : 4096) {
            samples, results in
            guard filter.isSpline else { return filter.apply(to: samples, into: results) }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: filter.count * samples.width) { scratch in
                let coefficients = Lines(
                    first: scratch.baseAddress!, stride: samples.width, width: samples.width)
                coefficients.copy(samples, count: filter.count)
                CubicSpline.prefilter(coefficients, count: filter.count)
                filter.apply(to: coefficients, into: results)
            }
        }
    }

    /// The coefficients of the splines along an axis. O(n).
    func prefiltered(along axis: Int) -> VoxelBlock {
        let count = shape[axis]
        return mappingLines(along: axis, results: count, width: 256) { samples, results in
            results.copy(samples, count: count)
            CubicSpline.prefilter(results, count: count)
        }
    }

    /// The block with `results` numbers along an axis, where `body` makes those of up to `width` lines at a time.
    private func mappingLines(
        along axis: Int, results: Int, width: Int, _ body: (_ samples: Lines, _ results: Lines) -> Void
    ) -> VoxelBlock {
        let count = shape[axis]
        var newShape = shape
        newShape[axis] = results
        let size = newShape.x * newShape.y * newShape.z
        let newValues = values.withUnsafeBufferPointer { old in
            [Float](unsafeUninitializedCapacity: size) { new, initialized in
                // The samples are only read.
                let source = UnsafeMutablePointer(mutating: old.baseAddress!)
                let target = new.baseAddress!
                if axis == 0 {
                    // Rows are laid side by side, so that the same operations serve all of them at once.
                    concurrentRuns(of: shape.y * shape.z, by: 64) { rows in
                        let width = rows.count
                        withUnsafeTemporaryAllocation(of: Float.self, capacity: (count + results) * width) {
                            scratch in
                            let lines = Lines(first: scratch.baseAddress!, stride: width, width: width)
                            let made = Lines(first: lines[count], stride: width, width: width)
                            transpose(
                                source + rows.lowerBound * count, rows: width, columns: count, to: lines[0])
                            body(lines, made)
                            transpose(
                                made[0], rows: results, columns: width, to: target + rows.lowerBound * results)
                        }
                    }
                } else {
                    let inner = axis == 1 ? shape.x : shape.x * shape.y
                    let outer = axis == 1 ? shape.z : 1
                    let pieces = (inner + width - 1) / width
                    concurrentRuns(of: outer * pieces, by: 1) { run in
                        let (place, piece) = (run.lowerBound / pieces, run.lowerBound % pieces)
                        let start = piece * width
                        let width = min(width, inner - start)
                        body(
                            Lines(first: source + place * count * inner + start, stride: inner, width: width),
                            Lines(first: target + place * results * inner + start, stride: inner, width: width))
                    }
                }
                initialized = size
            }
        }
        return VoxelBlock(shape: newShape, values: newValues)
    }
}

/// `width` neighbouring lines along an axis: the numbers at one place along it are adjacent, those of the next place
/// `stride` farther on.
struct Lines {
    let first: UnsafeMutablePointer<Float>
    let stride: Int
    let width: Int

    /// The numbers at a place along the axis.
    subscript(place: Int) -> UnsafeMutablePointer<Float> { first + place * stride }

    func copy(_ other: Lines, count: Int) {
        for place in 0..<count { self[place].initialize(from: other[place], count: width) }
    }
}

extension AxisFilter {
    /// Computes the results of lines of samples.
    func apply(to samples: Lines, into made: Lines) {
        typealias Vector = SIMD16<Float>
        let width = samples.width
        let vectors = width - width % Vector.scalarCount
        weights.withUnsafeBufferPointer { weights in
            for result in 0..<results {
                let (base, target) = (samples[first[result]], made[result])
                guard taps > 1 else {
                    target.initialize(from: base, count: width)
                    continue
                }
                let weight = weights.baseAddress! + result * taps
                // The sum begins with the first sample and adds differences from it: equal samples stay as they are.
                for column in Swift.stride(from: 0, to: vectors, by: Vector.scalarCount) {
                    let start = UnsafeRawPointer(base + column).loadUnaligned(as: Vector.self)
                    var sum = start
                    for tap in 1..<taps {
                        let sample = UnsafeRawPointer(base + tap * samples.stride + column)
                        sum += weight[tap] * (sample.loadUnaligned(as: Vector.self) - start)
                    }
                    UnsafeMutableRawPointer(target + column).storeBytes(of: sum, as: Vector.self)
                }
                for column in vectors..<width {
                    var sum = base[column]
                    for tap in 1..<taps {
                        sum += weight[tap] * (base[tap * samples.stride + column] - base[column])
                    }
                    target[column] = sum
                }
            }
        }
    }
}

/// Writes the columns of a matrix as rows, in blocks of 4 x 4.
private func transpose(
    _ matrix: UnsafeMutablePointer<Float>, rows: Int, columns: Int, to result: UnsafeMutablePointer<Float>
) {
    typealias Vector = SIMD4<Float>
    let (wholeRows, wholeColumns) = (rows & ~3, columns & ~3)
    for row in stride(from: 0, to: wholeRows, by: 4) {
        for column in stride(from: 0, to: wholeColumns, by: 4) {
            func load(_ offset: Int) -> Vector {
                UnsafeRawPointer(matrix + (row + offset) * columns + column).loadUnaligned(as: Vector.self)
            }
            func store(_ offset: Int, _ values: Vector) {
                UnsafeMutableRawPointer(result + (column + offset) * rows + row).storeBytes(
                    of: values, as: Vector.self)
            }
            let (a, b, c, d) = (load(0), load(1), load(2), load(3))
            store(0, Vector(a.x, b.x, c.x, d.x))
            store(1, Vector(a.y, b.y, c.y, d.y))
            store(2, Vector(a.z, b.z, c.z, d.z))
            store(3, Vector(a.w, b.w, c.w, d.w))
        }
        for column in wholeColumns..<columns {
            for offset in 0..<4 {
                result[column * rows + row + offset] = matrix[(row + offset) * columns + column]
            }
        }
    }
    for row in wholeRows..<rows {
        for column in 0..<columns { result[column * rows + row] = matrix[row * columns + column] }
    }
}
