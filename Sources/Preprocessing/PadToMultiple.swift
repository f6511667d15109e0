import Volumes

/// Extends the slices of a plane with the volume's lowest intensity, evenly on both sides, until their rows and
/// columns are multiples.
public struct PadToMultiple: VolumeTransform {
    /// What the numbers of rows and of columns are to be divisible by.
    public var multiple: Int

    /// The plane whose slices are extended.
    public var plane: SlicePlane

    /// A step that extends the slices of a plane to a multiple, at least one.
    public init(of multiple: Int, plane: SlicePlane = .axial) {
        precondition(multiple > 0, "a multiple must be above zero")
        (self.multiple, self.plane) = (multiple, plane)
    }

    /// The volume with rows and columns added; the inverse cuts them off again.
    public func apply(to volume: Volume) -> TransformedVolume {
        var shape = volume.shape
        for axis in plane.permutation(for: volume.grid).sources.prefix(2) {
            shape[axis] = (shape[axis] + multiple - 1) / multiple * multiple
        }
        guard shape != volume.shape else {
            return TransformedVolume(volume: volume, inverse: .geometry { $0 })
        }
        let missing = shape &- volume.shape
        return volume.boxed(from: SIMD3(-(missing.x / 2), -(missing.y / 2), -(missing.z / 2)), shape: shape)
    }
}
