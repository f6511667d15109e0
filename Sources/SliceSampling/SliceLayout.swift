/// How a run lays out its slices: the source extended by N background slices at both ends, and the state.
///
/// The state x_t is one stack as long as the extended source where windows share their slices, and a stack of
/// 2N+1 slices for each window where they do not.
struct SliceLayout: Sendable {
    let rows: Int
    let columns: Int
    let radius: Int
    /// Number of windows, one around each slice of the volume.
    let windows: Int
    let windowsShareSlices: Bool

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
}
