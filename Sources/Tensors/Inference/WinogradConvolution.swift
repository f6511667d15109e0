import CVoxelKernels

/// A 3 x 3 convolution of one image in Winograd's form, cut into chunks of whole rows of tiles which fit the cache.
///
/// A chunk is transformed channel block by channel block, multiplied frequency by frequency, and transformed back:
/// its 36 matrices lie flat, all tiles of all its rows after one another.
struct WinogradConvolution {
    let weights: PackedConvolution
    /// The size of the image, before and after.
    let rows, columns: Int
    private let tiling: WinogradTiling
    private let outputBlocks: Int

    init(weights: PackedConvolution, rows: Int, columns: Int) {
        (self.weights, self.rows, self.columns) = (weights, rows, columns)
        tiling = WinogradTiling(blocks: blocks(weights.inputs), rows: rows, columns: columns)
        outputBlocks = blocks(weights.outputs)
    }

    private var outputStride: Int { tiling.stride(blocks: outputBlocks) }

    /// The numbers that it needs room for.
    func scratchSize(threads: Int) -> Int {
        tiling.inputSize + 36 * outputStride + threads * tiling.stripSize
    }

    /// Convolves.
    ///
    /// - Parameters:
    ///   - scratch: room for as many numbers as it needs.
    ///   - pool: the threads to split it over.
    ///   - results: where each block of the result lies.
    ///   - read: writes a row of a block of the image.
    ///   - finish: what is done to a block of the result from a pixel on.
    func run(
        scratch: UnsafeMutablePointer<Float>, pool: WorkerPool, into results: [UnsafeMutablePointer<Float>],
        reading read: (_ row: Int, _ block: Int, _ target: UnsafeMutablePointer<Float>) -> Void,
        finishing finish: (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let input = scratch
        let output = input + tiling.inputSize
        let strips = output + 36 * outputStride
        let inner = weights.paddedInputs
        for tileRows in tiling.chunks {
            let tiles = tileRows.count * tiling.columns
            tiling.transform(tileRows, into: input, strips: strips, pool: pool, reading: read)
            let places = (0..<tiling.blocks).map { UnsafePointer<Float>?(input + $0 * tiles * lanes) }
            pool.split(outputBlocks, by: 2) { blocks, _ in
                for frequency in 0..<36 {
                    let place = frequency * outputBlocks + blocks.lowerBound
                    kernels.multiply(
                        tiles, blocks.count, tiling.blocks, places, frequency * tiling.stride, lanes,
                        weights.numbers.start + place * inner * lanes, inner * lanes,
                        output + frequency * outputStride + blocks.lowerBound * tiles * lanes, tiles * lanes,
                        false)
                }
            }
            pool.split(outputBlocks) { blocks, _ in
                for block in blocks {
                    for row in tileRows {
                        let pixel = row * 4 * columns
                        var finish = finish(block, pixel)
                        let tile = block * tiles + (row - tileRows.lowerBound) * tiling.columns
                        kernels.winograd_output(
                            output + tile * lanes, outputStride, min(4, rows - row * 4), columns, &finish,
                            results[block] + pixel * lanes, columns * lanes)
                    }
                }
            }
        }
    }
}
