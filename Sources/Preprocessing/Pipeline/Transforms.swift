public import Volumes

/// A reversible preprocessing step.
///
/// ## Laws
/// - The inverse maps a volume on the transformed grid to the grid, or to the range of intensities, of the original
///   volume. It need not restore lost information: resampling blurs, cropping discards.
/// - A step fitted to a volume does to that volume what the step itself does, and to any other one on the same grid a
///   change of geometry with the same result grid.
public protocol VolumeTransform: Sendable {
    /// The transformed volume and the inverse of the step.
    func apply(to volume: Volume) throws -> TransformedVolume

    /// The step with everything fixed that its geometry takes from the voxels, such as the box of the foreground; itself
    /// by default. Intensities are not fixed: a partner of another modality has its own.
    func fitted(to volume: Volume) throws -> any VolumeTransform

    /// The step for a volume of labels, which must not be mixed or scaled: itself by default; `nil` to leave it out, as a
    /// step does that changes intensities.
    var forLabels: (any VolumeTransform)? { get }
}

extension VolumeTransform {
    /// The step itself.
    public func fitted(to volume: Volume) throws -> any VolumeTransform { self }

    /// The step itself.
    public var forLabels: (any VolumeTransform)? { self }
}

/// The result of a step.
public struct TransformedVolume: Sendable {
    /// The transformed volume.
    public let volume: Volume

    /// The inverse of the step.
    public let inverse: InverseTransform

    /// What a user should know about the result, as a sentence without a full stop; `nil` if there is nothing.
    public let warning: String?

    /// A transformed volume and the inverse of the step.
    public init(volume: Volume, inverse: InverseTransform, warning: String? = nil) {
        (self.volume, self.inverse, self.warning) = (volume, inverse, warning)
    }
}

/// The inverse of a step.
///
/// A translated volume is mapped back to the grid of its source, but not to the intensities of its source, which are
/// those of another modality. This is why there are two cases.
public enum InverseTransform: Sendable {
    /// The inverse of a step that changed the grid.
    case geometry(@Sendable (Volume) -> Volume)

    /// The inverse of a step that changed intensities.
    case intensity(@Sendable (Volume) -> Volume)

    static let identity = InverseTransform.geometry { $0 }
}

// MARK: Orientation

/// Permutes and reverses the axes of a volume, without interpolation.
///
/// In a description: `{"kind": "reorient", "to": "RAS"}`.
public struct Reorient: StorableTransform {
    /// The name in descriptions.
    public static let kind = "reorient"

    /// The orientation of the result: any of the 48.
    public var orientation: Orientation

    /// A step to an orientation.
    public init(to orientation: Orientation = .ras) { self.orientation = orientation }

    private enum CodingKeys: String, CodingKey { case orientation = "to" }

    /// The reoriented volume. O(n), and O(1) if it has the orientation already.
    public func apply(to volume: Volume) -> TransformedVolume {
        let permutation = AxisPermutation(from: volume.grid.orientation, to: orientation)
        let grid = volume.grid
        return TransformedVolume(
            volume: volume.permuted(permutation),
            inverse: .geometry { Volume(grid: grid, voxels: $0.permuted(permutation.inverse).voxels) })
    }
}
