import CVoxelKernels

/// One head of attention, and the memory that it takes.
struct AttentionSizes: Sendable {
    let headChannels, headBlocks, contextTokens, contextBlocks: Int
    /// Queries whose scores are kept at a time: as many as fit in half of the L2 cache, but at least the number for which
    /// matrix products are fast.
    let blockRows: Int

    /// A head's keys and values.
    struct Context {
        /// `[context blocks][head channels][16]` and `[head blocks][context tokens][16]`.
        let keys, values: UnsafeMutablePointer<Float>
    }

    /// What is kept for a block of queries.
    struct Rows {
        /// `[head blocks][rows][16]`, `[context blocks][rows][16]` and `[head blocks][rows][16]`.
        let queries, scores, output: UnsafeMutablePointer<Float>
    }

    init(headChannels: Int, contextTokens: Int) {
        (self.headChannels, self.contextTokens) = (headChannels, contextTokens)
        (headBlocks, contextBlocks) = (Block.count(headChannels), Block.count(contextTokens))
        blockRows = contextTokens <= 2048 ? 56 : 28
    }

    /// The numbers of keys or of values, and of queries or of results.
    private var headSize: Int { headBlocks * contextBlocks * Block.lanes * Block.lanes }
    private var querySize: Int { headBlocks * blockRows * Block.lanes }
    /// The numbers of a head's keys and values, and of what is kept for a block of queries.
    var contextSize: Int { 2 * headSize }
    var rowsSize: Int { 2 * querySize + contextBlocks * blockRows * Block.lanes }

    func context(_ start: UnsafeMutablePointer<Float>) -> Context {
        Context(keys: start, values: start + headSize)
    }

    func rows(_ start: UnsafeMutablePointer<Float>) -> Rows {
        Rows(queries: start, scores: start + 2 * querySize, output: start + querySize)
    }

    /// The results of some queries, `[head blocks][rows][16]`, from the queries in `scratch`.
    func attend(_ rows: Int, _ context: Context, _ scratch: Rows, scale: Float) {
        let queries = Block.starts(scratch.queries, count: headBlocks, stride: rows * Block.lanes)
        Block.kernels.multiply(
            rows, contextBlocks, headBlocks, queries, 0, Block.lanes, context.keys,
            headBlocks * Block.lanes * Block.lanes, scratch.scores, rows * Block.lanes, false)
        Block.kernels.softmax(scratch.scores, rows * Block.lanes, rows, contextTokens, scale)
        let shares = Block.starts(scratch.scores, count: contextBlocks, stride: rows * Block.lanes)
        Block.kernels.multiply(
            rows, headBlocks, contextBlocks, shares, 0, Block.lanes, context.values,
            contextBlocks * Block.lanes * Block.lanes, scratch.output, rows * Block.lanes, false)
    }
}

/// Reads the channels of a head, which need not begin or end with a block.
struct TokenReader: Sendable {
    /// Where each block of sixteen channels of the first token is, and the distance to the next token.
    let starts: [BufferPlace]
    let tokenStride: Int

    /// Writes `[blocks][tokens][16]`, with zeros where there are no channels or no tokens.
    func copy(
        _ channels: Range<Int>, tokens: Int, from first: Int = 0, padded: Int,
        to target: UnsafeMutablePointer<Float>
    ) {
        let isWhole = channels.lowerBound % Block.lanes == 0 && channels.count % Block.lanes == 0
        for block in 0..<Block.count(channels.count) {
            let result = target + block * padded * Block.lanes
            if isWhole {
                let source = starts[channels.lowerBound / Block.lanes + block].start + first * tokenStride
                if tokenStride == Block.lanes {
                    result.update(from: source, count: tokens * Block.lanes)
                } else {
                    for token in 0..<tokens {
                        (result + token * Block.lanes).update(
                            from: source + token * tokenStride, count: Block.lanes)
                    }
                }
            } else {
                result.update(repeating: 0, count: tokens * Block.lanes)
                for lane in 0..<min(Block.lanes, channels.count - block * Block.lanes) {
                    let channel = channels.lowerBound + block * Block.lanes + lane
                    let source =
                        starts[channel / Block.lanes].start + channel % Block.lanes + first * tokenStride
                    for token in 0..<tokens { result[token * Block.lanes + lane] = source[token * tokenStride] }
                }
            }
            (result + tokens * Block.lanes).update(repeating: 0, count: (padded - tokens) * Block.lanes)
        }
    }

    /// Writes `[token blocks][channels][16]`, with zeros where there are no channels or no tokens.
    func copyTransposed(_ channels: Range<Int>, tokens: Int, to target: UnsafeMutablePointer<Float>) {
        let rows = Block.count(channels.count) * Block.lanes
        for block in 0..<Block.count(tokens) {
            let result = target + block * rows * Block.lanes
            let count = min(Block.lanes, tokens - block * Block.lanes)
            if count < Block.lanes || channels.count < rows {
                result.update(repeating: 0, count: rows * Block.lanes)
            }
            for (row, channel) in channels.enumerated() {
                let source =
                    starts[channel / Block.lanes].start + channel % Block.lanes
                    + block * Block.lanes * tokenStride
                for lane in 0..<count { result[row * Block.lanes + lane] = source[lane * tokenStride] }
            }
        }
    }
}

extension AttentionSizes {
    /// Copies the results of a head, `[blocks][padded][16]`, to its channels of blocks of `[tokens][16]`.
    static func copy(
        _ output: UnsafePointer<Float>, rows: Int, padded: Int, to blocks: [BufferPlace],
        _ channels: Range<Int>, from first: Int
    ) {
        for (index, channel) in channels.enumerated() {
            let result = blocks[channel / Block.lanes].start + first * Block.lanes + channel % Block.lanes
            let source = output + index / Block.lanes * padded * Block.lanes + index % Block.lanes
            for row in 0..<rows { result[row * Block.lanes] = source[row * Block.lanes] }
        }
    }
}
