import CVoxelKernels

/// A convolution, or a linear map of every pixel, of an expression; another image may be added to its result.
struct ConvolutionStep: ProgramStep {
    let source: ImageExpression
    let weights: PackedConvolution
    /// Added to the result, block by block.
    var residual: [BlockReference]?
    let writes: Int
    /// The size of the result.
    let rows, columns: Int

    var reads: Set<Int> { source.images.union((residual ?? []).map(\.image)) }
    var measures: Set<Int> { source.measuredImages }
    var computesMoments: Bool { true }
    private var outputBlocks: Int { Block.count(weights.outputs) }

    func scratchSize(threads: Int) -> Int {
        let reader = ImageReader.scratchSize(source)
        switch method {
        case .winograd: return reader + winograd.scratchSize(threads: threads)
        case .direct: return reader + DirectSizes(self).scratchSize
        case .pointwise: return reader + pointwiseScratchSize
        }
    }

    func run(in evaluation: Evaluation) {
        let reader = ImageReader(source, in: evaluation, scratch: evaluation.scratch)
        let scratch = evaluation.scratch + ImageReader.scratchSize(source)
        evaluation.clearMoments(of: writes)
        switch method {
        case .winograd:
            winograd.run(
                scratch: scratch, pool: evaluation.pool, into: evaluation.places(of: writes),
                moments: (0..<outputBlocks).map {
                    evaluation.moments(BlockReference(image: writes, block: $0))
                },
                reading: { reader.read(row: $0, of: $1, to: $2) },
                finishing: { finish($0, from: $1, moments: nil, in: evaluation) })
        case .direct: runDirect(reader, scratch, in: evaluation)
        case .pointwise: runPointwise(reader, scratch, in: evaluation)
        }
    }

    private var winograd: WinogradConvolution {
        WinogradConvolution(weights: weights, rows: rows, columns: columns)
    }

    private enum Method { case winograd, direct, pointwise }

    private var method: Method {
        switch weights.form {
        case .winograd: .winograd
        case .direct: weights.kernel == 1 && weights.stride == 1 ? .pointwise : .direct
        }
    }

    /// What is added to block `block` of the result from pixel `offset` on.
    private func finish(
        _ block: Int, from offset: Int, moments: UnsafeMutablePointer<voxel_moments>?, in evaluation: Evaluation
    ) -> voxel_finish {
        voxel_finish(
            bias: weights.bias.map { UnsafePointer($0.start + block * Block.lanes) },
            residual: residual.map { UnsafePointer(evaluation.block($0[block]) + offset * Block.lanes) },
            moments: moments)
    }
}

/// How a direct convolution is cut into chunks of rows of the result.
private struct DirectSizes {
    let inputBlocks: Int
    /// Rows of the result in a chunk, and of the image under them, padding included.
    let chunkRows, stripRows, stripColumns: Int

    /// About the pixels of a chunk.
    private static let chunkPixels = 160

    init(_ step: ConvolutionStep) {
        inputBlocks = step.source.blocks.count
        chunkRows = max(1, min(step.rows, Self.chunkPixels / max(1, step.columns)))
        stripRows = (chunkRows - 1) * step.weights.stride + step.weights.kernel
        stripColumns = max(
            (step.columns - 1) * step.weights.stride + step.weights.kernel,
            step.source.size.columns + step.weights.padding)
    }

    var stripSize: Int { stripRows * stripColumns * Block.lanes }
    var scratchSize: Int { inputBlocks * stripSize }
}

