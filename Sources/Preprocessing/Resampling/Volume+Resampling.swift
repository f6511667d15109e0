import Volumes

extension Volume {
    /// The volume on another grid.
    ///
    /// ```swift
    /// let moved = flair.resampled(onto: t1.grid)                                       // voxel by voxel beside the T1
    /// let labels = atlas.resampled(onto: t1.grid, interpolation: .nearest)             // labels are never mixed
    /// ```
    ///
    /// Points up to half a voxel beyond the outermost voxels' centres have the intensity at the edge; points farther out
    /// have the intensity `outside`. The result is the same to the bit on any number of cores.
    ///
    /// Where the nearest voxel is NaN, so is the result; elsewhere NaN counts as `outside`, or as the lowest
    /// intensity if that is NaN, so that it does not spread.
    ///
    /// - Parameters:
    ///   - target: the new grid, anywhere in the world.
    ///   - interpolation: how the volume is continued between its voxels. Orders 0, 1 and 3 agree with SciPy's
    ///     `map_coordinates` within the outermost voxels' centres.
    ///   - antialiasing: what is done first along axes on which the new grid is coarser. Nothing with `.nearest`.
    ///   - outside: the intensity outside the volume. It is evaluated only if the new grid may reach there.
    /// - Complexity: O(n) in the voxels of the larger grid. Grids whose axes are parallel, in any order and direction, are
    ///   resampled axis by axis, several times as fast as others.
    public func resampled(
        onto target: VoxelGrid, interpolation: Interpolation = .linear,
        antialiasing: Antialiasing = .gaussian, outside: @autoclosure () -> Float = 0
    ) -> Volume {
        if interpolation != .nearest, containsNaN {
            let outside = outside()
            let fill = outside.isNaN ? intensityRange.lowerBound : outside
            let isNumber = map { $0.isNaN ? 0 : 1 }.resampled(
                onto: target, interpolation: .nearest, outside: 1)
            var result = map { $0.isNaN ? fill : $0 }.resampled(
                onto: target, interpolation: interpolation, antialiasing: antialiasing, outside: outside)
            for (index, value) in isNumber.voxels.enumerated() where value == 0 { result.voxels[index] = .nan }
            return result
        }
        // Of the source's axes in the order of the target's, each runs roughly along its counterpart.
        let nearest = Orientation(nearestTo: grid.inverseAffine.after(target.affine))
        let source = permuted(AxisPermutation(sources: nearest.directions.map(\.worldAxis)))
        let map = GridMap(from: target, to: source.grid)
        let deviations = (0..<3).map { axis in
            interpolation == .nearest ? 0 : antialiasing.standardDeviation(squaredRatio: map.squaredRatio(axis))
        }
        let block = VoxelBlock(shape: source.shape, values: source.voxels)
        let voxels =
            map.isAligned
            ? block.resampledByAxis(map, interpolation, deviations: deviations, outside: outside())
            : block.resampledByPoint(map, interpolation, deviations: deviations, outside: outside())
        return Volume(grid: target, voxels: voxels)
    }

    /// The trilinear interpolation at a voxel position, or `nil` if it is more than half a voxel outside. O(1).
    package func interpolated(atVoxel position: SIMD3<Double>) -> Float? {
        let reach = SIMD3<Double>(shape) - 1 + GridMap.reach
        guard all(position .>= -GridMap.reach), all(position .<= reach) else { return nil }
        return voxels.withUnsafeBufferPointer {
            LinearSampler(values: $0.baseAddress!, shape: shape).value(at: position)
        }
    }
}

/// The map from the voxels of a new grid to positions in the voxels of an old one.
struct GridMap {
    let affine: Affine
    let newShape: SIMD3<Int>
    let oldShape: SIMD3<Int>

    /// How far beyond the outermost voxels' centres a volume reaches: half a voxel, plus the rounding of affines.
    static let reach = 0.5 + 1e-6

    init(from new: VoxelGrid, to old: VoxelGrid) {
        affine = old.inverseAffine.after(new.affine)
        (newShape, oldShape) = (new.shape, old.shape)
    }

    /// The old voxels that a step along each new axis moves by.
    var steps: [SIMD3<Double>] { [affine.columns.x, affine.columns.y, affine.columns.z] }

    /// Whether each new axis is parallel to the old one, so that no voxel is moved off it by more than 1e-5 voxels.
    var isAligned: Bool {
        (0..<3).allSatisfy { axis in
            let drift = (0..<3).filter { $0 != axis }.map { abs(steps[$0][axis]) * Double(newShape[$0] - 1) }
            return drift.reduce(0, +) < 1e-5
        }
    }

