import Foundation
import Volumes
import VoxelSupport

/// Normalised cross-correlation: Pearson's correlation coefficient of the intensities, from -1 to 1. 1 is best.
///
/// It is blind to a gain and an offset of the intensities. Values are those of NumPy's `corrcoef`.
public struct CrossCorrelation: PairMetric {
    /// `ncc`.
    public let name = "ncc"
    /// The formula.
    public let definition = "covariance of p and r / (sd of p * sd of r)"
    /// Which values are better.
    public let goal = MetricGoal.highest

    /// The correlation of intensities.
    public init() {}

    func value(of pair: VolumePair) throws -> Double {
        let sums = try pair.comparableSums(for: name)
        guard sums.predictionRange > 0 else {
            throw MetricError.zeroNormaliser(metric: name, normaliser: "the deviation of the prediction")
        }
        guard sums.referenceRange > 0 else {
            throw MetricError.zeroNormaliser(metric: name, normaliser: "the deviation of the reference")
        }
        // Rounding may leave the quotient a little beyond its bounds.
        let deviations = (sums.predictionVariance * sums.referenceVariance).squareRoot()
        return min(
            1, max(-1, try sums.covariance.normalised(by: deviations, "the deviation of the volumes", of: name))
        )
    }
}

/// Normalised mutual information, from 1 (independent) to 2 (each intensity determines the other):
/// (H(p) + H(r)) / H(p, r), with the entropies H of the histograms. 2 is best.
///
/// It is blind to any one-to-one change of intensities. Studholme, Hill, Hawkes: *An Overlap Invariant Entropy Measure of 3D
/// Medical Image Alignment*, Pattern Recognition 1999. Values are those of scikit-image's
/// `normalized_mutual_information`.
public struct NormalisedMutualInformation: PairMetric {
    /// Number of bins for each volume, of equal width from its minimum to its maximum.
    public let bins: Int

    /// `nmi`, followed by the number of bins if it is not 100.
    public var name: String { bins == 100 ? "nmi" : "nmi\(bins)" }
    /// The formula.
    public var definition: String { "(H(p) + H(r)) / H(p, r), entropies of \(bins) bins" }
    /// Which values are better.
    public let goal = MetricGoal.highest

    /// The information for a number of bins, 2 to 4096.
    public init(bins: Int = 100) {
        precondition((2...4096).contains(bins), "mutual information takes 2 to 4096 bins")
        self.bins = bins
    }

    func value(of pair: VolumePair) throws -> Double {
        let sums = try pair.comparableSums(for: name)
        let p = EqualBins(from: sums.predictionLow, through: sums.predictionHigh, count: bins)
        let r = EqualBins(from: sums.referenceLow, through: sums.referenceHigh, count: bins)
        let run = 1 << 19
        let all = pair.reference.voxels.count
        let (bins, isPartial) = (bins, pair.isPartial)
        let parts = concurrentMap((all + run - 1) / run) { part in
            var counts = [Int](repeating: 0, count: bins * bins)
            for index in part * run..<min((part + 1) * run, all) {
                if isPartial, !pair.isCompared(index) { continue }
                counts[
                    p.bin(of: pair.prediction.voxels[index]) * bins + r.bin(of: pair.reference.voxels[index])] +=
                    1
            }
            return counts
        }
        var joint = [Int](repeating: 0, count: bins * bins)
        for part in parts {
            for index in joint.indices { joint[index] += part[index] }
        }
        var (rows, columns) = ([Int](repeating: 0, count: bins), [Int](repeating: 0, count: bins))
        for row in 0..<bins {
            for column in 0..<bins {
                rows[row] += joint[row * bins + column]
                columns[column] += joint[row * bins + column]
            }
        }
        let jointEntropy = entropy(of: joint, sum: sums.count)
        return try (entropy(of: rows, sum: sums.count) + entropy(of: columns, sum: sums.count))
            .normalised(by: jointEntropy, "the joint entropy", of: name)
    }

    private func entropy(of counts: [Int], sum: Int) -> Double {
        counts.reduce(0) { total, count in
            guard count > 0 else { return total }
            let share = Double(count) / Double(sum)
            return total - share * log(share)
        }
    }
}

/// Bins of equal width over a closed range, half-open but for the last, as those of `numpy.histogram`.
struct EqualBins: Sendable {
    let edges: [Double]
    private let low: Double
    private let scale: Double
    private let last: Int

    /// If the range is a single number, it is widened by half to both sides.
    init(from low: Float, through high: Float, count: Int) {
        let (low, high) = low < high ? (Double(low), Double(high)) : (Double(low) - 0.5, Double(high) + 0.5)
        let step = (high - low) / Double(count)
        edges = (0..<count).map { low + Double($0) * step } + [high]
        (self.low, scale, last) = (low, Double(count) / (high - low), count - 1)
    }

    /// The width of a bin.
    var width: Double { 1 / scale }

    /// The bin of an intensity within the range.
    @inline(__always)
    func bin(of intensity: Float) -> Int {
        let value = Double(intensity)
        let guess = max(0, min(Int((value - low) * scale), last))
        // The product may round across an edge.
        return edges.withUnsafeBufferPointer {
            value < $0[guess] ? max(0, guess - 1) : guess < last && value >= $0[guess + 1] ? guess + 1 : guess
        }
    }
}
