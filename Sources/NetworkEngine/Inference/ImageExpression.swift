import Networks

/// Sixteen neighbouring channels of an image in the arena.
struct BlockReference: Hashable, Sendable {
    let image: Int
    let block: Int
}

/// An image yet to be made of blocks in the arena: normalised, bent and resampled by whoever reads it.
///
/// Putting that off is how layers fuse: a convolution that reads `SiLU(GroupNorm(x))` does both on the rows that
/// it is about to transform, while they are in cache. Joining or splitting channels costs nothing at all.
struct ImageExpression: Sendable {
    /// Channels 16 i to 16 i + 15 are those of block i. What the last block holds beyond the last channel is 0.
    var blocks: [BlockReference]
    var channels: Int
    /// The size of the blocks' images, before resampling.
    var rows, columns: Int

    /// Done to every pixel, in this order.
    var stages: [Stage] = []
    /// Whether `x / (1 + e^-x)` is taken, after the stages.
    var isBent = false
    /// What becomes of the size, last of all.
    var resampling = Resampling.same

    /// An affine map of each channel.
    enum Stage: Sendable {
        case normalize(GroupNorm, weight: FloatBuffer, bias: FloatBuffer)
        /// `x (1 + scale) + shift`; both are shared values.
        case modulate(scale: Int, shift: Int)
        /// `x + shift`, a shared value.
        case shift(Int)
    }

    enum Resampling: Sendable { case same, half, double }

    var pixels: Int { rows * columns }

    /// Whether the blocks themselves are the image.
    var isPlain: Bool { stages.isEmpty && !isBent && resampling == .same }

    /// The size of the image.
    var size: (rows: Int, columns: Int) {
        switch resampling {
        case .same: (rows, columns)
        case .half: (rows / 2, columns / 2)
        case .double: (rows * 2, columns * 2)
        }
    }

    /// The images that are read, and those whose moments are.
    var images: Set<Int> { Set(blocks.map(\.image)) }
    var measuredImages: Set<Int> {
        stages.contains { if case .normalize = $0 { true } else { false } } ? images : []
    }
}
