import VoxelSupport

/// A permutation of a volume's axes, of which any may be reversed.
///
/// It reorders voxels without interpolation: the result has the same intensities at the same world positions.
public struct AxisPermutation: Hashable, Sendable {
    /// For each axis of the result, the axis of the original (0, 1 or 2); each occurs once.
    public let sources: [Int]

    /// For each axis of the result, whether its direction is reversed.
    public let isReversed: [Bool]

    /// The permutation that changes nothing.
    public static let identity = AxisPermutation(sources: [0, 1, 2])

    /// A permutation.
    ///
    /// - Precondition: `sources` holds 0, 1 and 2 once each.
    public init(sources: [Int], isReversed: [Bool] = [false, false, false]) {
        precondition(sources.sorted() == [0, 1, 2] && isReversed.count == 3, "each axis must occur once")
        self.sources = sources
        self.isReversed = isReversed
    }

    /// The permutation from one orientation to another.
    public init(from: Orientation, to: Orientation) {
        let sources = to.directions.map { from.voxelAxis(onWorldAxis: $0.worldAxis) }
        self.init(
            sources: sources,
            isReversed: zip(to.directions, sources).map { $0.isPositive != from.directions[$1].isPositive })
    }

    /// The inverse permutation.
    public var inverse: AxisPermutation {
        let targets = (0..<3).map { sources.firstIndex(of: $0)! }
        return AxisPermutation(sources: targets, isReversed: targets.map { isReversed[$0] })
    }
}

/// The plane of the slices of a volume.
public enum SlicePlane: String, CaseIterable, Sendable, Codable {
    /// Slices from feet to head.
    case axial
    /// Slices from back to front.
    case coronal
    /// Slices from left to right.
    case sagittal

    /// The world axis along which slices are stacked: 0 right-left, 1 front-back, 2 head-feet.
    public var worldAxis: Int {
        switch self {
        case .axial: 2
        case .coronal: 1
        case .sagittal: 0
        }
    }

    /// The permutation that makes the slices of this plane contiguous: the voxel axis closest to the plane's normal
    /// comes last; the other two keep their order and become columns and rows.
    ///
    /// In a RAS grid (columns, rows, slices) are (x, y, z) for axial slices, (x, z, y) for coronal and (y, z, x) for
    /// sagittal ones.
    public func permutation(for grid: VoxelGrid) -> AxisPermutation {
        let normal = grid.orientation.voxelAxis(onWorldAxis: worldAxis)
        return AxisPermutation(sources: [0, 1, 2].filter { $0 != normal } + [normal])
    }
}

extension VoxelGrid {
    /// The grid with permuted axes. The world position of every voxel is preserved.
    public func permuted(_ permutation: AxisPermutation) -> VoxelGrid {
        let columns = [affine.columns.x, affine.columns.y, affine.columns.z]
        var origin = affine.translation
        var newShape = SIMD3<Int>.zero
        var newColumns = columns
        for axis in 0..<3 {
            let source = permutation.sources[axis]
            newShape[axis] = shape[source]
            newColumns[axis] = permutation.isReversed[axis] ? -columns[source] : columns[source]
            if permutation.isReversed[axis] { origin += columns[source] * Double(shape[source] - 1) }
        }
        return VoxelGrid(
            shape: newShape,
            affine: Affine(columns: newColumns[0], newColumns[1], newColumns[2], translation: origin))
    }
}

extension Volume {
    /// The volume with permuted axes. O(n), and O(1) for the identity.
    public func permuted(_ permutation: AxisPermutation) -> Volume {
        guard permutation != .identity else { return self }
        let newGrid = grid.permuted(permutation)
        let oldStrides = [1, shape.x, shape.x * shape.y]
        var start = 0
        var strides = [0, 0, 0]
        for axis in 0..<3 {
            let source = permutation.sources[axis]
            strides[axis] = permutation.isReversed[axis] ? -oldStrides[source] : oldStrides[source]
            if permutation.isReversed[axis] { start += oldStrides[source] * (shape[source] - 1) }
        }
        let permutedVoxels = voxels.withUnsafeBufferPointer { old in
            [Float](unsafeUninitializedCapacity: newGrid.count) { new, count in
                gather(old, from: start, strides: strides, shape: newGrid.shape, into: new)
                count = newGrid.count
            }
        }
        return Volume(grid: newGrid, voxels: permutedVoxels)
    }
}

/// Fills `new` (x fastest) with the voxels of `old` at `start + x * strides[0] + y * strides[1] + ...`.
///
/// The rows of the result and the axis that is contiguous in `old` are traversed in square blocks, so that neither reads
/// nor writes touch a new cache line at each voxel.
private func gather(
    _ old: UnsafeBufferPointer<Float>, from start: Int, strides: [Int], shape: SIMD3<Int>,
    into new: UnsafeMutableBufferPointer<Float>
) {
    let block = 32
    let newStrides = [1, shape.x, shape.x * shape.y]
    let contiguous = strides.firstIndex { abs($0) == 1 }!
    let inner = contiguous == 0 ? 1 : contiguous
    let outer = 3 - inner
    let (strideX, strideInner, strideOuter) = (strides[0], strides[inner], strides[outer])
    let (newInner, newOuter) = (newStrides[inner], newStrides[outer])
    let bands = (shape[inner] + block - 1) / block
    concurrentRuns(of: shape[outer] * bands, by: 1) { run in
        let (o, innerStart) = (run.lowerBound / bands, run.lowerBound % bands * block)
        for xStart in stride(from: 0, to: shape.x, by: block) {
            for i in innerStart..<min(innerStart + block, shape[inner]) {
                let from = start + o * strideOuter + i * strideInner
                let to = o * newOuter + i * newInner
                for x in xStart..<min(xStart + block, shape.x) {
                    new[to + x] = old[from + x * strideX]
                }
            }
        }
    }
}
