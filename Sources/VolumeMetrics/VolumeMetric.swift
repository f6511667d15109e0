import Foundation
import Volumes

/// A measure of the agreement of a predicted volume with a reference.
///
/// ```swift
/// let error = try NRMSE()(prediction, against: reference)
/// let inBrain = try SSIM(dataRange: .fixed(1))(prediction, against: reference, mask: brain)
/// ```
///
/// A custom metric has a name and one method, and can be used in a `MetricReport`:
///
/// ```swift
/// struct MeanBias: VolumeMetric {
///     let name = "bias"
///     func callAsFunction(_ prediction: Volume, against reference: Volume, mask: Volume?) throws -> Double {
///         try MetricError.checkShapes(prediction, reference, mask: mask)
///         let differences = zip(prediction.voxels, reference.voxels).map { Double($0) - Double($1) }
///         return differences.reduce(0, +) / Double(differences.count)
///     }
/// }
/// ```
///
/// ## Laws
/// The value is a function of the arguments and of the metric's own properties, to the bit. A prediction equal to its
/// reference has the best possible value. Voxels outside the mask do not change the value, unless the metric documents
/// which do. The metrics of this module leave out voxels that are NaN in either volume.
public protocol VolumeMetric: Sendable {
    /// A short name for tables and reports, such as `psnr`. Metrics with different settings have different names.
    var name: String { get }

    /// The formula, with p for the prediction and r for the reference; empty by default.
    var definition: String { get }

    /// Which values are better; the lowest by default.
    var goal: MetricGoal { get }

    /// The metric's value for a prediction.
    ///
    /// - Parameters:
    ///   - prediction: the volume to evaluate.
    ///   - reference: the expected volume, of the same shape. World positions are not compared: see
    ///     ``GridAlignment``.
    ///   - mask: a volume that is above zero in the voxels to compare; `nil` for all voxels.
    /// - Throws: `MetricError`.
    func callAsFunction(_ prediction: Volume, against reference: Volume, mask: Volume?) throws -> Double
}

extension VolumeMetric {
    /// No formula.
    public var definition: String { "" }

    /// The lowest value is best.
    public var goal: MetricGoal { .lowest }

    /// The metric's value for a prediction over all voxels.
    ///
    /// - Throws: `MetricError`.
    public func callAsFunction(_ prediction: Volume, against reference: Volume) throws -> Double {
        try self(prediction, against: reference, mask: nil)
    }
}

/// Which values of a metric are better.
public enum MetricGoal: Hashable, Sendable {
    /// Low values, such as errors.
    case lowest
    /// High values, such as similarities.
    case highest
    /// Values near one.
    case nearest(Double)

    /// How far a value is from the goal: the lower, the better. Only its order has a meaning.
    public func cost(of value: Double) -> Double {
        switch self {
        case .lowest: value
        case .highest: -value
        case .nearest(let best): abs(value - best)
        }
    }
}

/// Why a metric is undefined for a pair of volumes.
public enum MetricError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// Prediction and reference have different shapes.
    case shapesDiffer(prediction: SIMD3<Int>, reference: SIMD3<Int>)
    /// The mask and the volumes have different shapes.
    case maskShapeDiffers(mask: SIMD3<Int>, volumes: SIMD3<Int>)
    /// The mask has no voxel in which the metric is defined.
    case emptyMask(metric: String)
    /// Every voxel to compare is NaN in one of the volumes.
    case nothingButNaN(metric: String)
    /// The volumes are smaller than the metric's window along an axis.
    case smallerThanWindow(metric: String, shape: SIMD3<Int>, window: SIMD3<Int>)
    /// A voxel to compare is infinite.
    case notFinite(metric: String)
    /// The metric divides by a quantity that is zero for these volumes.
    case zeroNormaliser(metric: String, normaliser: String)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .shapesDiffer(let prediction, let reference):
            "the prediction has \(prediction.text) voxels and the reference \(reference.text); expected the same; "
                + "resample one to the grid of the other"
        case .maskShapeDiffers(let mask, let volumes):
            "the mask has \(mask.text) voxels and the volumes \(volumes.text); resample the mask to their grid"
        case .emptyMask(let metric):
            "the mask has no voxel above zero where \(metric) is defined; check that it is the right mask"
        case .nothingButNaN(let metric):
            "\(metric) is undefined: no voxel is a number in both volumes"
        case .smallerThanWindow(let metric, let shape, let window):
            "the volumes have \(shape.text) voxels; expected at least \(window.text), the window of \(metric); "
                + "choose a smaller window, or compare slice by slice"
        case .notFinite(let metric):
            "\(metric) is undefined: the volumes have infinite voxels; replace them or exclude them with a mask"
        case .zeroNormaliser(let metric, let normaliser):
            "\(metric) is undefined: it divides by \(normaliser), which is zero"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }

    /// Throws unless the volumes and the mask have the same shape.
    public static func checkShapes(_ prediction: Volume, _ reference: Volume, mask: Volume?) throws(MetricError)
    {
        guard prediction.shape == reference.shape else {
            throw .shapesDiffer(prediction: prediction.shape, reference: reference.shape)
        }
        if let mask, mask.shape != reference.shape {
            throw .maskShapeDiffers(mask: mask.shape, volumes: reference.shape)
        }
    }
}
