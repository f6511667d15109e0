import CVoxelKernels
import Volumes
import VoxelSupport

/// A prediction and its reference, with the sums that metrics share: one pass over both volumes, on all cores.
struct VolumePair: Sendable {
    let prediction: Volume
    let reference: Volume
    let mask: Volume?
    let sums: VoxelSums
    /// The maximum of the whole reference minus its minimum, leaving out what is not finite.
    let rangeOfReference: Double

    /// - Throws: `MetricError` if the shapes differ.
    init(_ prediction: Volume, _ reference: Volume, mask: Volume?) throws(MetricError) {
        try MetricError.checkShapes(prediction, reference, mask: mask)
        (self.prediction, self.reference, self.mask) = (prediction, reference, mask)
        sums = VoxelSums(prediction, reference, mask: mask)
        let isWhole = sums.count == reference.voxels.count && sums.isFinite
        rangeOfReference = isWhole ? sums.referenceRange : reference.finiteRange
    }

    /// The sums, if there is a voxel to compare and all are finite.
    func comparableSums(for metric: String) throws(MetricError) -> VoxelSums {
        guard sums.count > 0 else {
            throw sums.leftOut > 0 ? .nothingButNaN(metric: metric) : .emptyMask(metric: metric)
        }
        guard sums.isFinite else { throw .notFinite(metric: metric) }
        return sums
    }

    /// Whether a voxel is compared: it is in the mask, and is NaN in neither volume.
    @inline(__always)
    func isCompared(_ index: Int) -> Bool {
        if let mask, !(mask.voxels[index] > 0) { return false }
        return !prediction.voxels[index].isNaN && !reference.voxels[index].isNaN
    }

    /// Whether some voxels are not compared.
    var isPartial: Bool { mask != nil || sums.leftOut > 0 }

    /// 1 in the voxels that are compared, and 0 in others, if there are any.
    var comparedVoxels: Volume? {
        guard isPartial else { return nil }
        return Volume(grid: reference.grid, voxels: reference.voxels.indices.map { isCompared($0) ? 1 : 0 })
    }
}

/// A metric of a pair whose sums are known.
protocol PairMetric: VolumeMetric {
    func value(of pair: VolumePair) throws -> Double
}

extension PairMetric {
    /// The value over the mask, leaving out voxels that are NaN in either volume.
    ///
    /// - Throws: `MetricError`.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        try value(of: VolumePair(prediction, reference, mask: mask))
    }
}

/// The sums over pairs of voxels that errors, correlations and ranges follow from.
///
/// Runs of a fixed length are summed whole by one thread each, and their sums added in order: the bits do not depend on
/// the number of threads.
struct VoxelSums: Sendable {
    /// Number of pairs.
    private(set) var count = 0
    /// Number of pairs in the mask that were left out because either voxel is NaN.
    private(set) var leftOut = 0
    /// Sum of |p - r|.
    private(set) var absolute = 0.0
    /// Sum of (p - r)^2.
    private(set) var squared = 0.0
    /// The ranges of both, from `infinity` to `-infinity` if there are no pairs.
    private(set) var predictionLow = Float.infinity, predictionHigh = -Float.infinity
    private(set) var referenceLow = Float.infinity, referenceHigh = -Float.infinity

    /// Values near the intensities, which are subtracted from them in the sums below.
    let predictionShift, referenceShift: Double
    private var p = 0.0, r = 0.0, pp = 0.0, rr = 0.0, pr = 0.0

    /// Number of pairs in a run.
    private static let run = 1 << 15

    init(_ prediction: Volume, _ reference: Volume, mask: Volume?) {
        let first = prediction.voxels.indices.first {
            (mask == nil || mask!.voxels[$0] > 0) && prediction.voxels[$0].isFinite
                && reference.voxels[$0].isFinite
        }
        let shifts = first.map { (Double(prediction.voxels[$0]), Double(reference.voxels[$0])) } ?? (0, 0)
        (predictionShift, referenceShift) = shifts
        let all = prediction.voxels.count
        let runs = concurrentMap((all + Self.run - 1) / Self.run) { run in
            let start = run * Self.run
            var sums = metric_sums()
            prediction.voxels.withUnsafeBufferPointer { p in
                reference.voxels.withUnsafeBufferPointer { r in
                    // Without a mask an array is passed that is not read.
                    (mask ?? reference).voxels.withUnsafeBufferPointer { m in
                        metric_sums_of(
                            p.baseAddress! + start, r.baseAddress! + start,
                            mask == nil ? nil : m.baseAddress! + start, min(Self.run, all - start), shifts.0,
                            shifts.1, &sums)
                    }
                }
            }
            return sums
        }
        for run in runs {
            count += Int(run.count)
            leftOut += Int(run.left_out)
            absolute += run.absolute
            squared += run.squared
            (p, r) = (p + run.p, r + run.r)
            (pp, rr, pr) = (pp + run.pp, rr + run.rr, pr + run.pr)
            predictionLow = min(predictionLow, run.p_low)
            predictionHigh = max(predictionHigh, run.p_high)
            referenceLow = min(referenceLow, run.r_low)
            referenceHigh = max(referenceHigh, run.r_high)
        }
    }

    /// Whether no voxel is infinite.
    var isFinite: Bool {
        predictionLow.isFinite && predictionHigh.isFinite && referenceLow.isFinite && referenceHigh.isFinite
    }

    private var n: Double { Double(count) }

    /// Mean of (p - r)^2.
    var meanSquared: Double { squared / n }
    /// Mean of p, and of r.
    var predictionMean: Double { predictionShift + p / n }
    var referenceMean: Double { referenceShift + r / n }
    /// Mean of r^2.
    var referenceMeanSquare: Double {
        rr / n + 2 * referenceShift * (r / n) + referenceShift * referenceShift
    }
    /// Mean of p^2.
    var predictionMeanSquare: Double {
        pp / n + 2 * predictionShift * (p / n) + predictionShift * predictionShift
    }
    /// Mean of p r.
    var meanProduct: Double { covariance + predictionMean * referenceMean }
    /// Variances and covariance of the voxels as a population.
    var predictionVariance: Double { max(0, pp / n - (p / n) * (p / n)) }
    var referenceVariance: Double { max(0, rr / n - (r / n) * (r / n)) }
    var covariance: Double { pr / n - (p / n) * (r / n) }
    /// Maximum minus minimum of the prediction, and of the reference.
    var predictionRange: Double { Double(predictionHigh) - Double(predictionLow) }
    var referenceRange: Double { Double(referenceHigh) - Double(referenceLow) }
}

extension Volume {
    /// The maximum minus the minimum of the finite intensities; 0 if there are none.
    fileprivate var finiteRange: Double {
        let run = 1 << 18
        let ranges = concurrentMap((voxels.count + run - 1) / run) { part in
            voxels.withUnsafeBufferPointer { voxels in
                var (low, high): (Float, Float) = (0, 0)
                intensity_range(
                    voxels.baseAddress! + part * run, min(run, voxels.count - part * run), &low, &high)
                return (low, high)
            }
        }
        let (low, high) = ranges.reduce((Float.infinity, -Float.infinity)) {
            (min($0.0, $1.0), max($0.1, $1.1))
        }
        return low <= high ? Double(high) - Double(low) : 0
    }
}
