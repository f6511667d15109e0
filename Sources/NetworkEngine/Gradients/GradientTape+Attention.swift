import CVoxelKernels

extension GradientTape {
    func attention(queries: Value, keys: Value, values: Value, heads: Int) -> Value {
        let attention = AttentionGradient(queries.data, keys.data, values.data, heads: heads)
        let result = queries.data.zeros(from: memory)
        attention.forEachHead(workers, memory) { head, scratch in
            head.copyContext(to: scratch)
            for rows in head.queryBlocks {
                head.attend(rows, scratch)
                AttentionSizes.copy(
                    scratch.output, rows: rows.count, padded: AttentionGradient.blockRows,
                    to: head.places(of: result), head.channels, from: rows.lowerBound)
            }
        }
        return record(result, shape: queries.shape, isTokens: true, from: [queries, keys, values]) {
            [unowned self] gradient in
            let back = [queries.data, keys.data, values.data].map { $0.zeros(from: memory) }
            attention.forEachHead(workers, memory) { head, scratch in
                head.copyContext(to: scratch)
                for rows in head.queryBlocks {
                    head.attend(rows, scratch)
                    head.differentiate(rows, gradient, scratch, isFirst: rows.lowerBound == 0)
                    AttentionSizes.copy(
                        scratch.output, rows: rows.count, padded: AttentionGradient.blockRows,
                        to: head.places(of: back[0]), head.channels, from: rows.lowerBound)
                }
                for (sums, data) in [(scratch.keySums, back[1]), (scratch.valueSums, back[2])] {
                    AttentionSizes.copy(
                        sums, rows: data.pixels, padded: attention.paddedTokens, to: head.places(of: data),
                        head.channels, from: 0)
                }
            }
            for (value, data) in zip([queries, keys, values], back) { add(data, to: value) }
        }
    }
}

/// Attention of a batch, head by head, forwards and backwards.
///
/// With P the shares, O the result and S the scores before scaling: dV = P^T dO, dP = dO V^T,
/// dS = P (dP - rowsum(P dP)) / sqrt d, dQ = dS K, dK = dS^T Q. Shares are computed again rather than kept, so memory
/// stays linear in the number of tokens.
private struct AttentionGradient: Sendable {
    /// Queries whose shares are held at a time: a multiple of sixteen.
    static let blockRows = 64

    let queries, keys, values: BlockedTensor
    let heads, headChannels, headBlocks, contextBlocks: Int
    let scale: Float

    var sizes: AttentionSizes { AttentionSizes(headChannels: headChannels, contextTokens: keys.pixels) }
    var paddedTokens: Int { contextBlocks * Block.lanes }

    init(_ queries: BlockedTensor, _ keys: BlockedTensor, _ values: BlockedTensor, heads: Int) {
        (self.queries, self.keys, self.values, self.heads) = (queries, keys, values, heads)
        headChannels = queries.channels / heads
        (headBlocks, contextBlocks) = (Block.count(headChannels), Block.count(keys.pixels))
        scale = 1 / Float(headChannels).squareRoot()
    }

    /// Memory of one thread. `plain`: `[head blocks][tokens][16]`; `transposed`: `[token blocks][head channels][16]`.
    struct Scratch {
        let keys, transposedKeys, values, transposedValues, keySums, valueSums: UnsafeMutablePointer<Float>
        let queries, gradient, output: UnsafeMutablePointer<Float>
        /// `[token blocks][rows][16]`.
        let shares, slopes: UnsafeMutablePointer<Float>
        /// `[row blocks][tokens][16]`.
        let transposed: UnsafeMutablePointer<Float>
    }

    private var contextSize: Int { headBlocks * paddedTokens * Block.lanes }
    private var rowsSize: Int { headBlocks * Self.blockRows * Block.lanes }
    private var sharesSize: Int { paddedTokens * Self.blockRows }
    private var scratchSize: Int { 6 * contextSize + 3 * rowsSize + 3 * sharesSize }

    private func scratch(_ start: UnsafeMutablePointer<Float>) -> Scratch {
        let rows = start + 6 * contextSize
        let shares = rows + 3 * rowsSize
        return Scratch(
            keys: start, transposedKeys: start + contextSize, values: start + 2 * contextSize,
            transposedValues: start + 3 * contextSize, keySums: start + 4 * contextSize,
            valueSums: start + 5 * contextSize, queries: rows, gradient: rows + rowsSize,
            output: rows + 2 * rowsSize, shares: shares, slopes: shares + sharesSize,
            transposed: shares + 2 * sharesSize)
    }

    func forEachHead(_ workers: WorkerPool, _ memory: BufferPool, _ body: @Sendable (Head, Scratch) -> Void) {
        let numbers = FloatBuffer(uninitialized: workers.threads * scratchSize, from: memory)
        workers.split(queries.batch * heads) { places, worker in
            for place in places {
                let head = Head(attention: self, item: place / heads, index: place % heads)
                body(head, scratch(numbers.start + worker * scratchSize))
            }
        }
    }

