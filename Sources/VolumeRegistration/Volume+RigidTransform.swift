import Preprocessing
public import Volumes

extension Volume {
    /// The volume at other positions: the same voxels, on a moved grid. O(1).
    public func moved(by transform: RigidTransform) -> Volume {
        Volume(
            grid: VoxelGrid(shape: shape, affine: transform.affine.after(grid.affine)), voxels: voxels)
    }

    /// The volume moved and then resampled onto another grid, by trilinear interpolation. O(n).
    ///
    /// - Parameters:
    ///   - target: the grid of the result.
    ///   - transform: the motion.
    ///   - outside: the intensity of points beyond the volume; `nil` for its lowest intensity.
    public func resampled(
        onto target: VoxelGrid, by transform: RigidTransform, outside: Float? = nil
    ) -> Volume {
        moved(by: transform).resampled(onto: target, outside: outside ?? intensityRange.lowerBound)
    }
}
