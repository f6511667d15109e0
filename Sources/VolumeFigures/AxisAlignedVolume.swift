import Preprocessing
import Volumes

extension VoxelGrid {
    /// Whether the voxel axes are the world's, to half a degree.
    var isAxisAligned: Bool {
        let columns = [affine.columns.x, affine.columns.y, affine.columns.z]
        return zip(columns, orientation.directions).allSatisfy { column, direction in
            abs(column[direction.worldAxis]) >= 0.99996 * (column * column).sum().squareRoot()
        }
    }

    /// A grid along the world's axes that holds this one, as fine as this one's finest axis, but of at most 512 voxels
    /// along each.
    fileprivate var straightened: VoxelGrid {
        let far = SIMD3<Double>(shape &- 1)
        var (low, high) = (SIMD3<Double>(repeating: .infinity), SIMD3<Double>(repeating: -.infinity))
        for corner in 0..<8 {
            let voxel = SIMD3<Double>(
                corner & 1 == 0 ? 0 : far.x, corner & 2 == 0 ? 0 : far.y, corner & 4 == 0 ? 0 : far.z)
            low = pointwiseMin(low, world(atVoxel: voxel))
            high = pointwiseMax(high, world(atVoxel: voxel))
        }
        let spacing = max(self.spacing.min(), (high - low).max() / 511)
        let counts = ((high - low) / spacing).rounded(.up) + 1
        return VoxelGrid(
            shape: SIMD3(Int(counts.x), Int(counts.y), Int(counts.z)),
            affine: Affine(spacing: SIMD3(repeating: spacing), translation: low))
    }
}

extension Volume {
    /// The volume in RAS order, with its axes along the world's: an oblique volume is resampled, with NaN outside it, and
    /// others keep their voxels.
    var drawnStraight: Volume {
        grid.isAxisAligned
            ? permuted(AxisPermutation(from: grid.orientation, to: .ras))
            : resampled(onto: grid.straightened, outside: .nan)
    }
}