    /// The square of the spacing of the new grid along an old axis, in old voxels: the variance along that axis of a new
    /// voxel's profile, if that of an old one has the variance 1.
    func squaredRatio(_ axis: Int) -> Double { steps.map { $0[axis] * $0[axis] }.reduce(0, +) }

    /// The positions of new voxels along an axis of an aligned map.
    func positions(_ axis: Int) -> [Double] {
        (0..<newShape[axis]).map { affine.translation[axis] + Double($0) * steps[axis][axis] }
    }

    /// The voxels of the new row (y, z) that lie in the old volume.
    func columnsInside(y: Int, z: Int) -> Range<Int> {
        let (start, step) = (affine([0, Double(y), Double(z)]), affine.columns.x)
        var (first, last) = (0.0, Double(newShape.x - 1))
        for axis in 0..<3 {
            let low = -Self.reach - start[axis]
            let high = Double(oldShape[axis] - 1) + Self.reach - start[axis]
            if step[axis] == 0 {
                guard low <= 0, high >= 0 else { return 0..<0 }
            } else {
                let (one, other) = (low / step[axis], high / step[axis])
                first = max(first, min(one, other).rounded(.up))
                last = min(last, max(one, other).rounded(.down))
            }
        }
        return first <= last ? Int(first)..<Int(last) + 1 : 0..<0
    }
}

extension VoxelBlock {
    /// The numbers at the places of an aligned map, one axis after another.
    func resampledByAxis(
        _ map: GridMap, _ interpolation: Interpolation, deviations: [Double],
        outside: @autoclosure () -> Float
    ) -> [Float] {
        var block = self
        // An axis that loses voxels goes first: it leaves less to do for the others.
        let growth = (0..<3).map { Double(map.newShape[$0]) / Double(map.oldShape[$0]) }
        for axis in (0..<3).sorted(by: { growth[$0] < growth[$1] }) {
            var filter = AxisFilter(
                count: map.oldShape[axis], positions: map.positions(axis), interpolation: interpolation)
            if deviations[axis] > 0 {
                let smoothing = AxisFilter(count: map.oldShape[axis], gaussian: deviations[axis])
                if filter.isSpline {
                    block = block.filtered(smoothing, along: axis)
                } else {
                    filter = filter.after(smoothing)
                }
            }
            block = block.filtered(filter, along: axis)
        }
        block.fill(
            outside: (0..<3).map { axis in
                let last = Double(map.oldShape[axis] - 1) + GridMap.reach
                let inside = map.positions(axis).map { $0 >= -GridMap.reach && $0 <= last }
                return inside.firstIndex(of: true).map { $0..<inside.lastIndex(of: true)! + 1 } ?? 0..<0
            }, with: outside())
        return block.values
    }

    /// Sets all numbers outside a box.
    private mutating func fill(outside box: [Range<Int>], with value: @autoclosure () -> Float) {
        guard (0..<3).contains(where: { box[$0] != 0..<shape[$0] }) else { return }
        let value = value()
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                let row = (z * shape.y + y) * shape.x
                let inside = box[2].contains(z) && box[1].contains(y) ? box[0] : 0..<0
                for x in 0..<inside.lowerBound { values[row + x] = value }
                for x in inside.upperBound..<shape.x { values[row + x] = value }
            }
        }
    }

    /// The numbers at the places of any map, one after another.
    func resampledByPoint(
        _ map: GridMap, _ interpolation: Interpolation, deviations: [Double], outside: Float
    ) -> [Float] {
        var block = self
        for axis in 0..<3 where deviations[axis] > 0 {
            block = block.filtered(AxisFilter(count: shape[axis], gaussian: deviations[axis]), along: axis)
        }
        if interpolation == .cubic {
            for axis in 0..<3 { block = block.prefiltered(along: axis) }
            block = block.mirroredEdges()
        }
        return block.values.withUnsafeBufferPointer { values in
            let values = values.baseAddress!
            return switch interpolation {
            case .nearest: sampled(NearestSampler(values: values, shape: shape), at: map, outside: outside)
            case .linear: sampled(LinearSampler(values: values, shape: shape), at: map, outside: outside)
            case .cubic: sampled(CubicSampler(coefficients: values, shape: shape), at: map, outside: outside)
            }
        }
    }
}
