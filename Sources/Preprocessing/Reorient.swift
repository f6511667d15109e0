import Volumes

/// Brings the axes of a volume into an order and direction; voxels move, none is interpolated.
public struct Reorient: VolumeTransform {
    /// The orientation of the result.
    public var orientation: Orientation

    /// A step to an orientation.
    public init(to orientation: Orientation = .ras) { self.orientation = orientation }

    /// The turned volume; the inverse turns it back, to the bit.
    public func apply(to volume: Volume) -> TransformedVolume {
        let permutation = AxisPermutation(from: volume.grid.orientation, to: orientation)
        return TransformedVolume(
            volume: volume.permuted(permutation),
            inverse: .geometry { $0.permuted(permutation.inverse) })
    }
}
