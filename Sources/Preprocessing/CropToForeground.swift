import Volumes

/// Cuts a volume down to the smallest box around its foreground.
///
/// Foreground is every voxel above ``threshold``. A volume without any is left as it is.
public struct CropToForeground: VolumeTransform {
    /// Where the foreground begins, as a share of the range of intensities.
    public var threshold: Float

    /// Voxels kept on every side of the foreground, as far as the volume reaches.
    public var margin: Int

    /// A step that keeps the foreground above `threshold` and `margin` voxels around it.
    public init(threshold: Float = ForegroundMask.defaultThreshold, margin: Int = 0) {
        precondition(margin >= 0, "a margin cannot be negative")
        (self.threshold, self.margin) = (threshold, margin)
    }

    /// The volume cut down; the inverse surrounds it with its lowest intensity.
    public func apply(to volume: Volume) -> TransformedVolume {
        guard let box = ForegroundMask.boundingBox(of: volume, threshold: threshold) else {
            return TransformedVolume(volume: volume, inverse: .geometry { $0 })
        }
        let first = pointwiseMax(box.first &- margin, .zero)
        let last = pointwiseMin(box.last &+ margin, volume.shape &- 1)
        return volume.boxed(from: first, shape: last &- first &+ 1)
    }
}