    /// One head of one image.
    struct Head: Sendable {
        let attention: AttentionGradient
        let item, index: Int

        var channels: Range<Int> { index * attention.headChannels..<(index + 1) * attention.headChannels }

        var queryBlocks: [Range<Int>] {
            stride(from: 0, to: attention.queries.pixels, by: blockRows).map {
                $0..<min($0 + blockRows, attention.queries.pixels)
            }
        }

        func places(of data: BlockedTensor) -> [BufferPlace] { data.places(of: item) }

        private func reader(_ data: BlockedTensor) -> TokenReader {
            TokenReader(starts: places(of: data), tokenStride: Block.lanes)
        }

        func copyContext(to scratch: Scratch) {
            for (data, plain, transposed) in [
                (attention.keys, scratch.keys, scratch.transposedKeys),
                (attention.values, scratch.values, scratch.transposedValues),
            ] {
                reader(data).copy(channels, tokens: data.pixels, padded: attention.paddedTokens, to: plain)
                reader(data).copyTransposed(channels, tokens: data.pixels, to: transposed)
            }
        }

        /// Shares and output of some queries; rows beyond them are those of queries at 0.
        func attend(_ rows: Range<Int>, _ scratch: Scratch) {
            reader(attention.queries).copy(
                channels, tokens: rows.count, from: rows.lowerBound, padded: blockRows, to: scratch.queries)
            attention.sizes.attend(
                blockRows, AttentionSizes.Context(keys: scratch.transposedKeys, values: scratch.values),
                AttentionSizes.Rows(
                    queries: scratch.queries, scores: scratch.shares, output: scratch.output),
                scale: attention.scale)
        }

        /// Computes the gradient of some queries, in `output`, from that of their results, and adds to those of keys
        /// and values.
        func differentiate(_ rows: Range<Int>, _ gradient: BlockedTensor, _ scratch: Scratch, isFirst: Bool) {
            reader(gradient).copy(
                channels, tokens: rows.count, from: rows.lowerBound, padded: blockRows, to: scratch.gradient)
            product(scratch.gradient, scratch.transposedValues, into: scratch.slopes)
            addTransposed(scratch.shares, scratch.gradient, scratch, to: scratch.valueSums, isFirst: isFirst)
            Block.kernels.softmax_gradient(
                scratch.shares, scratch.slopes, blockRows * Block.lanes, blockRows, attention.keys.pixels,
                attention.scale)
            addTransposed(scratch.slopes, scratch.queries, scratch, to: scratch.keySums, isFirst: isFirst)
            combine(scratch.slopes, scratch.keys, into: scratch.output)
        }

        /// Rows times tokens, over the channels of the head: `[token blocks][rows][16]`.
        private func product(
            _ rows: UnsafeMutablePointer<Float>, _ transposed: UnsafeMutablePointer<Float>,
            into result: UnsafeMutablePointer<Float>
        ) {
            Block.kernels.multiply(
                blockRows, attention.contextBlocks, attention.headBlocks,
                Block.starts(rows, count: attention.headBlocks, stride: blockRows * Block.lanes), 0,
                Block.lanes, transposed,
                attention.headBlocks * Block.lanes * Block.lanes, result, blockRows * Block.lanes, false)
        }

        /// Shares times tokens, over the tokens: `[head blocks][rows][16]`.
        private func combine(
            _ shares: UnsafeMutablePointer<Float>, _ tokens: UnsafeMutablePointer<Float>,
            into result: UnsafeMutablePointer<Float>
        ) {
            Block.kernels.multiply(
                blockRows, attention.headBlocks, attention.contextBlocks,
                Block.starts(shares, count: attention.contextBlocks, stride: blockRows * Block.lanes), 0,
                Block.lanes, tokens,
                attention.paddedTokens * Block.lanes, result, blockRows * Block.lanes, false)
        }

        /// Shares times rows, over the rows, added to `[head blocks][tokens][16]`.
        private func addTransposed(
            _ shares: UnsafeMutablePointer<Float>, _ rows: UnsafeMutablePointer<Float>, _ scratch: Scratch,
            to sums: UnsafeMutablePointer<Float>, isFirst: Bool
        ) {
            let (tokens, rowBlocks) = (attention.paddedTokens, blockRows / Block.lanes)
            for block in 0..<attention.contextBlocks {
                for rowBlock in 0..<rowBlocks {
                    Block.kernels.transpose(
                        shares + (block * blockRows + rowBlock * Block.lanes) * Block.lanes, Block.lanes,
                        scratch.transposed + (rowBlock * tokens + block * Block.lanes) * Block.lanes,
                        Block.lanes)
                }
            }
            Block.kernels.multiply(
                tokens, attention.headBlocks, rowBlocks,
                Block.starts(scratch.transposed, count: rowBlocks, stride: tokens * Block.lanes), 0,
                Block.lanes, rows, blockRows * Block.lanes, sums, tokens * Block.lanes, !isFirst)
        }
    }
}
