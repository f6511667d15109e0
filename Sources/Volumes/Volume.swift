/// A scalar image in three dimensions: voxels, and the grid on which they lie.
///
/// ```swift
/// var volume = Volume(grid: VoxelGrid(shape: [64, 64, 32], spacing: [1, 1, 3]))
/// volume[10, 20, 5] = 0.7
/// let slice = volume.slice(5)             // 64 x 64 values, a view
/// ```
///
/// A volume is a value. Copies share their voxels until one of them is changed.
public struct Volume: Equatable, Sendable {
    /// Shape and position of the voxels.
    public let grid: VoxelGrid

    /// The voxels, x fastest, then y, then z. Its count is that of the grid.
    ///
    /// Changing them in place costs what the change costs: no copy is made of voxels that nobody else holds.
    public var voxels: [Float] {
        get { storage }
        _modify {
            yield &storage
            precondition(storage.count == grid.count, "the voxels must fill the grid")
        }
    }

    private var storage: [Float]

    /// A volume from its voxels, x fastest.
    ///
    /// - Precondition: there are as many voxels as the grid has.
    public init(grid: VoxelGrid, voxels: [Float]) {
        precondition(
            voxels.count == grid.count, "\(voxels.count) voxels cannot fill a grid of \(grid.shape)")
        self.grid = grid
        storage = voxels
    }

    /// A volume with every voxel at `value`.
    public init(grid: VoxelGrid, repeating value: Float = 0) {
        self.init(grid: grid, voxels: [Float](repeating: value, count: grid.count))
    }

    /// Number of voxels along each axis.
    public var shape: SIMD3<Int> { grid.shape }

    /// The voxel at column `x`, row `y`, slice `z`. O(1).
    public subscript(x: Int, y: Int, z: Int) -> Float {
        get { voxels[grid.offset(x, y, z)] }
        _modify { yield &storage[grid.offset(x, y, z)] }
    }

    /// The voxels of slice `z`, row by row, as a view of the shared storage. O(1).
    public func slice(_ z: Int) -> ArraySlice<Float> { slices(z..<z + 1) }

    /// The voxels of neighbouring slices, as a view of the shared storage. O(1).
    public func slices(_ range: Range<Int>) -> ArraySlice<Float> {
        let slice = shape.x * shape.y
        return voxels[range.lowerBound * slice..<range.upperBound * slice]
    }

    /// A volume on the same grid with `transform` applied to each voxel. O(n).
    public func map(_ transform: (Float) throws -> Float) rethrows -> Volume {
        Volume(grid: grid, voxels: try voxels.map(transform))
    }

    /// The least and the greatest intensity. NaN is passed over; a volume of NaN alone gives 0...0. O(n).
    public var intensityRange: ClosedRange<Float> {
        var (low, high) = (Float.infinity, -Float.infinity)
        for value in voxels {
            if value < low { low = value }
            if value > high { high = value }
        }
        return low <= high ? low...high : 0...0
    }
}
