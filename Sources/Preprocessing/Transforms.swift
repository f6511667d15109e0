import Volumes

/// A reversible preprocessing step.
///
/// ## Law
/// The inverse maps a volume on the transformed grid to the grid, or to the range of intensities, of the original
/// volume. It need not restore lost information: resampling blurs, cropping discards.
public protocol VolumeTransform: Sendable {
    /// The transformed volume and the inverse of the step.
    func apply(to volume: Volume) throws -> TransformedVolume
}

/// The result of a step.
public struct TransformedVolume: Sendable {
    /// The transformed volume.
    public let volume: Volume

    /// The inverse of the step.
    public let inverse: InverseTransform

    /// A transformed volume and the inverse of the step.
    public init(volume: Volume, inverse: InverseTransform) {
        (self.volume, self.inverse) = (volume, inverse)
    }
}

/// The inverse of a step.
///
/// A translated volume is mapped back to the grid of its source, but not to the intensities of its source, which are
/// those of another modality. Hence the two cases.
public enum InverseTransform: Sendable {
    /// The inverse of a step that changed the grid.
    case geometry(@Sendable (Volume) -> Volume)

    /// The inverse of a step that changed intensities.
    case intensity(@Sendable (Volume) -> Volume)

    static let identity = InverseTransform.geometry { $0 }
}

// MARK: Orientation and spacing

/// Permutes and reverses the axes of a volume, without interpolation.
public struct Reorient: VolumeTransform {
    /// The orientation of the result.
    public var orientation: Orientation

    /// A step to an orientation.
    public init(to orientation: Orientation = .ras) { self.orientation = orientation }

    /// The reoriented volume. O(n), and O(1) if it has the orientation already.
    public func apply(to volume: Volume) -> TransformedVolume {
        let permutation = AxisPermutation(from: volume.grid.orientation, to: orientation)
        return TransformedVolume(
            volume: volume.permuted(permutation),
            inverse: .geometry { $0.permuted(permutation.inverse) })
    }
}

/// Resamples a volume to an isotropic spacing by linear interpolation, along its own axes and about its own centre.
///
/// The new grid covers the field of view of the old one. A volume that has the spacing already is returned unchanged.
public struct Resample: VolumeTransform {
    /// Distance between voxels in millimetres.
    public var spacing: Double

    /// The largest result: 2^30 voxels, 4 GiB.
    static let voxelLimit = 1 << 30

    /// A step to a spacing in millimetres, above zero.
    public init(spacing: Double = 1) {
        precondition(spacing > 0 && spacing.isFinite, "the spacing must be above zero")
        self.spacing = spacing
    }

    /// The resampled volume. O(n) in the voxels of the larger grid.
    ///
    /// - Throws: ``PreprocessingError/tooManyVoxels(shape:limit:)`` if the new grid would have more than 2^30 voxels.
    public func apply(to volume: Volume) throws -> TransformedVolume {
        let source = volume.grid
        let ratio = source.spacing / spacing
        guard (0..<3).contains(where: { abs(ratio[$0] - 1) > 1e-4 }) else {
            return TransformedVolume(volume: volume, inverse: .identity)
        }
        let target = try isotropicGrid(over: source, ratio: ratio)
        return TransformedVolume(
            volume: volume.resampled(onto: target, outside: volume.intensityRange.lowerBound),
            inverse: .geometry { $0.resampled(onto: source, outside: $0.intensityRange.lowerBound) })
    }

    private func isotropicGrid(over source: VoxelGrid, ratio: SIMD3<Double>) throws -> VoxelGrid {
        let exact = SIMD3<Double>(source.shape) * ratio
        // Rounding must not add a slice to a field of view that the spacing divides.
        let shape = (exact - 1e-3).rounded(.up).clamped(lowerBound: .one, upperBound: .init(repeating: 1e9))
        guard shape.x * shape.y * shape.z <= Double(Self.voxelLimit) else {
            throw PreprocessingError.tooManyVoxels(shape: shape, limit: Self.voxelLimit)
        }
        let columns = source.affine.columns
        let centre = source.world(atVoxel: (SIMD3<Double>(source.shape) - 1) / 2)
        var affine = Affine(columns: columns.x / ratio.x, columns.y / ratio.y, columns.z / ratio.z)
        affine.translation = centre - affine((shape - 1) / 2)
        return VoxelGrid(shape: SIMD3<Int>(shape), affine: affine)
    }
}

// MARK: Cropping and padding

/// Crops a volume to the bounding box of its foreground: of all voxels above ``threshold``.
///
/// A volume without foreground is returned unchanged.
public struct CropToForeground: VolumeTransform {
    /// The largest intensity of the background, as a fraction of the range of intensities.
    public var threshold: Float

