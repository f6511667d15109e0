import CVoxelKernels
import Synchronization
import Volumes
import VoxelSupport

/// The local values S of SSIM, and their sums without a map of them.
///
/// Five quantities are averaged over each window: p, r, p^2, r^2 and p r, of intensities minus their mean, which keeps the
/// digits of small variances about large means. They are summed along z into five planes, along y into five rows, and
/// along x into five numbers, from which S follows. Runs of a fixed number of slices are computed whole by one thread
/// each: the bits do not depend on the number of threads.
struct LocalSimilarity {
    private let settings: SSIM
    private let order: AxisPermutation
    /// The volumes, with the slices to compare last if there is a plane, and without NaN.
    private let prediction: Volume
    private let reference: Volume
    /// Above zero where the window's value counts; `nil` for everywhere.
    private let mask: Volume?
    /// Above zero where no window holds a NaN.
    private let defined: Volume?
    private let constants: ssim_constants

    /// - Throws: `MetricError`; `smallerThanWindow`, and `zeroNormaliser` if the range is that of a constant reference.
    init(of pair: VolumePair, settings: SSIM) throws {
        let sums = try pair.comparableSums(for: settings.name)
        let range = try settings.dataRange.value(pair.rangeOfReference, metric: settings.name)
        let order = settings.plane?.permutation(for: pair.reference.grid) ?? .identity
        (self.order, self.settings) = (order, settings)
        let hasNaN = sums.leftOut > 0 || pair.mask != nil
        let shifts = (Float(sums.predictionMean), Float(sums.referenceMean))
        let isNumber = hasNaN ? Self.numbers(in: pair) : nil
        func clean(_ volume: Volume, _ value: Float) -> Volume {
            (isNumber == nil ? volume : volume.map { $0.isFinite ? $0 : value }).permuted(order)
        }
        prediction = clean(pair.prediction, shifts.0)
        reference = clean(pair.reference, shifts.1)
        let (width, depth) = (settings.window.width, settings.plane == nil ? settings.window.width : 1)
        defined = isNumber?.permuted(order).eroded(by: SIMD3(width / 2, width / 2, depth / 2))
        mask = Self.both(pair.mask?.permuted(order), defined)
        let samples = Double(width * width * depth)
        constants = ssim_constants(
            c1: (0.01 * range) * (0.01 * range), c2: (0.03 * range) * (0.03 * range),
            mean_weight: settings.window.isUniform ? 1 / samples : 1,
            covariance_scale: settings.usesSampleCovariance ? samples / (samples - 1) : 1,
            p_shift: Double(shifts.0), r_shift: Double(shifts.1))
        try checkExtent(metric: settings.name)
    }

    private init(_ other: LocalSimilarity, halved: (Volume) -> Volume) {
        (settings, order, constants) = (other.settings, other.order, other.constants)
        (prediction, reference) = (halved(other.prediction), halved(other.reference))
        defined = other.defined.map { halved($0).map { $0 >= 1 ? 1 : 0 } }
        mask = Self.both(
            other.mask.map { halved($0.map { $0 > 0 ? 1 : 0 }).map { $0 >= 0.5 ? 1 : 0 } }, defined)
    }

    /// The next scale: the mean of each block of 2 x 2 x 2 voxels, or 2 x 2 slice by slice.
    func halved() -> LocalSimilarity {
        let is3D = settings.plane == nil
        return LocalSimilarity(self) { $0.halved(alongZ: is3D) }
    }

    /// Throws unless a window `factor` times as large, which covers as much as one of a later scale, fits.
    func checkExtent(times factor: Int = 1, metric: String) throws(MetricError) {
        let scale = SIMD3(factor, factor, settings.plane == nil ? factor : 1)
        let extent = extent &* scale
        guard all(extent .<= reference.shape) else {
            var (shape, window) = (SIMD3<Int>.zero, SIMD3<Int>.zero)
            for axis in 0..<3 {
                (shape[order.sources[axis]], window[order.sources[axis]]) = (
                    reference.shape[axis], extent[axis]
                )
            }
            throw .smallerThanWindow(metric: metric, shape: shape, window: window)
        }
    }

    /// The window's extent along the axes of the permuted volumes.
    private var extent: SIMD3<Int> {
        let width = settings.window.width
        return [width, width, settings.plane == nil ? width : 1]
    }

