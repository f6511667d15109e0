import CVoxelKernels

/// How a direct convolution is cut into chunks of rows of the result.
struct DirectSizes {
    let inputBlocks: Int
    /// Rows of the result in a chunk, and of the image under them, zeros around it included.
    let chunkRows, stripRows, stripColumns: Int

    /// About how many pixels a chunk has.
    private static let chunkPixels = 160

    init(_ step: ConvolutionStep) {
        inputBlocks = step.source.blocks.count
        chunkRows = max(1, min(step.rows, Self.chunkPixels / max(1, step.columns)))
        stripRows = (chunkRows - 1) * step.weights.stride + step.weights.kernel
        stripColumns = max(
            (step.columns - 1) * step.weights.stride + step.weights.kernel,
            step.source.size.columns + step.weights.padding)
    }

    var stripSize: Int { stripRows * stripColumns * lanes }
    var scratchSize: Int { inputBlocks * stripSize }
}

extension ConvolutionStep {
    /// One product for each row of the result: its inner dimension runs over the places of the kernel, which are
    /// the same rows of the image seen from other pixels, so no patch is ever copied.
    func runDirect(_ reader: ImageReader, _ scratch: UnsafeMutablePointer<Float>, in evaluation: Evaluation) {
        let sizes = DirectSizes(self)
        let results = evaluation.blocks(of: writes)
        let moments = freshMoments(in: evaluation)
        let kernel = weights.kernel
        let places = (0..<kernel * kernel).flatMap { place in
            (0..<sizes.inputBlocks).map { block in
                let pixel = place / kernel * sizes.stripColumns + place % kernel
                return UnsafePointer<Float>?(scratch + block * sizes.stripSize + pixel * lanes)
            }
        }
        for first in stride(from: 0, to: rows, by: sizes.chunkRows) {
            let chunk = first..<min(first + sizes.chunkRows, rows)
            evaluation.pool.split(sizes.inputBlocks) { blocks, _ in
                for block in blocks {
                    fill(scratch + block * sizes.stripSize, sizes, from: reader, block: block, firstRow: first)
                }
            }
            evaluation.pool.split(outputBlocks, by: 2) { blocks, _ in
                for row in chunk {
                    let offset = (row - first) * weights.stride * sizes.stripColumns * lanes
                    multiply(
                        places, offset, pixels: row * columns..<(row + 1) * columns, blocks: blocks, results,
                        moments, in: evaluation)
                }
            }
        }
    }

    private var pointwiseChunk: Int { 112 }

    var pointwiseScratchSize: Int { source.isPlain ? 0 : source.blocks.count * pointwiseChunk * lanes }

    /// One product for each run of pixels, read where they are if nothing is to be done to them.
    func runPointwise(_ reader: ImageReader, _ scratch: UnsafeMutablePointer<Float>, in evaluation: Evaluation)
    {
        let results = evaluation.blocks(of: writes)
        let moments = freshMoments(in: evaluation)
        let places = source.blocks.enumerated().map { index, block in
            UnsafePointer<Float>?(
                source.isPlain ? evaluation.block(block) : scratch + index * pointwiseChunk * lanes)
        }
        for first in stride(from: 0, to: rows * columns, by: pointwiseChunk) {
            let pixels = first..<min(first + pointwiseChunk, rows * columns)
            if !source.isPlain {
                evaluation.pool.split(places.count) { blocks, _ in
                    for block in blocks {
                        reader.read(pixels: pixels, of: block, to: scratch + block * pointwiseChunk * lanes)
                    }
                }
            }
            evaluation.pool.split(outputBlocks, by: 2) { blocks, _ in
                multiply(
                    places, source.isPlain ? first * lanes : 0, pixels: pixels, blocks: blocks, results,
                    moments,
                    in: evaluation)
            }
        }
    }

    /// Some pixels of some blocks of the result, finished.
    private func multiply(
        _ places: [UnsafePointer<Float>?], _ offset: Int, pixels: Range<Int>, blocks: Range<Int>,
        _ results: [UnsafeMutablePointer<Float>], _ moments: [UnsafeMutablePointer<voxel_moments>?],
        in evaluation: Evaluation
    ) {
        let inner = weights.kernel * weights.kernel * weights.paddedInputs
        let first = pixels.lowerBound * lanes
        kernels.multiply(
            pixels.count, blocks.count, places.count, places, offset, lanes * weights.stride,
            weights.numbers.start + blocks.lowerBound * inner * lanes, inner * lanes,
            results[blocks.lowerBound] + first, rows * columns * lanes, false)
        for block in blocks {
            var finish = finish(block, from: pixels.lowerBound, moments: moments[block], in: evaluation)
            kernels.finish(results[block] + first, pixels.count, &finish)
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
            let target = strip + index * sizes.stripColumns * lanes
            guard (0..<size.rows).contains(row) else {
                target.update(repeating: 0, count: sizes.stripColumns * lanes)
                continue
            }
            target.update(repeating: 0, count: weights.padding * lanes)
            reader.read(row: row, of: block, to: target + weights.padding * lanes)
            let end = (weights.padding + size.columns) * lanes
            (target + end).update(repeating: 0, count: sizes.stripColumns * lanes - end)
        }
    }
}
