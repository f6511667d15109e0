/// A batch of neighbouring windows: for each, 2N+1 slices of the noisy volume and of the source.
///
/// The slices are views of storage that all windows share, as neighbouring windows overlap: handing out a batch
/// copies no voxel. A slice is `rows` x `columns` values, columns fastest.
public struct SliceWindows: Sendable {
    /// The windows' places in the run: window i has slice i of the volume in its middle.
    public let indices: Range<Int>

    private let noisyStack: SliceStack
    private let sourceStack: SliceStack

    init(_ indices: Range<Int>, noisy: SliceStack, source: SliceStack) {
        (self.indices, noisyStack, sourceStack) = (indices, noisy, source)
    }

    /// N: slices on either side of a window's middle one.
    public var radius: Int { sourceStack.shape.radius }

    /// Number of rows of a slice.
    public var rows: Int { sourceStack.shape.rows }

    /// Number of columns of a slice.
    public var columns: Int { sourceStack.shape.columns }

    /// Number of windows in the batch.
    public var count: Int { indices.count }

    /// Number of slices in a window: 2N+1.
    public var slicesPerWindow: Int { 2 * radius + 1 }

    /// Number of values in a window: (2N+1) x rows x columns.
    public var valuesPerWindow: Int { slicesPerWindow * rows * columns }

    /// The noisy slices x_t of the batch's window `index`, from `0..<count`. O(1).
    public func noisy(_ index: Int) -> ArraySlice<Float> { window(index, of: noisyStack) }

    /// The source slices y of the batch's window `index`, from `0..<count`. O(1).
    public func source(_ index: Int) -> ArraySlice<Float> { window(index, of: sourceStack) }

    private func window(_ index: Int, of stack: SliceStack) -> ArraySlice<Float> {
        let first = stack.shape.slice(window: indices.lowerBound + index, position: 0)
        let start = stack.shape.voxels(ofSlice: first).lowerBound
        return stack.values[start..<start + valuesPerWindow]
    }
}
