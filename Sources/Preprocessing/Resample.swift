import Volumes

/// Resamples a volume linearly to an isotropic spacing, along its own axes and about its own centre.
///
/// The new grid covers the whole field of view of the old one. A volume that has the spacing already is left
/// as it is, to the bit.
public struct Resample: VolumeTransform {
    /// Distance between voxels in millimetres.
    public var spacing: Double

    /// The largest volume that the step makes: 2^30 voxels, 4 GiB.
    static let voxelLimit = 1 << 30

    /// A step to a spacing in millimetres, above zero.
    public init(spacing: Double = 1) {
        precondition(spacing > 0 && spacing.isFinite, "the spacing must be above zero")
        self.spacing = spacing
    }

    /// The resampled volume; the inverse resamples to the grid that was.
    ///
    /// - Throws: ``PreprocessingError/tooManyVoxels(shape:limit:)``.
    public func apply(to volume: Volume) throws -> TransformedVolume {
        let source = volume.grid
        let ratio = source.spacing / spacing
        guard (0..<3).contains(where: { abs(ratio[$0] - 1) > 1e-4 }) else {
            return TransformedVolume(volume: volume, inverse: .geometry { $0 })
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
