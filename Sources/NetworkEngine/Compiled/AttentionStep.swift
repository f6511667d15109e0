import CVoxelKernels

/// Multi-head attention of pixels to pixels, or to shared tokens: for each head, `softmax(Q K^T / sqrt d) V`.
///
/// Scores are kept for a block of queries at a time, so memory stays bounded however many pixels there are.
struct AttentionStep: ProgramStep {
    let queries: [BlockReference]
    let keys, values: Tokens
    let channels, heads: Int
    let pixels, contextTokens: Int
    let writes: Int

    /// Where keys or values are.
    enum Tokens {
        /// `[pixels][16]` blocks.
        case image([BlockReference])
        /// A shared value, `[tokens, channels]`.
        case shared(Int)

        var images: Set<Int> {
            switch self {
            case .image(let blocks): Set(blocks.map(\.image))
            case .shared: []
            }
        }
    }

    var reads: Set<Int> { Set(queries.map(\.image)).union(keys.images).union(values.images) }

    func scratchSize(threads: Int) -> Int { heads * sizes.contextSize + threads * sizes.rowsSize }

    private var sizes: AttentionSizes {
        AttentionSizes(headChannels: channels / heads, contextTokens: contextTokens)
    }

    func run(in evaluation: Evaluation) {
        let sizes = sizes
        let scale = 1 / Float(channels / heads).squareRoot()
        let results = evaluation.places(of: writes)
        let padding = Block.count(channels) * Block.lanes - channels
        if padding > 0, let last = results.last { last.start.update(repeating: 0, count: pixels * Block.lanes) }
        let query = reader(.image(queries), in: evaluation)
        let key = reader(keys, in: evaluation)
        let value = reader(values, in: evaluation)
        let contexts = evaluation.scratch
        let rowsPlace = contexts + heads * sizes.contextSize
        let channels = { @Sendable (head: Int) in head * sizes.headChannels..<(head + 1) * sizes.headChannels }
        evaluation.pool.split(heads) { heads, _ in
            for head in heads {
                let context = sizes.context(contexts.start + head * sizes.contextSize)
                key.copyTransposed(channels(head), tokens: contextTokens, to: context.keys)
                value.copy(
                    channels(head), tokens: contextTokens, padded: sizes.contextBlocks * Block.lanes,
                    to: context.values)
            }
        }
        let blocks = (pixels + sizes.blockRows - 1) / sizes.blockRows
        evaluation.pool.split(heads * blocks) { range, worker in
            let scratch = sizes.rows(rowsPlace.start + worker * sizes.rowsSize)
            for (head, block) in range.map({ $0.quotientAndRemainder(dividingBy: blocks) }) {
                let context = sizes.context(contexts.start + head * sizes.contextSize)
                let first = block * sizes.blockRows
                let rows = min(sizes.blockRows, pixels - first)
                query.copy(channels(head), tokens: rows, from: first, padded: rows, to: scratch.queries)
                sizes.attend(rows, context, scratch, scale: scale)
                AttentionSizes.copy(
                    scratch.output, rows: rows, padded: rows, to: results, channels(head), from: first)
            }
        }
    }

    private func reader(_ tokens: Tokens, in evaluation: Evaluation) -> TokenReader {
        switch tokens {
        case .image(let blocks):
            return TokenReader(starts: blocks.map { evaluation.place($0) }, tokenStride: Block.lanes)
        case .shared(let value):
            let start = BufferPlace(buffer: evaluation.shared[value])
            return TokenReader(
                starts: (0..<Block.count(channels)).map { start + $0 * Block.lanes }, tokenStride: channels)
        }
    }
}
