public import Volumes
import VoxelSupport

/// A step that interpolates.
protocol ResamplingTransform: VolumeTransform {
    var interpolation: Interpolation { get }
}

extension TransformedVolume {
    /// The volume, and what its inverse makes, without intensities beyond those that were resampled: cubic splines overshoot.
    func keepingRange(of volume: Volume) -> TransformedVolume {
        guard case .geometry(let restore) = inverse else { return self }
        return TransformedVolume(
            volume: self.volume.clamped(to: volume.intensityRange),
            inverse: .geometry { restore($0).clamped(to: $0.intensityRange) })
    }
}

extension Volume {
    fileprivate func clamped(to range: ClosedRange<Float>) -> Volume {
        // A comparison with NaN is false.
        map { $0 < range.lowerBound ? range.lowerBound : $0 > range.upperBound ? range.upperBound : $0 }
    }
}

/// Resamples a volume to an isotropic spacing, along its own axes and about its own centre.
///
/// The new grid covers the field of view of the old one. A volume that has the spacing already is returned unchanged. The
/// inverse interpolates the same way, and never smooths: where thick slices were interpolated, it finds them again. After a
/// ``RescaleIntensity`` in a pipeline, cubic interpolation is clipped to the range of what it resamples.
///
/// In a description: `{"kind": "resample", "spacing": 1, "interpolation": "linear", "antialiasing": "gaussian"}`. Linear
/// interpolation and no anti-aliasing need not be written.
public struct Resample: StorableTransform, ResamplingTransform {
    /// The name in descriptions.
    public static let kind = "resample"

    /// Distance between voxels in millimetres.
    public var spacing: Double

    /// How the volume is continued between its voxels.
    public var interpolation: Interpolation

    /// What is done first along axes on which the new grid is coarser.
    public var antialiasing: Antialiasing

    /// The largest result: 2^30 voxels, 4 GiB, or what fits into the memory several times.
    static let voxelLimit = min(1 << 30, AvailableMemory.bytes / 16)

    /// A step to a spacing in millimetres, above zero.
    public init(
        spacing: Double = 1, interpolation: Interpolation = .linear, antialiasing: Antialiasing = .gaussian
    ) {
        precondition(spacing > 0 && spacing.isFinite, "the spacing must be above zero")
        (self.spacing, self.interpolation, self.antialiasing) = (spacing, interpolation, antialiasing)
    }

    /// The resampled volume. O(n) in the voxels of the larger grid.
    ///
    /// - Throws: ``PreprocessingError/tooManyVoxels(shape:limit:)`` if the new grid would have more than 2^30 voxels.
    public func apply(to volume: Volume) throws -> TransformedVolume {
        guard !keeps(volume.grid) else {
            return TransformedVolume(volume: volume, inverse: .identity)
        }
        return volume.resampled(
            reversiblyOnto: try isotropicGrid(over: volume.grid, ratio: volume.grid.spacing / spacing),
            interpolation,
            antialiasing)
    }

    /// Whether the grid has the spacing already, and stays as it is.
    package func keeps(_ grid: VoxelGrid) -> Bool {
        let ratio = grid.spacing / spacing
        return !(0..<3).contains { abs(ratio[$0] - 1) > 1e-4 }
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

    /// The step with the nearest voxel in place of interpolation.
    public var forLabels: (any VolumeTransform)? {
        var step = self
        step.interpolation = .nearest
        return step
    }

    private enum CodingKeys: String, CodingKey { case spacing, interpolation, antialiasing }

    /// Decodes a step.
    ///
    /// - Throws: `DecodingError` naming the field that is wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let spacing = try fields.decode(Double.self, forKey: .spacing)
        guard spacing > 0, spacing.isFinite else {
            throw DecodingError(
                at: fields.codingPath + [CodingKeys.spacing], found: "\(spacing)",
                expected: "millimetres, above zero")
        }
        self.init(
            spacing: spacing,
            interpolation: try fields.decodeIfPresent(Interpolation.self, forKey: .interpolation) ?? .linear,
            antialiasing: try fields.decodeIfPresent(Antialiasing.self, forKey: .antialiasing) ?? .none)
    }
}

/// Resamples a volume onto a given grid, such as that of another volume of the same person. Outside the volume the result
/// has its lowest intensity.
///
/// In a description: `{"kind": "resample_onto", "grid": {"shape": [...], "affine": [[...], [...], [...]]}}`, with
/// `interpolation` and `antialiasing` as for ``Resample``.
public struct ResampleOnto: StorableTransform, ResamplingTransform {
    /// The name in descriptions.
    public static let kind = "resample_onto"

    /// The grid of the result.
    public var grid: VoxelGrid

    /// How the volume is continued between its voxels.
    public var interpolation: Interpolation

    /// What is done first along axes on which the new grid is coarser.
    public var antialiasing: Antialiasing

    /// A step onto a grid.
    public init(
        _ grid: VoxelGrid, interpolation: Interpolation = .linear, antialiasing: Antialiasing = .gaussian
    ) {
        (self.grid, self.interpolation, self.antialiasing) = (grid, interpolation, antialiasing)
    }

    /// The volume on the grid, and itself if it is there already. O(n) in the voxels of the larger grid.
    ///
    /// - Throws: ``PreprocessingError/tooManyVoxels(shape:limit:)`` if the grid has more than 2^30 voxels.
    public func apply(to volume: Volume) throws -> TransformedVolume {
        guard grid.count <= Resample.voxelLimit else {
            throw PreprocessingError.tooManyVoxels(shape: SIMD3<Double>(grid.shape), limit: Resample.voxelLimit)
        }
        guard !volume.grid.matches(grid) else {
            let source = volume.grid
            return TransformedVolume(
                volume: Volume(grid: grid, voxels: volume.voxels),
                inverse: .geometry { Volume(grid: source, voxels: $0.voxels) })
        }
        return volume.resampled(reversiblyOnto: grid, interpolation, antialiasing)
    }

    /// The step with the nearest voxel in place of interpolation.
    public var forLabels: (any VolumeTransform)? {
        var step = self
        step.interpolation = .nearest
        return step
    }

    private enum CodingKeys: String, CodingKey { case grid, interpolation, antialiasing }

    /// Decodes a step.
    ///
    /// - Throws: `DecodingError` naming the field that is wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try fields.decode(VoxelGrid.self, forKey: .grid),
            interpolation: try fields.decodeIfPresent(Interpolation.self, forKey: .interpolation) ?? .linear,
            antialiasing: try fields.decodeIfPresent(Antialiasing.self, forKey: .antialiasing) ?? .none)
    }
}

extension Volume {
    /// The step onto another grid. Either way, what lies outside has the lowest intensity.
    fileprivate func resampled(
        reversiblyOnto target: VoxelGrid, _ interpolation: Interpolation, _ antialiasing: Antialiasing
    ) -> TransformedVolume {
        let source = grid
        return TransformedVolume(
            volume: resampled(
                onto: target, interpolation: interpolation, antialiasing: antialiasing,
                outside: intensityRange.lowerBound),
            inverse: .geometry {
                $0.resampled(
                    onto: source, interpolation: interpolation, antialiasing: .none,
                    outside: $0.intensityRange.lowerBound)
            })
    }
}