    /// The means of S and of its second factor over the voxels in the mask whose window is within the volume.
    func mean(metric: String) throws(MetricError) -> (similarity: Double, contrast: Double) {
        let mask = mask
        let (centre, width) = (extent / 2, reference.shape.x)
        let runs = runs { y, z, count, values, contrasts, totals in
            guard let mask else { return (totals.0, totals.1, count) }
            var sums = (0.0, 0.0, 0)
            let start = mask.grid.offset(centre.x, y + centre.y, z + centre.z)
            mask.voxels.withUnsafeBufferPointer { mask in
                for x in 0..<width - 2 * centre.x where mask[start + x] > 0 {
                    sums.0 += values[x]
                    sums.1 += contrasts[x]
                    sums.2 += 1
                }
            }
            return sums
        }
        let (similarity, contrast, count) = runs.reduce((0.0, 0.0, 0)) {
            ($0.0 + $1.0, $0.1 + $1.1, $0.2 + $1.2)
        }
        guard count > 0 else { throw .emptyMask(metric: metric) }
        guard similarity.isFinite else { throw .notFinite(metric: metric) }
        return (similarity / Double(count), contrast / Double(count))
    }

    /// S at each voxel; NaN where it is undefined.
    func map() -> Volume {
        let (centre, shape, defined) = (extent / 2, reference.shape, defined)
        let map = Mutex(Volume(grid: reference.grid, repeating: .nan))
        _ = runs { y, z, _, values, _, _ in
            map.withLock { map in
                let start = map.grid.offset(centre.x, y + centre.y, z + centre.z)
                for x in 0..<shape.x - 2 * centre.x where defined.map({ $0.voxels[start + x] > 0 }) ?? true {
                    map.voxels[start + x] = Float(values[x])
                }
            }
            return (0, 0, 0)
        }
        return map.withLock { $0 }.permuted(order.inverse)
    }

    /// What `row` gives for each row of windows, summed over runs of slices.
    ///
    /// - Parameter row: takes the first row and slice of the windows, their number, S and its second factor for each, and
    ///   the sums of both.
    private func runs(
        _ row:
            @Sendable (Int, Int, Int, UnsafePointer<Double>, UnsafePointer<Double>, (Double, Double)) -> (
                Double, Double, Int
            )
    ) -> [(Double, Double, Int)] {
        let length = 16
        let outputs = reference.shape.z - extent.z + 1
        let (weights, constants, extent) = (settings.window.weights, constants, extent)
        let (prediction, reference) = (prediction, reference)
        return concurrentMap((outputs + length - 1) / length) { run in
            let slices = run * length..<min((run + 1) * length, outputs)
            return prediction.voxels.withUnsafeBufferPointer { p in
                reference.voxels.withUnsafeBufferPointer { r in
                    SlidingWindow(
                        p: p.baseAddress!, r: r.baseAddress!, shape: reference.shape, extent: extent,
                        weights: weights, constants: constants
                    ).sum(slices, row)
                }
            }
        }
    }

    /// 1 where both volumes are numbers, or `nil` if they are everywhere.
    private static func numbers(in pair: VolumePair) -> Volume? {
        let (p, r) = (pair.prediction.voxels, pair.reference.voxels)
        guard p.indices.contains(where: { !p[$0].isFinite || !r[$0].isFinite }) else { return nil }
        return Volume(
            grid: pair.reference.grid, voxels: p.indices.map { p[$0].isFinite && r[$0].isFinite ? 1 : 0 })
    }

    private static func both(_ first: Volume?, _ second: Volume?) -> Volume? {
        guard let first, let second else { return first ?? second }
        return Volume(
            grid: first.grid, voxels: zip(first.voxels, second.voxels).map { $0 > 0 && $1 > 0 ? 1 : 0 })
    }
}

/// The windows of a run of slices.
private struct SlidingWindow {
    let p, r: UnsafePointer<Float>
    let shape, extent: SIMD3<Int>
    let weights: [Double]?
    let constants: ssim_constants

