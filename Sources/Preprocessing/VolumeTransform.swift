import Volumes

/// A step that prepares a volume, and that can be undone.
///
/// ## Law that a conformer keeps
/// The inverse takes a volume on the transformed grid back to the grid, or to the intensity range, of the
/// volume that the step was applied to. It need not bring back what the step threw away: resampling blurs,
/// and cropping forgets what it cut off.
public protocol VolumeTransform: Sendable {
    /// The transformed volume, and how to undo the step.
    func apply(to volume: Volume) throws -> TransformedVolume
}

/// What a step made of a volume.
public struct TransformedVolume: Sendable {
    /// The volume after the step.
    public let volume: Volume

    /// How to undo the step.
    public let inverse: InverseTransform

    /// A volume and how to undo what was done to it.
    public init(volume: Volume, inverse: InverseTransform) {
        (self.volume, self.inverse) = (volume, inverse)
    }
}

/// How to undo a step.
///
/// A translated volume goes back to its source's grid, but not to its source's intensities, which belong to
/// another modality. So the two kinds are told apart.
public enum InverseTransform: Sendable {
    /// Undoes a step that moved voxels.
    case geometry(@Sendable (Volume) -> Volume)

    /// Undoes a step that changed intensities.
    case intensity(@Sendable (Volume) -> Volume)
}
