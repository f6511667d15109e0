import Preprocessing
public import TensorFiles
public import Volumes

/// A source's latent, and the way back from a latent to the source's grid. It serves any number of targets.
public struct EncodedVolume: Sendable {
    /// The quantised latent, `[1, z channels, z, y, x]`.
    public let latent: Tensor

    /// The source as the encoder saw it.
    public let prepared: Volume

    /// The grid of the source.
    public let sourceGrid: VoxelGrid

    /// nil where the source was taken as it is.
    private let preparation: (prepared: PreparedVolume, foreground: ForegroundMask, bounds: [Double])?

    /// A source that was taken as it is.
    init(_ source: Volume, latent: Tensor) {
        (prepared, sourceGrid, self.latent, preparation) = (source, source.grid, latent, nil)
    }

    /// A source that was prepared.
    init(_ source: Volume, _ prepared: PreparedVolume, bounds: [Double], latent: Tensor) {
        (self.prepared, sourceGrid, self.latent) = (prepared.volume, source.grid, latent)
        preparation = (prepared, ForegroundMask(of: source), bounds)
    }

    /// A decoded volume on the source's grid.
    ///
    /// - Parameter decoded: `[1, 1, z, y, x]`, of the prepared volume's shape.
    /// - Returns: intensities with 0 and 1 where the preparation's bounds are, and 0 in the source's background and outside
    ///   the crop; as decoded where the source was taken as it is.
    func restored(_ decoded: Tensor) throws -> Volume {
        let volume = Volume(grid: prepared.grid, voxels: decoded.values)
        guard let preparation else { return volume }
        let (low, extent) = (preparation.bounds[0], preparation.bounds[1] - preparation.bounds[0])
        let unit = volume.map { Float((Double($0) - low) / extent) }
        let restored = try preparation.prepared.restoreGrid(of: unit)
        let cleared = preparation.foreground.clearingBackground(of: restored)
        // Reordering axes and back may round the affine; the result lies on the source's grid itself.
        return Volume(grid: sourceGrid, voxels: cleared.voxels)
    }
}
