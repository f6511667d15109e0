import Volumes

/// Extends a volume with its lowest intensity, evenly on both sides, until its extents are multiples.
public struct PadToMultiple: VolumeTransform {
    /// What the extents are to be divisible by.
    public var multiple: Int

    /// The axes (0, 1, 2) that are extended.
    public var axes: [Int]

    /// A step that extends `axes` to a multiple, at least one.
    public init(of multiple: Int, axes: [Int] = [0, 1, 2]) {
        precondition(multiple > 0, "a multiple must be above zero")
        precondition(axes.allSatisfy((0..<3).contains), "the axes of a volume are 0, 1 and 2")
        (self.multiple, self.axes) = (multiple, axes)
    }

    /// The extended volume; the inverse cuts off what was added.
    public func apply(to volume: Volume) -> TransformedVolume {
        var shape = volume.shape
        for axis in axes { shape[axis] = (shape[axis] + multiple - 1) / multiple * multiple }
        guard shape != volume.shape else {
            return TransformedVolume(volume: volume, inverse: .geometry { $0 })
        }
        let missing = shape &- volume.shape
        return volume.boxed(from: SIMD3(-(missing.x / 2), -(missing.y / 2), -(missing.z / 2)), shape: shape)
    }
}
