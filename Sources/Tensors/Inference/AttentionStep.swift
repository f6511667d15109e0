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

    func scratchSize(threads: Int) -> Int { threads * sizes.scratchSize }

    private var sizes: AttentionSizes {
        AttentionSizes(headChannels: channels / heads, pixels: pixels, contextTokens: contextTokens)
    }

    func run(in evaluation: Evaluation) {
        let sizes = sizes
        let scale = 1 / Float(channels / heads).squareRoot()
        let results = evaluation.blocks(of: writes)
        let padding = blocks(channels) * lanes - channels
        if padding > 0, let last = results.last { last.update(repeating: 0, count: pixels * lanes) }
        let query = TokenReader(.image(queries), in: evaluation)
        let key = TokenReader(keys, channels: channels, in: evaluation)
        let value = TokenReader(values, channels: channels, in: evaluation)
        evaluation.pool.split(heads) { heads, worker in
            let scratch = sizes.scratch(evaluation.scratch + worker * sizes.scratchSize)
            for head in heads {
                let channels = head * sizes.headChannels..<(head + 1) * sizes.headChannels
                key.copyTransposed(channels, tokens: contextTokens, to: scratch.keys)
                value.copy(
                    channels, tokens: contextTokens, padded: sizes.contextBlocks * lanes, to: scratch.values)
                for first in stride(from: 0, to: pixels, by: AttentionSizes.blockRows) {
                    let rows = min(AttentionSizes.blockRows, pixels - first)
                    query.copy(channels, tokens: rows, from: first, padded: rows, to: scratch.queries)
                    attend(rows, sizes, scratch, scale: scale)
                    for (index, channel) in channels.enumerated() {
                        let result = results[channel / lanes] + first * lanes + channel % lanes
                        let source = scratch.output + index / lanes * rows * lanes + index % lanes
                        for row in 0..<rows { result[row * lanes] = source[row * lanes] }
                    }
                }
            }
        }
    }

    private func attend(_ rows: Int, _ sizes: AttentionSizes, _ scratch: AttentionSizes.Scratch, scale: Float) {
        let queries = (0..<sizes.headBlocks).map { UnsafePointer<Float>?(scratch.queries + $0 * rows * lanes) }
        kernels.multiply(
            rows, sizes.contextBlocks, sizes.headBlocks, queries, 0, lanes, scratch.keys,
            sizes.headBlocks * lanes * lanes, scratch.scores, rows * lanes)
        kernels.softmax(scratch.scores, rows * lanes, rows, contextTokens, scale)
        let shares = (0..<sizes.contextBlocks).map { UnsafePointer<Float>?(scratch.scores + $0 * rows * lanes) }
        kernels.multiply(
            rows, sizes.headBlocks, sizes.contextBlocks, shares, 0, lanes, scratch.values,
            sizes.contextBlocks * lanes * lanes, scratch.output, rows * lanes)
    }
}

/// The memory that one head takes.
private struct AttentionSizes {
    /// Queries whose scores are kept at a time.
    static let blockRows = 56

    let headChannels, headBlocks, contextBlocks: Int

    struct Scratch {
        /// `[context blocks][head channels][16]`, `[head blocks][context tokens][16]`, `[head blocks][rows][16]`,
        /// `[context blocks][rows][16]` and `[head blocks][rows][16]`.
        let keys, values, queries, scores, output: UnsafeMutablePointer<Float>
    }

    init(headChannels: Int, pixels: Int, contextTokens: Int) {
        self.headChannels = headChannels
        (headBlocks, contextBlocks) = (blocks(headChannels), blocks(contextTokens))
    }

    private var contextSize: Int { headBlocks * contextBlocks * lanes * lanes }
    private var rowsSize: Int { headBlocks * Self.blockRows * lanes }
    var scratchSize: Int { 2 * contextSize + 2 * rowsSize + contextBlocks * Self.blockRows * lanes }

    func scratch(_ start: UnsafeMutablePointer<Float>) -> Scratch {
        let queries = start + 2 * contextSize
        return Scratch(
            keys: start, values: start + contextSize, queries: queries, scores: queries + 2 * rowsSize,
            output: queries + rowsSize)
    }
}

/// Reads the channels of a head, which need not begin or end with a block.
private struct TokenReader {
    let starts: [UnsafePointer<Float>]
    let tokenStride: Int

    init(_ tokens: AttentionStep.Tokens, channels: Int = 0, in evaluation: Evaluation) {
        switch tokens {
        case .image(let blocks):
            starts = blocks.map { UnsafePointer(evaluation.block($0)) }
            tokenStride = lanes
        case .shared(let value):
            let start = evaluation.shared[value]
            starts = (0..<blocks(channels)).map { start + $0 * lanes }
            tokenStride = channels
        }
    }

    /// Writes `[blocks][tokens][16]`, with zeros where there are no channels or no tokens.
    func copy(
        _ channels: Range<Int>, tokens: Int, from first: Int = 0, padded: Int,
        to target: UnsafeMutablePointer<Float>
    ) {
        let isWhole = channels.lowerBound % lanes == 0 && channels.count % lanes == 0
        for block in 0..<blocks(channels.count) {
            let result = target + block * padded * lanes
            if isWhole {
                let source = starts[channels.lowerBound / lanes + block] + first * tokenStride
                if tokenStride == lanes {
                    result.update(from: source, count: tokens * lanes)
                } else {
                    for token in 0..<tokens {
                        (result + token * lanes).update(from: source + token * tokenStride, count: lanes)
                    }
                }
            } else {
                result.update(repeating: 0, count: tokens * lanes)
                for lane in 0..<min(lanes, channels.count - block * lanes) {
                    let channel = channels.lowerBound + block * lanes + lane
                    let source = starts[channel / lanes] + channel % lanes + first * tokenStride
                    for token in 0..<tokens { result[token * lanes + lane] = source[token * tokenStride] }
                }
            }
            (result + tokens * lanes).update(repeating: 0, count: (padded - tokens) * lanes)
        }
    }

    /// Writes `[token blocks][channels][16]`, with zeros where there are no channels or no tokens.
    func copyTransposed(_ channels: Range<Int>, tokens: Int, to target: UnsafeMutablePointer<Float>) {
        let rows = blocks(channels.count) * lanes
        for block in 0..<blocks(tokens) {
            let result = target + block * rows * lanes
            let count = min(lanes, tokens - block * lanes)
            if count < lanes || channels.count < rows { result.update(repeating: 0, count: rows * lanes) }
            for (row, channel) in channels.enumerated() {
                let source = starts[channel / lanes] + channel % lanes + block * lanes * tokenStride
                for lane in 0..<count { result[row * lanes + lane] = source[lane * tokenStride] }
            }
        }
    }
}
