/// A 3-D scalar image: voxels and the grid on which they lie.
///
/// ```swift
/// var volume = Volume(grid: VoxelGrid(shape: [64, 64, 32], spacing: [1, 1, 3]))
/// volume[10, 20, 5] = 0.7
/// let slice = volume.slice(5)             // 64 x 64 values, a view
/// ```
///
/// A volume is a value. Copies share their storage until one of them is changed.
public struct Volume: Equatable, Sendable {
    /// Shape and positions of the voxels.
    public let grid: VoxelGrid

    /// The intensities, x fastest, then y, then z; as many as the grid has voxels.
    ///
    /// They can be changed in place: storage that is not shared is not copied.
    public var voxels: [Float] {
        get { storage }
        _modify {
            yield &storage
            precondition(storage.count == grid.count, "the voxels must fill the grid")
        }
    }

    private var storage: [Float]

    /// A volume from its intensities, x fastest.
    ///
    /// - Precondition: `voxels` has as many elements as the grid has voxels.
    public init(grid: VoxelGrid, voxels: [Float]) {
        precondition(
            voxels.count == grid.count, "\(voxels.count) voxels cannot fill a grid of \(grid.shape.text)")
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

    /// The intensities of slice `z`, row by row: a view of the storage. O(1).
    public func slice(_ z: Int) -> ArraySlice<Float> { slices(z..<z + 1) }

    /// The intensities of adjacent slices: a view of the storage. O(1).
    public func slices(_ range: Range<Int>) -> ArraySlice<Float> {
        let slice = shape.x * shape.y
        return voxels[range.lowerBound * slice..<range.upperBound * slice]
    }

    /// A volume on the same grid with `transform` applied to each voxel. O(n).
    public func map(_ transform: (Float) throws -> Float) rethrows -> Volume {
        Volume(grid: grid, voxels: try voxels.map(transform))
    }

    /// Whether a voxel is NaN. O(n).
    package var containsNaN: Bool {
        typealias Vector = SIMD16<Float>
        var isNaN = SIMDMask<SIMD16<Int32>>(repeating: false)
        storage.withUnsafeBytes { bytes in
            for index in 0..<storage.count / Vector.scalarCount {
                let values = bytes.loadUnaligned(
                    fromByteOffset: index * MemoryLayout<Vector>.size, as: Vector.self)
                isNaN .|= values .!= values
            }
        }
        return any(isNaN) || storage.suffix(storage.count % Vector.scalarCount).contains(where: \.isNaN)
    }

    /// The minimum and maximum intensity. NaN is ignored; if all voxels are NaN, the range is 0...0. O(n).
    public var intensityRange: ClosedRange<Float> {
        typealias Vector = SIMD16<Float>
        var lows = Vector(repeating: .infinity)
        var highs = -lows
        storage.withUnsafeBytes { bytes in
            let whole = storage.count / Vector.scalarCount
            for index in 0..<whole {
                let values = bytes.loadUnaligned(
                    fromByteOffset: index * MemoryLayout<Vector>.size, as: Vector.self)
                // A comparison with NaN is false.
                lows.replace(with: values, where: values .< lows)
                highs.replace(with: values, where: values .> highs)
            }
        }
        for value in storage.suffix(storage.count % Vector.scalarCount) {
            if value < lows[0] { lows[0] = value }
            if value > highs[0] { highs[0] = value }
        }
        let (low, high) = (lows.min(), highs.max())
        return low <= high ? low...high : 0...0
    }
}

/// A volume is described by its grid and its range of intensities, not by its voxels.
extension Volume: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Shape, spacing, orientation and intensities, for example
    /// `91 x 109 x 91 voxels of 2 x 2 x 2 mm, LAS, intensities 0 to 1`. O(n).
    public var description: String {
        let range = intensityRange
        let (low, high) = (Double(range.lowerBound).shortText, Double(range.upperBound).shortText)
        return "\(grid), intensities \(low) to \(high)"
    }

    /// The same as `description`.
    public var debugDescription: String { description }

    /// The grid and the range of intensities.
    public var customMirror: Mirror {
        Mirror(self, children: ["grid": grid, "intensityRange": intensityRange], displayStyle: .struct)
    }
}
