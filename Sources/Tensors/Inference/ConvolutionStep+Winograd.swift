import CVoxelKernels

/// How a Winograd convolution is cut into chunks of whole rows of tiles, which fit the cache.
///
/// A chunk is transformed channel block by channel block, multiplied frequency by frequency, and transformed back:
/// its 36 matrices lie flat, all tiles of all its rows after one another.
struct WinogradSizes {
    let inputBlocks, outputBlocks: Int
    let tileRows, tileColumns: Int
    /// Rows of tiles in a chunk.
    let chunkRows: Int

    /// About how many tiles a chunk has: enough for a product to run at full speed for each time that weights are
    /// fetched, and few enough for one frequency of a thousand channels to stay in the second cache.
    private static let chunkTiles = 100

    init(_ step: ConvolutionStep) {
        inputBlocks = step.source.blocks.count
        outputBlocks = step.outputBlocks
        (tileRows, tileColumns) = ((step.rows + 3) / 4, (step.columns + 3) / 4)
        let chunks = max(1, (tileRows * tileColumns + Self.chunkTiles / 2) / Self.chunkTiles)
        chunkRows = (tileRows + chunks - 1) / min(chunks, tileRows)
    }

    var tiles: Int { chunkRows * tileColumns }
    /// Pixels in a row of a strip: all tiles' and one on either side.
    var stripColumns: Int { tileColumns * 4 + 2 }
    var stripSize: Int { (chunkRows * 4 + 2) * stripColumns * lanes }
    /// From one frequency to the next: an odd number of cache lines, so that all 36 do not fall on the same set.
    var inputStride: Int { (inputBlocks * tiles | 1) * lanes }
    var outputStride: Int { (outputBlocks * tiles | 1) * lanes }

    func scratchSize(threads: Int) -> Int { 36 * (inputStride + outputStride) + threads * stripSize }
}

extension ConvolutionStep {
    func runWinograd(_ reader: ImageReader, _ scratch: UnsafeMutablePointer<Float>, in evaluation: Evaluation) {
        let sizes = WinogradSizes(self)
        let input = scratch
        let output = input + 36 * sizes.inputStride
        let strips = output + 36 * sizes.outputStride
        let results = evaluation.blocks(of: writes)
        let moments = freshMoments(in: evaluation)
        for first in stride(from: 0, to: sizes.tileRows, by: sizes.chunkRows) {
            let tileRows = first..<min(first + sizes.chunkRows, sizes.tileRows)
            let tiles = tileRows.count * sizes.tileColumns
            evaluation.pool.split(sizes.inputBlocks) { blocks, worker in
                for block in blocks {
                    let strip = strips + worker * sizes.stripSize
                    fill(strip, sizes, from: reader, block: block, tileRows: tileRows)
                    for row in 0..<tileRows.count {
                        kernels.winograd_input(
                            strip + row * 4 * sizes.stripColumns * lanes, sizes.stripColumns * lanes,
                            sizes.tileColumns,
                            input + (block * tiles + row * sizes.tileColumns) * lanes, sizes.inputStride)
                    }
                }
            }
            let columns = (0..<sizes.inputBlocks).map { UnsafePointer<Float>?(input + $0 * tiles * lanes) }
            let inner = weights.paddedInputs
            evaluation.pool.split(sizes.outputBlocks, by: 2) { blocks, _ in
                for frequency in 0..<36 {
                    let place = frequency * sizes.outputBlocks + blocks.lowerBound
                    kernels.multiply(
                        tiles, blocks.count, sizes.inputBlocks, columns, frequency * sizes.inputStride, lanes,
                        weights.numbers.start + place * inner * lanes, inner * lanes,
                        output + frequency * sizes.outputStride + blocks.lowerBound * tiles * lanes,
                        tiles * lanes)
                }
            }
            evaluation.pool.split(sizes.outputBlocks) { blocks, _ in
                for block in blocks {
                    for row in tileRows {
                        let pixel = row * 4 * self.columns
                        var finish = finish(block, from: pixel, moments: moments[block], in: evaluation)
                        let tile = block * tiles + (row - first) * sizes.tileColumns
                        kernels.winograd_output(
                            output + tile * lanes, sizes.outputStride, min(4, rows - row * 4), self.columns,
                            &finish, results[block] + pixel * lanes, self.columns * lanes)
                    }
                }
            }
        }
    }

    /// Reads the rows under some rows of tiles, with zeros where they lie outside the image.
    private func fill(
        _ strip: UnsafeMutablePointer<Float>, _ sizes: WinogradSizes, from reader: ImageReader, block: Int,
        tileRows: Range<Int>
    ) {
        for index in 0..<tileRows.count * 4 + 2 {
            let row = tileRows.lowerBound * 4 + index - 1
            let target = strip + index * sizes.stripColumns * lanes
            guard (0..<rows).contains(row) else {
                target.update(repeating: 0, count: sizes.stripColumns * lanes)
                continue
            }
            target.update(repeating: 0, count: lanes)
            reader.read(row: row, of: block, to: target + lanes)
            let end = (1 + columns) * lanes
            (target + end).update(repeating: 0, count: sizes.stripColumns * lanes - end)
        }
    }
}
