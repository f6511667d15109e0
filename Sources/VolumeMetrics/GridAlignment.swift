import Foundation
import Volumes

/// Reorders the voxels of a volume that is stored with permuted or reversed axes to the grid of another, without interpolation.
///
/// ```swift
/// let mask = try GridAlignment.aligned(brain, onto: reference.grid, name: "the mask")
/// ```
///
/// Metrics compare voxels with the same indices. The same image may be stored from left to right in one file and from
/// right to left in another: its voxels are reordered. A volume whose voxels lie elsewhere is refused.
public enum GridAlignment {
    /// The volume with its axes in the order of a grid.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - grid: the grid to store it on.
    ///   - name: what to call the volume in an error.
    /// - Returns: the volume with its axes permuted and reversed as necessary. Its grid is `grid`.
    /// - Throws: ``MisalignedError`` if voxels are more than a hundredth of a voxel from those of the grid.
    public static func aligned(
        _ volume: Volume, onto grid: VoxelGrid, name: String = "the volume"
    ) throws(MisalignedError) -> Volume {
        guard volume.grid != grid else { return volume }
        let order = AxisPermutation(from: volume.grid.orientation, to: grid.orientation)
        // An axis of one voxel, or an oblique grid, may count as any orientation: the order as stored is tried first.
        for permutation in [.identity, order]
        where volume.grid.permuted(permutation).matches(grid) {
            return Volume(grid: grid, voxels: volume.permuted(permutation).voxels)
        }
        throw MisalignedError(name: name, found: volume.grid, expected: grid)
    }
}

/// A volume that does not lie on the grid that it is compared on.
public struct MisalignedError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// What the volume is, for the message.
    public let name: String
    /// The volume's grid.
    public let found: VoxelGrid
    /// The grid it should lie on.
    public let expected: VoxelGrid

    /// What was found, what was expected and what to do.
    public var description: String {
        let reordered = found.permuted(AxisPermutation(from: found.orientation, to: expected.orientation))
        return
            "\(name) is not on the reference's grid: \(reordered.difference(from: expected)); resample it onto the "
            + "reference's grid first"
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
