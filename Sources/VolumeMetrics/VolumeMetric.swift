import Volumes

/// A number that says how near a predicted volume is to a reference.
///
/// ```swift
/// let error = try NRMSE()(prediction, against: reference)
/// let inBrain = try SSIM(dataRange: .fixed(1))(prediction, against: reference, mask: brain)
/// ```
///
/// Your own metrics conform with a name and one method, and then go into a `MetricReport` beside the others:
///
/// ```swift
/// struct MeanBias: VolumeMetric {
///     let name = "bias"
///     func callAsFunction(_ prediction: Volume, against reference: Volume, mask: Volume?) throws -> Double {
///         try MetricError.checkShapes(prediction, reference, mask: mask)
///         ...
///     }
/// }
/// ```
///
/// Laws that conformers keep: the value depends on nothing but the arguments and the metric's own properties,
/// to the bit; a prediction equal to its reference has the best value there is; voxels outside the mask do
/// not change the value, or the metric's documentation says which do.
public protocol VolumeMetric: Sendable {
    /// A short name for tables and reports, such as `psnr`; metrics that differ in settings differ in name.
    var name: String { get }

    /// The metric's value for a prediction.
    ///
    /// - Parameters:
    ///   - prediction: the volume that is judged.
    ///   - reference: the volume that it should equal, voxel for voxel. Shapes are compared; that both lie on
    ///     one grid in the world is for the caller to see to.
    ///   - mask: where to look: voxels above zero. `nil` looks everywhere.
    /// - Throws: `MetricError`.
    func callAsFunction(_ prediction: Volume, against reference: Volume, mask: Volume?) throws -> Double
}

extension VolumeMetric {
    /// The metric's value for a prediction over all voxels.
    ///
    /// - Throws: `MetricError`.
    public func callAsFunction(_ prediction: Volume, against reference: Volume) throws -> Double {
        try self(prediction, against: reference, mask: nil)
    }
}
