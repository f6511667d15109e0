import Foundation
import Volumes

/// Mean absolute error: the mean of |p - r|, in units of intensity.
public struct MAE: VolumeMetric {
    /// `mae`.
    public let name = "mae"

    /// The mean absolute error.
    public init() {}

    /// The error over the mask. O(n).
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        let sums = try ErrorSums(prediction, reference, mask: mask, metric: name)
        return sums.absolute / Double(sums.count)
    }
}

/// Mean squared error: the mean of (p - r)^2, in units of intensity squared.
public struct MSE: VolumeMetric {
    /// `mse`.
    public let name = "mse"

    /// The mean squared error.
    public init() {}

    /// The error over the mask. O(n).
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        try ErrorSums(prediction, reference, mask: mask, metric: name).meanSquared
    }
}

/// Normalised mean squared error: the sum of (p - r)^2 over the sum of r^2. 0 is best.
public struct NMSE: VolumeMetric {
    /// `nmse`.
    public let name = "nmse"

    /// The normalised mean squared error.
    public init() {}

    /// The error over the mask. O(n).
    ///
    /// - Throws: also `MetricError.zeroNormaliser` where the reference is zero throughout.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        let sums = try ErrorSums(prediction, reference, mask: mask, metric: name)
        return try sums.squared.normalised(by: sums.referenceSquared, "the norm of the reference", of: name)
    }
}

/// Normalised root mean squared error: the root of the mean of (p - r)^2, over a measure of intensity. 0 is best.
///
/// As scikit-image's `normalized_root_mse` for the first three normalisations. Publications differ in which
/// they take, and many do not say.
public struct NRMSE: VolumeMetric {
    /// What the error is divided by, measured over the same voxels.
    public enum Normalisation: String, CaseIterable, Sendable, Codable {
        /// The root of the mean of r^2.
        case euclidean
        /// The reference's greatest intensity less its least.
        case minMax = "min-max"
        /// The reference's mean.
        case mean
        /// The prediction's greatest intensity less its least.
        case predictionRange = "prediction_range"
    }

    /// What the error is divided by.
    public let normalisation: Normalisation

    /// `nrmse_` and the normalisation: `nrmse_min-max`.
    public var name: String { "nrmse_\(normalisation.rawValue)" }

    /// The error with a normalisation.
    public init(_ normalisation: Normalisation = .euclidean) { self.normalisation = normalisation }

    /// The error over the mask. O(n).
    ///
    /// - Throws: also `MetricError.zeroNormaliser` where the normalisation has nothing to measure.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        let sums = try ErrorSums(prediction, reference, mask: mask, metric: name)
        let (normaliser, words) =
            switch normalisation {
            case .euclidean:
                ((sums.referenceSquared / Double(sums.count)).squareRoot(), "the norm of the reference")
            case .minMax: (sums.referenceRange, "the range of the reference")
            case .mean: (sums.reference / Double(sums.count), "the mean of the reference")
            case .predictionRange: (sums.predictionRange, "the range of the prediction")
            }
        return try sums.meanSquared.squareRoot().normalised(by: normaliser, words, of: name)
    }
}

/// Peak signal-to-noise ratio in decibels: 10 log10(L^2 / mean of (p - r)^2), where L is the data range.
///
/// It is infinite for a prediction equal to its reference. As scikit-image's `peak_signal_noise_ratio`.
public struct PSNR: VolumeMetric {
    /// The range L of intensities.
    public let dataRange: DataRange

    /// `psnr`.
    public let name = "psnr"

    /// The ratio for a range of intensities.
    public init(dataRange: DataRange = .ofReference) { self.dataRange = dataRange }

    /// The ratio over the mask. O(n).
    ///
    /// - Throws: also `MetricError.zeroNormaliser` where the range is taken of a reference that is constant.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        let sums = try ErrorSums(prediction, reference, mask: mask, metric: name)
        let range = try dataRange.value(sums.referenceRange, metric: name)
        return 10 * log10(range * range / sums.meanSquared)
    }
}
