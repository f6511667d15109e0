import Volumes

extension Volume {
    /// The voxels from `origin` on in a box of `shape`, which may reach beyond the volume: there it holds
    /// `fill`. Every voxel stays at its place in the world. O(n) in the voxels of the box.
    func box(from origin: SIMD3<Int>, shape: SIMD3<Int>, fill: Float) -> Volume {
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

    /// The transform that cuts out a box, and that pastes a box back into a volume of its lowest intensity.
    func boxed(from origin: SIMD3<Int>, shape: SIMD3<Int>) -> TransformedVolume {
        let sourceGrid = grid
        return TransformedVolume(
            volume: box(from: origin, shape: shape, fill: intensityRange.lowerBound),
            inverse: .geometry { boxed in
                let restored = boxed.box(
                    from: .zero &- origin, shape: sourceGrid.shape, fill: boxed.intensityRange.lowerBound)
                return Volume(grid: sourceGrid, voxels: restored.voxels)
            })
    }
}
