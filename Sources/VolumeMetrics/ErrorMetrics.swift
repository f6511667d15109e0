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

/// Normalised mean squared error: the sum of (p - r)^2 divided by the sum of r^2. 0 is best.
public struct NMSE: VolumeMetric {
    /// `nmse`.
    public let name = "nmse"

    /// The normalised mean squared error.
    public init() {}

    /// The error over the mask. O(n).
    ///
    /// - Throws: `MetricError`; `zeroNormaliser` if the reference is zero.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        let sums = try ErrorSums(prediction, reference, mask: mask, metric: name)
        return try sums.squared.normalised(by: sums.referenceSquared, "the norm of the reference", of: name)
    }
}

/// Normalised root mean squared error: the square root of the mean of (p - r)^2, divided by a measure of intensity. 0 is
/// best.
///
/// The first three normalisations are those of scikit-image's `normalized_root_mse`. Publications differ in the
/// normalisation, and many do not state it.
public struct NRMSE: VolumeMetric {
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
    }

    /// The divisor of the error.
    public let normalisation: Normalisation

    /// `nrmse_` and the normalisation, for example `nrmse_min-max`.
    public var name: String { "nrmse_\(normalisation.rawValue)" }

    /// The error with a normalisation.
    public init(_ normalisation: Normalisation = .euclidean) { self.normalisation = normalisation }

    /// The error over the mask. O(n).
    ///
    /// - Throws: `MetricError`; `zeroNormaliser` if the divisor is zero.
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
/// It is infinite for a prediction equal to its reference. Values are those of scikit-image's `peak_signal_noise_ratio`.
public struct PSNR: VolumeMetric {
    /// The range L of intensities.
    public let dataRange: DataRange

    /// `psnr`.
    public let name = "psnr"

    /// The ratio for a range of intensities.
    public init(dataRange: DataRange = .ofReference) { self.dataRange = dataRange }

    /// The ratio over the mask. O(n).
    ///
    /// - Throws: `MetricError`; `zeroNormaliser` if the range is that of a constant reference.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        let sums = try ErrorSums(prediction, reference, mask: mask, metric: name)
        let range = try dataRange.value(sums.referenceRange, metric: name)
        return 10 * log10(range * range / sums.meanSquared)
    }
}

/// The range L of intensities that errors are relative to.
public enum DataRange: Hashable, Sendable {
    /// The maximum of the reference minus its minimum, over the voxels in the mask.
    case ofReference
    /// A known range above zero, such as 1 for volumes in [0, 1] and 2 for volumes in [-1, 1], so that values of different
    /// volumes can be compared and averaged.
    case fixed(Double)

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

// MARK: Sums

/// The sums that voxelwise metrics are computed from, in one pass over both volumes.
///
/// Sums are in Double, slice by slice, which limits rounding errors.
struct ErrorSums {
    private(set) var count = 0
    /// Sum of |p - r|.
    private(set) var absolute = 0.0
    /// Sum of (p - r)^2.
    private(set) var squared = 0.0
    /// Sum of r.
    private(set) var reference = 0.0
    /// Sum of r^2.
    private(set) var referenceSquared = 0.0
    /// Maximum minus minimum of the prediction.
    private(set) var predictionRange = 0.0
    /// Maximum minus minimum of the reference.
    private(set) var referenceRange = 0.0

    /// Mean of (p - r)^2.
    var meanSquared: Double { squared / Double(count) }

    /// The sums over the mask.
    init(
        _ prediction: Volume, _ reference: Volume, mask: Volume?, metric: String
    ) throws(MetricError) {
        try MetricError.checkShapes(prediction, reference, mask: mask)
        var (low, high) = (SIMD2<Float>(repeating: .infinity), SIMD2<Float>(repeating: -.infinity))
        for z in 0..<reference.shape.z {
            let (p, r, m) = (prediction.slice(z), reference.slice(z), mask?.slice(z))
            var slice = SIMD4<Double>.zero
            for index in p.indices {
                if let m, !(m[index] > 0) { continue }
                let pair = SIMD2(p[index], r[index])
                low = pointwiseMin(low, pair)
                high = pointwiseMax(high, pair)
                let value = Double(pair.y)
                let error = Double(pair.x) - value
                slice += SIMD4(abs(error), error * error, value, value * value)
                count += 1
            }
            absolute += slice[0]
            squared += slice[1]
            self.reference += slice[2]
            referenceSquared += slice[3]
        }
        guard count > 0 else { throw .emptyMask(metric: metric) }
        guard squared.isFinite, referenceSquared.isFinite else { throw .notFinite(metric: metric) }
        predictionRange = Double(high.x) - Double(low.x)
        referenceRange = Double(high.y) - Double(low.y)
    }
}

extension Double {
    /// - Throws: `MetricError.zeroNormaliser` with the name of the normaliser.
    func normalised(by normaliser: Double, _ name: String, of metric: String) throws(MetricError) -> Double {
        guard normaliser != 0 else { throw .zeroNormaliser(metric: metric, normaliser: name) }
        return self / normaliser
    }
}
