import Foundation
import StyleKeys
import Volumes
import VoxelSupport

/// A distance between the distributions of intensities of two volumes, regardless of position. 0 is best.
///
/// ```swift
/// let shift = try HistogramDistance(.wasserstein)(prediction, against: reference, mask: brain)
/// let styles = try HistogramDistance(.bhattacharyya).between(a, b)
/// ```
///
/// All distances are symmetric.
public struct HistogramDistance: PairMetric {
    /// The distance between histograms f and g, each with the sum 1.
    public enum Kind: String, CaseIterable, Sendable, Codable {
        /// The first Wasserstein or earth mover's distance, in units of intensity: the mean change of intensity that turns
        /// one distribution into the other. It is the area between the cumulative distributions.
        case wasserstein
        /// -ln sum sqrt(f g), infinite if the histograms do not overlap.
        case bhattacharyya
        /// Half the sum of (f - g)^2 / (f + g), from 0 to 1.
        case chiSquare = "chi_square"
    }

    /// The distance.
    public let kind: Kind

    /// Number of bins, of equal width from the lowest to the highest intensity of both volumes.
    public let bins: Int

    /// The distance, followed by the number of bins if it is not 256.
    public var name: String { "\(kind.rawValue)\(bins == 256 ? "" : "\(bins)")" }

    /// The formula.
    public var definition: String {
        let formula =
            switch kind {
            case .wasserstein: "area between the cumulative histograms"
            case .bhattacharyya: "-ln sum sqrt(f g) of the histograms f and g"
            case .chiSquare: "sum of (f - g)^2 / (f + g) / 2 of the histograms f and g"
            }
        return "\(formula), \(bins) bins"
    }

    /// A distance for a number of bins, at least 2.
    public init(_ kind: Kind, bins: Int = 256) {
        precondition(bins >= 2, "a histogram needs at least two bins")
        (self.kind, self.bins) = (kind, bins)
    }

    func value(of pair: VolumePair) throws -> Double {
        let sums = try pair.comparableSums(for: name)
        let edges = EqualBins(
            from: min(sums.predictionLow, sums.referenceLow),
            through: max(sums.predictionHigh, sums.referenceHigh),
            count: bins)
        let (p, r) = pair.histograms(edges)
        return distance(p.map { Double($0) }, r.map { Double($0) }, binWidth: edges.width)
    }

    /// The distance between two histograms with the same bins, whose sums are scaled to 1.
    ///
    /// - Parameters:
    ///   - first: values that are not negative, and not all zero.
    ///   - second: as many.
    ///   - binWidth: the width of a bin, for the Wasserstein distance.
    public func distance(_ first: [Double], _ second: [Double], binWidth: Double = 1) -> Double {
        precondition(first.count == second.count, "histograms must have the same bins")
        let (firstSum, secondSum) = (first.reduce(0, +), second.reduce(0, +))
        precondition(firstSum > 0 && secondSum > 0, "a histogram must not be empty")
        var (total, difference) = (0.0, 0.0)
        for (f, g) in zip(first, second) {
            let (f, g) = (f / firstSum, g / secondSum)
            switch kind {
            case .wasserstein:
                difference += f - g
                total += abs(difference) * binWidth
            case .bhattacharyya: total += (f * g).squareRoot()
            case .chiSquare: if f + g > 0 { total += (f - g) * (f - g) / (f + g) / 2 }
            }
        }
        // The sum of equal histograms may round to a little more than 1.
        return kind == .bhattacharyya ? -log(min(1, total)) : total
    }

    /// The distance between the histograms of two style keys, whose intensities are from 0 to 1.
    ///
    /// Negative values, of keys that were not computed from a volume, count as zero.
    ///
    /// - Throws: `StyleKeyError.binsDiffer`.
    public func between(_ first: StyleKey, _ second: StyleKey) throws(StyleKeyError) -> Double {
        guard first.bins == second.bins else { throw .binsDiffer(first.bins, second.bins) }
        let width = (1 - IntensityConvention.backgroundThreshold) / Double(first.bins)
        let values = [first, second].map { $0.histogram.map { Double(max(0, $0)) } }
        guard values.allSatisfy({ $0.contains { $0 > 0 } }) else { return .infinity }
        return distance(values[0], values[1], binWidth: width)
    }
}

extension VolumePair {
    /// The histograms of the prediction and of the reference over the voxels compared.
    func histograms(_ bins: EqualBins) -> (prediction: [Int], reference: [Int]) {
        let run = 1 << 18
        let all = reference.voxels.count
        let count = bins.edges.count - 1
        let isPartial = isPartial
        let parts = concurrentMap((all + run - 1) / run) { part in
            var counts = [Int](repeating: 0, count: 2 * count)
            for index in part * run..<min((part + 1) * run, all) {
                if isPartial, !isCompared(index) { continue }
                counts[bins.bin(of: prediction.voxels[index])] += 1
                counts[count + bins.bin(of: reference.voxels[index])] += 1
            }
            return counts
        }
        var sums = [Int](repeating: 0, count: 2 * count)
        for part in parts {
            for index in sums.indices { sums[index] += part[index] }
        }
        return (Array(sums[..<count]), Array(sums[count...]))
    }
}
