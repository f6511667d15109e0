/// A batch of neighbouring windows: for each, 2N+1 slices of the noisy volume and of the source.
///
/// The slices are views of storage that all windows share, as neighbouring windows overlap: handing out a
/// batch copies no voxel. A slice is `rows` x `columns` values, columns fastest.
public struct SliceWindows: Sendable {
    /// The windows' places in the run: window i has slice i of the volume in its middle.
    public let indices: Range<Int>

    /// N: slices on either side of a window's middle one.
    public let radius: Int

    /// Number of rows of a slice.
    public let rows: Int

    /// Number of columns of a slice.
    public let columns: Int

    let noisyStorage: [Float]
    let sourceStorage: [Float]
    /// Slices from the start of one window of noisy slices to the start of the next.
    let noisyStride: Int

    /// Number of windows in the batch.
    public var count: Int { indices.count }

    /// Number of slices in a window: 2N+1.
    public var slicesPerWindow: Int { 2 * radius + 1 }

    /// Number of values in a window: (2N+1) x rows x columns.
    public var valuesPerWindow: Int { slicesPerWindow * rows * columns }

    /// The noisy slices x_t of the batch's window `index`, from `0..<count`. O(1).
    public func noisy(_ index: Int) -> ArraySlice<Float> {
        view(noisyStorage, from: (indices.lowerBound + index) * noisyStride)
    }

    /// The source slices y of the batch's window `index`, from `0..<count`. O(1).
    public func source(_ index: Int) -> ArraySlice<Float> {
        view(sourceStorage, from: indices.lowerBound + index)
    }

    private func view(_ storage: [Float], from slice: Int) -> ArraySlice<Float> {
        let start = slice * rows * columns
        return storage[start..<start + valuesPerWindow]
    }
}
