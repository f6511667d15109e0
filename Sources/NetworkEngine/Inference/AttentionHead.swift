import CVoxelKernels

/// One head of attention, and the memory that it takes.
struct AttentionSizes {
    /// Queries whose scores are kept at a time.
    static let blockRows = 56

    let headChannels, headBlocks, contextTokens, contextBlocks: Int

    struct Scratch {
        /// `[context blocks][head channels][16]`, `[head blocks][context tokens][16]`, `[head blocks][rows][16]`,
        /// `[context blocks][rows][16]` and `[head blocks][rows][16]`.
        let keys, values, queries, scores, output: UnsafeMutablePointer<Float>
    }

    init(headChannels: Int, contextTokens: Int) {
        (self.headChannels, self.contextTokens) = (headChannels, contextTokens)
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

    /// The results of some queries, `[head blocks][rows][16]`, from keys, values and queries in `scratch`.
    func attend(_ rows: Int, _ scratch: Scratch, scale: Float) {
        let queries = (0..<headBlocks).map { UnsafePointer<Float>?(scratch.queries + $0 * rows * lanes) }
        kernels.multiply(
            rows, contextBlocks, headBlocks, queries, 0, lanes, scratch.keys, headBlocks * lanes * lanes,
            scratch.scores, rows * lanes, false)
        kernels.softmax(scratch.scores, rows * lanes, rows, contextTokens, scale)
        let shares = (0..<contextBlocks).map { UnsafePointer<Float>?(scratch.scores + $0 * rows * lanes) }
        kernels.multiply(
            rows, headBlocks, contextBlocks, shares, 0, lanes, scratch.values, contextBlocks * lanes * lanes,
            scratch.output, rows * lanes, false)
    }
}

/// Reads the channels of a head, which need not begin or end with a block.
struct TokenReader {
    /// Where each block of sixteen channels of the first token lies, and how far the next token is.
    let starts: [UnsafePointer<Float>]
    let tokenStride: Int

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

/// Puts the results of a head, `[blocks][padded][16]`, among the channels of blocks of `[tokens][16]`.
func write(
    _ output: UnsafePointer<Float>, rows: Int, padded: Int, to blocks: [UnsafeMutablePointer<Float>],
    _ channels: Range<Int>, from first: Int
) {
    for (index, channel) in channels.enumerated() {
        let result = blocks[channel / lanes] + first * lanes + channel % lanes
        let source = output + index / lanes * padded * lanes + index % lanes
        for row in 0..<rows { result[row * lanes] = source[row * lanes] }
    }
}