    /// Number of voxels kept on every side of the foreground, within the volume.
    public var margin: Int

    /// A step that keeps the foreground above `threshold`, and `margin` voxels around it.
    public init(threshold: Float = ForegroundMask.defaultThreshold, margin: Int = 0) {
        precondition(margin >= 0, "a margin cannot be negative")
        (self.threshold, self.margin) = (threshold, margin)
    }

    /// The cropped volume; the inverse pads it with its lowest intensity. O(n).
    public func apply(to volume: Volume) -> TransformedVolume {
        guard let box = ForegroundMask.boundingBox(of: volume, threshold: threshold) else {
            return TransformedVolume(volume: volume, inverse: .identity)
        }
        let first = pointwiseMax(box.first &- margin, .zero)
        let last = pointwiseMin(box.last &+ margin, volume.shape &- 1)
        return volume.boxed(from: first, shape: last &- first &+ 1)
    }
}

/// Pads the slices of a plane with the lowest intensity, evenly on both sides, until the numbers of rows and columns are
/// multiples of ``multiple``.
public struct PadToMultiple: VolumeTransform {
    /// The divisor of the numbers of rows and columns.
    public var multiple: Int

    /// The plane of the slices.
    public var plane: SlicePlane

    /// A step that pads the slices of a plane to a multiple, at least one.
    public init(of multiple: Int, plane: SlicePlane = .axial) {
        precondition(multiple > 0, "a multiple must be above zero")
        (self.multiple, self.plane) = (multiple, plane)
    }

    /// The padded volume; the inverse crops it. O(n).
    public func apply(to volume: Volume) -> TransformedVolume {
        var shape = volume.shape
        for axis in plane.permutation(for: volume.grid).sources.prefix(2) {
            shape[axis] = (shape[axis] + multiple - 1) / multiple * multiple
        }
        guard shape != volume.shape else { return TransformedVolume(volume: volume, inverse: .identity) }
        let missing = shape &- volume.shape
        return volume.boxed(from: SIMD3(-(missing.x / 2), -(missing.y / 2), -(missing.z / 2)), shape: shape)
    }
}

extension Volume {
    /// The step that extracts a box, whose inverse puts it back into a volume of the box's lowest intensity.
    fileprivate func boxed(from origin: SIMD3<Int>, shape: SIMD3<Int>) -> TransformedVolume {
        let sourceGrid = grid
        return TransformedVolume(
            volume: box(from: origin, shape: shape, fill: intensityRange.lowerBound),
            inverse: .geometry { boxed in
                let restored = boxed.box(
                    from: .zero &- origin, shape: sourceGrid.shape, fill: boxed.intensityRange.lowerBound)
                return Volume(grid: sourceGrid, voxels: restored.voxels)
            })
    }

    /// The box of `shape` voxels from `origin` on, with `fill` where it extends beyond the volume. World positions are
    /// preserved. O(n) in the voxels of the box.
    package func box(from origin: SIMD3<Int>, shape: SIMD3<Int>, fill: Float) -> Volume {
        var affine = grid.affine
        affine.translation = grid.world(atVoxel: SIMD3<Double>(origin))
        let boxGrid = VoxelGrid(shape: shape, affine: affine)
        var boxVoxels = [Float](repeating: fill, count: boxGrid.count)
        let first = pointwiseMax(origin, .zero)
        let end = pointwiseMin(origin &+ shape, self.shape)
        if all(first .< end) {
            for z in first.z..<end.z {
                for y in first.y..<end.y {
                    let from = grid.offset(first.x, y, z)
                    let to = boxGrid.offset(first.x - origin.x, y - origin.y, z - origin.z)
                    boxVoxels.replaceSubrange(
                        to..<to + end.x - first.x, with: voxels[from..<from + end.x - first.x])
                }
            }
        }
        return Volume(grid: boxGrid, voxels: boxVoxels)
    }
}

// MARK: Intensities

/// Scales intensities linearly to [0, 1], from the minimum to the maximum.
public struct RescaleIntensity: VolumeTransform {
    /// A step that scales to [0, 1].
    public init() {}

    /// The scaled volume. O(n).
    ///
    /// - Throws: ``PreprocessingError/constantVolume(_:)`` if all intensities are equal.
    public func apply(to volume: Volume) throws -> TransformedVolume {
        let range = volume.intensityRange
        // In double precision: the range of two finite floats may exceed the largest float.
        let (low, extent) = (Double(range.lowerBound), Double(range.upperBound) - Double(range.lowerBound))
        guard extent > 0 else { throw PreprocessingError.constantVolume(range.lowerBound) }
        return TransformedVolume(
            volume: volume.map { Float((Double($0) - low) / extent) },
            inverse: .intensity { $0.map { Float(Double($0) * extent + low) } })
    }
}
