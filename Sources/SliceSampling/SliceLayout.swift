/// How a run lays out its slices: the source extended by N background slices at both ends, and the state.
///
/// The state x_t is one stack as long as the extended source where windows share their slices, and a stack of
/// 2N+1 slices for each window where they do not.
struct SliceLayout: Equatable, Sendable {
    let rows: Int
    let columns: Int
    let radius: Int
    /// Number of windows, one around each slice of the volume.
    let windows: Int
    let windowsShareSlices: Bool
    /// The order of axes that makes the plane's slices contiguous.
    let permutation: AxisPermutation

    init(plane: SlicePlane, radius: Int, of grid: VoxelGrid, windowsShareSlices: Bool) {
        permutation = plane.permutation(for: grid)
        columns = grid.shape[permutation.sources[0]]
        rows = grid.shape[permutation.sources[1]]
        windows = grid.shape[permutation.sources[2]]
        self.radius = radius
        self.windowsShareSlices = windowsShareSlices
    }

    var slicesPerWindow: Int { 2 * radius + 1 }
    var voxelsPerSlice: Int { rows * columns }
    var sourceSlices: Int { windows + 2 * radius }
    var stateSlices: Int { windowsShareSlices ? sourceSlices : windows * slicesPerWindow }
    /// Slices from the start of one window's state to the start of the next.
    var stateStride: Int { windowsShareSlices ? 1 : slicesPerWindow }

    /// The slice of the extended source that belongs to a slice of the state.
    func sourceSlice(ofState slice: Int) -> Int {
        windowsShareSlices ? slice : slice / slicesPerWindow + slice % slicesPerWindow
    }

    /// The slice of the state that a window has at a position.
    func stateSlice(window: Int, position: Int) -> Int { window * stateStride + position }

    /// Where a slice's voxels lie in a stack.
    func voxels(ofSlice slice: Int) -> Range<Int> {
        slice * voxelsPerSlice..<(slice + 1) * voxelsPerSlice
    }

    /// A volume's slices one after another, with N slices of background before and behind.
    func extended(_ volume: Volume, by background: Float) -> [Float] {
        let end = [Float](repeating: background, count: radius * voxelsPerSlice)
        return end + volume.permuted(permutation).voxels + end
    }

    /// A stack laid out as the state, from one laid out as the extended source.
    func state(from source: [Float]) -> [Float] {
        guard !windowsShareSlices else { return source }
        var state: [Float] = []
        state.reserveCapacity(stateSlices * voxelsPerSlice)
        for slice in 0..<stateSlices { state += source[voxels(ofSlice: sourceSlice(ofState: slice))] }
        return state
    }

    /// The middle slice of every window of a stack that is laid out as the state, on a volume's grid.
    func volume(of stack: [Float], on grid: VoxelGrid) -> Volume {
        let first = voxels(ofSlice: radius).lowerBound
        let middle =
            windowsShareSlices
            ? Array(stack[first..<first + windows * voxelsPerSlice])
            : (0..<windows).flatMap { stack[voxels(ofSlice: stateSlice(window: $0, position: radius))] }
        let permuted = Volume(grid: grid.permuted(permutation), voxels: middle)
        return Volume(grid: grid, voxels: permuted.permuted(permutation.inverse).voxels)
    }

    /// `values <- weight * values + otherWeight * other + sourceWeight * source`, where `values` and `other` are
    /// laid out as the state and `source` as the extended source.
    func blend(
        _ values: inout [Float], _ weight: Double, _ other: [Float], _ otherWeight: Double,
        _ source: [Float], _ sourceWeight: Double
    ) {
        let (weight, otherWeight, sourceWeight) = (Float(weight), Float(otherWeight), Float(sourceWeight))
        values.withUnsafeMutableBufferPointer { values in
            other.withUnsafeBufferPointer { other in
                source.withUnsafeBufferPointer { source in
                    for slice in 0..<stateSlices {
                        let indices = voxels(ofSlice: slice)
                        let start = voxels(ofSlice: sourceSlice(ofState: slice)).lowerBound
                        let shift = start - indices.lowerBound
                        for index in indices {
                            values[index] =
                                weight * values[index] + otherWeight * other[index]
                                + sourceWeight * source[index + shift]
                        }
                    }
                }
            }
        }
    }
}