extension ConvolutionStep {
    /// One product for each row of the result: its inner dimension runs over the places of the kernel, which are
    /// the same rows of the image seen from other pixels, so no patch is ever copied.
    private func runDirect(_ reader: ImageReader, _ scratch: BufferPlace, in evaluation: Evaluation) {
        let sizes = DirectSizes(self)
        let kernel = weights.kernel
        let places = (0..<kernel * kernel).flatMap { place in
            (0..<sizes.inputBlocks).map { block in
                let pixel = place / kernel * sizes.stripColumns + place % kernel
                return scratch + (block * sizes.stripSize + pixel * Block.lanes)
            }
        }
        for first in stride(from: 0, to: rows, by: sizes.chunkRows) {
            let chunk = first..<min(first + sizes.chunkRows, rows)
            evaluation.pool.split(sizes.inputBlocks) { blocks, _ in
                for block in blocks {
                    fill(
                        scratch.start + block * sizes.stripSize, sizes, from: reader, block: block,
                        firstRow: first)
                }
            }
            evaluation.pool.split(outputBlocks, by: 2) { blocks, _ in
                for row in chunk {
                    let offset = (row - first) * weights.stride * sizes.stripColumns * Block.lanes
                    multiply(
                        places, offset, pixels: row * columns..<(row + 1) * columns, blocks: blocks,
                        in: evaluation)
                }
            }
        }
    }

    private var pointwiseChunk: Int { 112 }

    private var pointwiseScratchSize: Int {
        source.isPlain ? 0 : source.blocks.count * pointwiseChunk * Block.lanes
    }

    /// One product for each run of pixels, which are read in place where the source is plain.
    private func runPointwise(_ reader: ImageReader, _ scratch: BufferPlace, in evaluation: Evaluation) {
        let places = source.blocks.enumerated().map { index, block in
            source.isPlain ? evaluation.place(block) : scratch + index * pointwiseChunk * Block.lanes
        }
        for first in stride(from: 0, to: rows * columns, by: pointwiseChunk) {
            let pixels = first..<min(first + pointwiseChunk, rows * columns)
            if !source.isPlain {
                evaluation.pool.split(places.count) { blocks, _ in
                    for block in blocks { reader.read(pixels: pixels, of: block, to: places[block].start) }
                }
            }
            evaluation.pool.split(outputBlocks, by: 2) { blocks, _ in
                multiply(
                    places, source.isPlain ? first * Block.lanes : 0, pixels: pixels, blocks: blocks,
                    in: evaluation)
            }
        }
    }

    /// Some pixels of some blocks of the result, finished.
    private func multiply(
        _ places: [BufferPlace], _ offset: Int, pixels: Range<Int>, blocks: Range<Int>,
        in evaluation: Evaluation
    ) {
        let inner = weights.kernel * weights.kernel * weights.paddedInputs
        func result(_ block: Int) -> UnsafeMutablePointer<Float> {
            evaluation.block(BlockReference(image: writes, block: block)) + pixels.lowerBound * Block.lanes
        }
        Block.kernels.multiply(
            pixels.count, blocks.count, places.count, places.map { UnsafePointer<Float>?($0.start) }, offset,
            Block.lanes * weights.stride, weights.numbers.start + blocks.lowerBound * inner * Block.lanes,
            inner * Block.lanes, result(blocks.lowerBound), rows * columns * Block.lanes, false)
        for block in blocks {
            let moments = evaluation.moments(BlockReference(image: writes, block: block))
            var finish = finish(block, from: pixels.lowerBound, moments: moments, in: evaluation)
            Block.kernels.finish(result(block), pixels.count, &finish)
        }
    }

    /// Reads the rows under some rows of the result, with zeros where they lie outside the image.
    private func fill(
        _ strip: UnsafeMutablePointer<Float>, _ sizes: DirectSizes, from reader: ImageReader, block: Int,
        firstRow: Int
    ) {
        let size = source.size
        for index in 0..<sizes.stripRows {
            let row = firstRow * weights.stride + index - weights.padding
            let target = strip + index * sizes.stripColumns * Block.lanes
            guard (0..<size.rows).contains(row) else {
                target.update(repeating: 0, count: sizes.stripColumns * Block.lanes)
                continue
            }
            target.update(repeating: 0, count: weights.padding * Block.lanes)
            reader.read(row: row, of: block, to: target + weights.padding * Block.lanes)
            let end = (weights.padding + size.columns) * Block.lanes
            (target + end).update(repeating: 0, count: sizes.stripColumns * Block.lanes - end)
        }
    }
}
