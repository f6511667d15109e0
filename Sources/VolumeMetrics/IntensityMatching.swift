import Foundation
import Volumes
import VoxelSupport

/// Converts a prediction to the reference's units of intensity before they are compared.
///
/// A translation has intensities from 0 to 1, a scanner's image has its own. Errors between them say nothing about the
/// translation. Every match but `none` uses the reference, and forgives the prediction what it corrects.
public enum IntensityMatching: String, CaseIterable, Sendable, Codable {
    /// The intensities as they are.
    case none
    /// A gain and an offset that map the prediction's minimum and maximum to the reference's.
    case range
    /// The gain that minimises the squared error. Zero stays zero.
    case scale
    /// The rising map that gives the prediction's foreground the reference's histogram (histogram matching). Values up to
    /// the minimum, the background, become the reference's minimum.
    case key

    /// The prediction in the reference's units. O(n); O(n log n) for `key`.
    ///
    /// - Throws: `MetricError` if there is nothing to match: no voxel to compare, an infinite one, a constant prediction.
    public func callAsFunction(
        _ prediction: Volume, to reference: Volume, mask: Volume? = nil
    ) throws(MetricError) -> Volume {
        guard self != .none else { return prediction }
        let pair = try VolumePair(prediction, reference, mask: mask)
        let sums = try pair.comparableSums(for: "--match \(rawValue)")
        func failure(_ normaliser: String) -> MetricError {
            .zeroNormaliser(metric: "--match \(rawValue)", normaliser: normaliser)
        }
        switch self {
        case .none: return prediction
        case .range:
            guard sums.predictionRange > 0 else { throw failure("the range of the prediction") }
            let gain = sums.referenceRange / sums.predictionRange
            let (low, start) = (Double(sums.predictionLow), Double(sums.referenceLow))
            return prediction.map { Float((Double($0) - low) * gain + start) }
        case .scale:
            guard sums.predictionMeanSquare > 0 else { throw failure("the norm of the prediction") }
            let gain = sums.meanProduct / sums.predictionMeanSquare
            return prediction.map { Float(Double($0) * gain) }
        case .key:
            guard sums.predictionRange > 0 else { throw failure("the range of the prediction") }
            return pair.matchingHistograms(sums)
        }
    }
}

extension VolumePair {
    /// The prediction with the quantiles of its foreground at those of the reference's.
    fileprivate func matchingHistograms(_ sums: VoxelSums) -> Volume {
        func quantiles(_ volume: Volume, above low: Float) -> [Float] {
            var values = volume.voxels.indices.filter { isCompared($0) && volume.voxels[$0] > low }
                .map { volume.voxels[$0] }
            values.sort()
            guard let last = values.indices.last else { return [low, low] }
            let steps = 1024
            return [low]
                + (0...steps).map { values[Int((Double($0) / Double(steps) * Double(last)).rounded())] }
        }
        let from = quantiles(prediction, above: sums.predictionLow)
        let to = quantiles(reference, above: sums.referenceLow)
        let low = sums.predictionLow
        return prediction.map { value in
            guard value > low else { return value.isNaN ? value : to[0] }
            let share = min(from.count, to.count) - 1
            // The last quantile that is not above the value, and the first that is not below the next.
            let upper = from.partitioningIndex { $0 >= value }
            guard upper <= share else { return to[share] }
            let (start, end) = (from[upper - 1], from[upper])
            let fraction = end > start ? (value - start) / (end - start) : 1
            return to[upper - 1] + fraction * (to[upper] - to[upper - 1])
        }
    }
}

/// What is noteworthy about a prediction and its reference before their metrics are read.
public struct PairFacts: Sendable, Hashable {
    /// Number of voxels compared.
    public let voxels: Int
    /// Number of voxels in the mask that were left out because either volume is NaN there.
    public let leftOut: Int
    /// The range of the prediction over the voxels compared; `nil` if there are none.
    public let predictionRange: ClosedRange<Float>?
    /// The range of the reference over the voxels compared; `nil` if there are none.
    public let referenceRange: ClosedRange<Float>?

    /// The facts of a pair. O(n).
    ///
    /// - Throws: `MetricError` if the shapes differ.
    public init(of prediction: Volume, against reference: Volume, mask: Volume? = nil) throws(MetricError) {
        let sums = try VolumePair(prediction, reference, mask: mask).sums
        (voxels, leftOut) = (sums.count, sums.leftOut)
        let isEmpty = sums.count == 0
        predictionRange = isEmpty ? nil : sums.predictionLow...sums.predictionHigh
        referenceRange = isEmpty ? nil : sums.referenceLow...sums.referenceHigh
    }

    /// What the two ranges are, if they look like different units of intensity: if one is more than three times as wide
    /// as the other, or they begin or end apart by more than three quarters of the reference's.
    public var differenceOfUnits: String? {
        guard let p = predictionRange, let r = referenceRange else { return nil }
        func width(_ range: ClosedRange<Float>) -> Double {
            Double(range.upperBound) - Double(range.lowerBound)
        }
        guard width(p) > 0, width(r) > 0 else { return nil }
        let ratio = width(p) / width(r)
        let apart = max(
            abs(Double(p.lowerBound) - Double(r.lowerBound)), abs(Double(p.upperBound) - Double(r.upperBound)))
        guard ratio > 3 || ratio < 1.0 / 3 || apart > 0.75 * width(r) else { return nil }
        func text(_ range: ClosedRange<Float>) -> String {
            "\(Double(range.lowerBound).shortText) to \(Double(range.upperBound).shortText)"
        }
        return "the prediction goes from \(text(p)) and the reference from \(text(r)), as in different units"
    }
}
