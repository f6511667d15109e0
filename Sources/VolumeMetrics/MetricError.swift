import Foundation
import Volumes

/// Why a metric has no value for a pair of volumes.
public enum MetricError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// Prediction and reference differ in shape.
    case shapesDiffer(prediction: SIMD3<Int>, reference: SIMD3<Int>)
    /// The mask is not of the volumes' shape.
    case maskShapeDiffers(mask: SIMD3<Int>, volumes: SIMD3<Int>)
    /// No voxel that the metric could look at lies in the mask.
    case emptyMask(metric: String)
    /// The volumes are smaller than the metric's window somewhere.
    case smallerThanWindow(metric: String, shape: SIMD3<Int>, window: SIMD3<Int>)
    /// A voxel that the metric needs is infinite or NaN.
    case notFinite(metric: String)
    /// The metric divides by something that is zero for these volumes.
    case zeroNormaliser(metric: String, normaliser: String)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .shapesDiffer(let prediction, let reference):
            "the prediction has \(prediction.text) voxels and the reference \(reference.text); "
                + "resample one to the grid of the other"
        case .maskShapeDiffers(let mask, let volumes):
            "the mask has \(mask.text) voxels and the volumes \(volumes.text); resample the mask to their grid"
        case .emptyMask(let metric):
            "the mask holds no voxel above zero where \(metric) has a value; check that it is the right mask"
        case .smallerThanWindow(let metric, let shape, let window):
            "\(metric) needs at least \(window.text) voxels, the size of its window, and the volumes have "
                + "\(shape.text); choose a smaller window"
        case .notFinite(let metric):
            "\(metric) has no value, because the volumes hold infinities or NaN where it looks; "
                + "replace them, or leave them out with a mask"
        case .zeroNormaliser(let metric, let normaliser):
            "\(metric) has no value, because it divides by \(normaliser), which is zero"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }

    /// Throws unless the volumes and the mask are of one shape.
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

extension SIMD3<Int> {
    fileprivate var text: String { "\(x) x \(y) x \(z)" }
}
