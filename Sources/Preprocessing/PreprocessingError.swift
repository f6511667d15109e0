import Volumes

/// Why a volume could not be prepared or restored.
public enum PreprocessingError: Error, CustomStringConvertible {
    /// Every voxel has one value, so that there is no range of intensities to scale.
    case constantVolume(Float)

    /// A volume to restore is not on the grid that was prepared.
    case gridMismatch(found: VoxelGrid, expected: VoxelGrid)

    /// Resampling would make a volume of more voxels than are allowed.
    case tooManyVoxels(shape: SIMD3<Double>, limit: Int)

    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .constantVolume(let value):
            "every voxel of the volume is \(value): there is nothing to translate"
        case .gridMismatch(let found, let expected):
            "a volume of \(text(found)) cannot be restored: the prepared one has \(text(expected)); give the "
                + "prepared volume, or one made from it"
        case .tooManyVoxels(let shape, let limit):
            "resampling would make \(shape.x) x \(shape.y) x \(shape.z) voxels, more than \(limit): choose a "
                + "larger spacing, or check the spacing in the file's header"
        }
    }

    private func text(_ grid: VoxelGrid) -> String {
        "\(grid.shape.x) x \(grid.shape.y) x \(grid.shape.z) voxels, \(grid.orientation)"
    }
}
