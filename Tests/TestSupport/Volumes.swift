import Volumes

extension Volume {
    /// A volume of values drawn evenly from -1 to 1.
    public static func random(
        shape: SIMD3<Int>, spacing: SIMD3<Double> = .one, using generator: inout SeededGenerator
    ) -> Volume {
        let grid = VoxelGrid(shape: shape, spacing: spacing)
        return Volume(grid: grid, voxels: generator.floats(grid.count))
    }
}