    func sum(
        _ slices: Range<Int>,
        _ row: (Int, Int, Int, UnsafePointer<Double>, UnsafePointer<Double>, (Double, Double)) -> (
            Double, Double, Int
        )
    ) -> (Double, Double, Int) {
        let (width, plane) = (shape.x, shape.x * shape.y)
        let count = width - extent.x + 1
        var sums = (0.0, 0.0, 0)
        // Five planes, five rows, five rows of sums, and two of values.
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 5 * plane + 12 * width) { buffer in
            let planes = buffer.baseAddress!
            let rows = planes + 5 * plane
            let (rowSums, values, contrasts) = (rows + 5 * width, rows + 10 * width, rows + 11 * width)
            var constants = constants
            for z in slices {
                addSlices(z, isFirst: z == slices.lowerBound, to: planes)
                for y in 0...shape.y - extent.y {
                    addRows(y, of: planes, to: rows)
                    var totals = (0.0, 0.0)
                    withUnsafeMutableBytes(of: &totals) { totals in
                        ssim_row(
                            rows, width, weights, extent.x, &constants, rowSums, values, contrasts,
                            totals.assumingMemoryBound(to: Double.self).baseAddress!)
                    }
                    let part = row(y, z, count, values, contrasts, totals)
                    sums = (sums.0 + part.0, sums.1 + part.1, sums.2 + part.2)
                }
            }
        }
        return sums
    }

    /// The sums over slices `z ..< z + extent.z`; with equal weights, from those of `z - 1`.
    private func addSlices(_ z: Int, isFirst: Bool, to planes: UnsafeMutablePointer<Double>) {
        let plane = shape.x * shape.y
        func add(_ slice: Int, leaving: Int?, weight: Double) {
            ssim_add_voxels(
                p + slice * plane, r + slice * plane, leaving.map { p + $0 * plane },
                leaving.map { r + $0 * plane }, plane, weight, constants.p_shift, constants.r_shift, planes)
        }
        if !isFirst, weights == nil, extent.z > 1 {
            add(z + extent.z - 1, leaving: z - 1, weight: 1)
        } else {
            planes.update(repeating: 0, count: 5 * plane)
            for slice in 0..<extent.z {
                add(z + slice, leaving: nil, weight: extent.z > 1 ? weights?[slice] ?? 1 : 1)
            }
        }
    }

    /// The sums over rows `y ..< y + extent.y`; with equal weights, from those of `y - 1`.
    private func addRows(
        _ y: Int, of planes: UnsafePointer<Double>, to rows: UnsafeMutablePointer<Double>
    ) {
        let (width, plane) = (shape.x, shape.x * shape.y)
        if y > 0, weights == nil {
            ssim_add_rows(planes + (y + extent.y - 1) * width, planes + (y - 1) * width, width, plane, 1, rows)
        } else {
            rows.update(repeating: 0, count: 5 * width)
            for row in 0..<extent.y {
                ssim_add_rows(planes + (y + row) * width, nil, width, plane, weights?[row] ?? 1, rows)
            }
        }
    }
}

extension Volume {
    /// 1 where a box of voxels around holds no zero, and 0 elsewhere.
    fileprivate func eroded(by radius: SIMD3<Int>) -> Volume {
        var result = self
        for axis in 0..<3 where radius[axis] > 0 {
            let before = result
            let stride = [1, shape.x, shape.x * shape.y][axis]
            for index in before.voxels.indices where before.voxels[index] == 0 {
                let place = index / stride % shape[axis]
                for offset in max(-radius[axis], -place)...min(radius[axis], shape[axis] - 1 - place) {
                    result.voxels[index + offset * stride] = 0
                }
            }
        }
        return result
    }

    /// The means of blocks of 2 x 2 x 2 voxels, or of 2 x 2 in each slice. An odd last voxel is left out.
    fileprivate func halved(alongZ: Bool) -> Volume {
        let depth = alongZ ? 2 : 1
        let half = SIMD3(max(1, shape.x / 2), max(1, shape.y / 2), max(1, shape.z / depth))
        var result = Volume(grid: VoxelGrid(shape: half))
        for z in 0..<half.z {
            for y in 0..<half.y {
                for x in 0..<half.x {
                    var (sum, count) = (0.0, 0.0)
                    for k in 0..<depth where depth * z + k < shape.z {
                        for j in 0..<2 where 2 * y + j < shape.y {
                            for i in 0..<2 where 2 * x + i < shape.x {
                                sum += Double(self[2 * x + i, 2 * y + j, depth * z + k])
                                count += 1
                            }
                        }
                    }
                    result[x, y, z] = Float(sum / count)
                }
            }
        }
        return result
    }
}
