import Foundation
import Volumes

/// Mean absolute error: the mean of |p - r|, in units of intensity.
public struct MAE: PairMetric {
    /// `mae`.
    public let name = "mae"
    /// The formula.
    public let definition = "mean of |p - r|"

    /// The mean absolute error.
    public init() {}

    func value(of pair: VolumePair) throws -> Double {
        let sums = try pair.comparableSums(for: name)
        return sums.absolute / Double(sums.count)
    }
}

/// Mean squared error: the mean of (p - r)^2, in units of intensity squared.
public struct MSE: PairMetric {
    /// `mse`.
    public let name = "mse"
    /// The formula.
    public let definition = "mean of (p - r)^2"

    /// The mean squared error.
    public init() {}

    func value(of pair: VolumePair) throws -> Double { try pair.comparableSums(for: name).meanSquared }
}

/// Root mean squared error: the square root of the mean of (p - r)^2, in units of intensity.
public struct RMSE: PairMetric {
    /// `rmse`.
    public let name = "rmse"
    /// The formula.
    public let definition = "sqrt(mean of (p - r)^2)"

    /// The root mean squared error.
    public init() {}

    func value(of pair: VolumePair) throws -> Double {
        try pair.comparableSums(for: name).meanSquared.squareRoot()
    }
}

/// Normalised mean squared error: the sum of (p - r)^2 divided by the sum of r^2. 0 is best.
public struct NMSE: PairMetric {
    /// `nmse`.
    public let name = "nmse"
    /// The formula.
    public let definition = "sum of (p - r)^2 / sum of r^2"

    /// The normalised mean squared error.
    public init() {}

    func value(of pair: VolumePair) throws -> Double {
        let sums = try pair.comparableSums(for: name)
        return try sums.meanSquared.normalised(
            by: sums.referenceMeanSquare, "the norm of the reference", of: name)
    }
}

/// Normalised root mean squared error: the square root of the mean of (p - r)^2, divided by a measure of intensity. 0 is
/// best.
///
/// The first three normalisations are those of scikit-image's `normalized_root_mse`. Publications differ in the
/// normalisation, and many do not state it; ``Normalisation-swift.enum/published`` is the one of the method's paper.
public struct NRMSE: PairMetric {
    /// The divisor, measured over the same voxels.
    public enum Normalisation: String, CaseIterable, Sendable, Codable {
        /// The square root of the mean of r^2.
        case euclidean
        /// The maximum of the reference minus its minimum.
        case minMax = "min-max"
        /// The mean of the reference.
        case mean
        /// The maximum of the prediction minus its minimum.
        case predictionRange = "prediction_range"

        /// The normalisation of the method's published tables (arXiv 2407.05059): the range of the prediction.
        ///
        /// The paper does not state it. Its mean NRMSE is 1.09 to 1.11 times the mean root mean squared error that its
        /// PSNR implies for volumes in [0, 1]: the divisor is a range a tenth below 1, as that of predictions is.
        public static let published = Normalisation.predictionRange
    }

    /// The divisor of the error.
    public let normalisation: Normalisation

    /// `nrmse_` and the normalisation, for example `nrmse_min-max`.
    public var name: String { "nrmse_\(normalisation.rawValue)" }

    /// The formula.
    public var definition: String { "sqrt(mean of (p - r)^2) / \(divisor)" }

    /// The error with a normalisation.
    public init(_ normalisation: Normalisation = .euclidean) { self.normalisation = normalisation }

    private var divisor: String {
        switch normalisation {
        case .euclidean: "sqrt(mean of r^2)"
        case .minMax: "(max r - min r)"
        case .mean: "mean of r"
        case .predictionRange: "(max p - min p), as in the published tables"
        }
    }

    func value(of pair: VolumePair) throws -> Double {
        let sums = try pair.comparableSums(for: name)
        let (normaliser, words) =
            switch normalisation {
            case .euclidean: (sums.referenceMeanSquare.squareRoot(), "the norm of the reference")
            case .minMax: (sums.referenceRange, "the range of the reference")
            case .mean: (sums.referenceMean, "the mean of the reference")
            case .predictionRange: (sums.predictionRange, "the range of the prediction")
            }
        return try sums.meanSquared.squareRoot().normalised(by: normaliser, words, of: name)
    }
}

/// Peak signal-to-noise ratio in decibels: 10 log10(L^2 / mean of (p - r)^2), where L is the data range.
///
/// It is infinite for a prediction equal to its reference. Values are those of scikit-image's `peak_signal_noise_ratio`.
public struct PSNR: PairMetric {
    /// The range L of intensities.
    public let dataRange: DataRange

    /// `psnr`, followed by the range if it is not the reference's: `psnr_range1`.
    public var name: String { "psnr\(dataRange.suffix)" }
    /// The formula.
    public var definition: String { "10 log10(L^2 / mean of (p - r)^2) in dB, L = \(dataRange)" }
    /// Which values are better.
    public let goal = MetricGoal.highest

    /// The ratio for a range of intensities.
    public init(dataRange: DataRange = .ofReference) { self.dataRange = dataRange }

    func value(of pair: VolumePair) throws -> Double {
        let sums = try pair.comparableSums(for: name)
        let range = try dataRange.value(pair.rangeOfReference, metric: name)
        return 10 * log10(range * range / sums.meanSquared)
    }
}

/// The range L of intensities that errors are relative to.
public enum DataRange: Hashable, Sendable, CustomStringConvertible {
    /// The maximum of the reference minus its minimum: of the whole volume, so that a mask does not change it.
    case ofReference
    /// A known range above zero, such as 1 for volumes in [0, 1] and 2 for volumes in [-1, 1], so that values of different
    /// volumes can be compared and averaged.
    case fixed(Double)

    /// `max r - min r`, or the range itself.
    public var description: String {
        switch self {
        case .ofReference: "max r - min r"
        case .fixed(let range): range.shortText
        }
    }

    /// What distinguishes the names of metrics: nothing for the reference's range.
    var suffix: String {
        switch self {
        case .ofReference: ""
        case .fixed(let range): "_range\(range.shortText)"
        }
    }

    func value(_ referenceRange: Double, metric: String) throws(MetricError) -> Double {
        switch self {
        case .fixed(let range):
            precondition(range > 0 && range.isFinite, "a data range must be above zero")
            return range
        case .ofReference:
            guard referenceRange > 0 else {
                throw .zeroNormaliser(metric: metric, normaliser: "the range of the reference")
            }
            return referenceRange
        }
    }
}

extension Double {
    /// - Throws: `MetricError.zeroNormaliser` with the name of the normaliser.
    func normalised(by normaliser: Double, _ name: String, of metric: String) throws(MetricError) -> Double {
        guard normaliser != 0 else { throw .zeroNormaliser(metric: metric, normaliser: name) }
        return self / normaliser
    }
}
