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
        tiling = WinogradTiling(blocks: Block.count(weights.inputs), rows: rows, columns: columns)
        outputBlocks = Block.count(weights.outputs)
    }

    private var outputStride: Int { tiling.stride(blocks: outputBlocks) }

    /// The numbers of one chunk's tiles, before and after.
    private var chunkSize: Int { tiling.inputSize + 36 * outputStride }

    /// How many threads can have chunks of their own, at least two each.
    private func chunkWorkers(threads: Int) -> Int { min(threads, tiling.chunks.count / 2) }

    /// The numbers of all chunks' moments, in whole cache lines.
    private var momentSize: Int {
        let bytes = MemoryLayout<voxel_moments>.stride * outputBlocks * tiling.chunks.count
        return Block.count(bytes / MemoryLayout<Float>.stride) * Block.lanes
    }

    /// The numbers of scratch memory that it uses with this number of threads.
    func scratchSize(threads: Int) -> Int {
        momentSize + max(1, chunkWorkers(threads: threads)) * chunkSize + threads * tiling.stripSize
    }

    /// Writes a row of a block of the image.
    typealias RowReader = @Sendable (_ row: Int, _ block: Int, _ target: UnsafeMutablePointer<Float>) -> Void

    /// Convolves.
    ///
    /// - Parameters:
    ///   - scratch: memory of `scratchSize`.
    ///   - pool: the threads to split it over.
    ///   - results: where each block of the result is.
    ///   - moments: those of each block of the result, to which the result's are added, or nil.
    ///   - read: writes a row of a block of the image.
    ///   - finish: what is added to a block of the result from a pixel on.
    func run(
        scratch: BufferPlace, pool: WorkerPool, into results: [BufferPlace],
        moments: [UnsafeMutablePointer<voxel_moments>?], reading read: RowReader,
        finishing finish: @Sendable (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let chunks = tiling.chunks
        let strips = scratch + momentSize
        let tiles = strips + pool.threads * tiling.stripSize
        let isMeasured = moments.map { $0 != nil }
        @Sendable func part(_ chunk: Int, _ block: Int) -> UnsafeMutablePointer<voxel_moments> {
            UnsafeMutableRawPointer(scratch.start).assumingMemoryBound(to: voxel_moments.self)
                + (chunk * outputBlocks + block)
        }
        @Sendable func run(_ chunk: Int, worker: Int, pool: WorkerPool) {
            self.run(
                chunks[chunk], strips: strips + worker * tiling.stripSize, tiles: tiles + worker * chunkSize,
                pool: pool, into: results, reading: read
            ) { block, pixel in
                var finish = finish(block, pixel)
                if isMeasured[block] { finish.moments = part(chunk, block) }
                return finish
            }
        }
        UnsafeMutableRawPointer(scratch.start).initializeMemory(
            as: voxel_moments.self, repeating: voxel_moments(), count: outputBlocks * chunks.count)
        let width = pool.width
        if width > 1 && width <= chunkWorkers(threads: pool.threads) {
            pool.split(chunks.count, width: width) { range, worker in
                for chunk in range { run(chunk, worker: worker, pool: .alone) }
            }
        } else {
            for chunk in chunks.indices { run(chunk, worker: 0, pool: pool) }
        }
        // Chunk after chunk, so that the moments do not depend on which worker computed which.
        for (block, moments) in moments.enumerated() {
            guard let moments else { continue }
            for chunk in chunks.indices { voxel_moments_join(moments, part(chunk, block)) }
        }
    }

    private func run(
        _ tileRows: Range<Int>, strips: BufferPlace, tiles input: BufferPlace, pool: WorkerPool,
        into results: [BufferPlace], reading read: RowReader,
        finishing finish: @Sendable (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let tiles = tileRows.count * tiling.columns
        let output = input + tiling.inputSize
        let inner = weights.paddedInputs
        tiling.transform(tileRows, into: input, strips: strips, pool: pool, reading: read)
        pool.split(outputBlocks, by: 2) { blocks, _ in
            let places = Block.starts(input.start, count: tiling.blocks, stride: tiles * Block.lanes)
            for frequency in 0..<36 {
                let place = frequency * outputBlocks + blocks.lowerBound
                Block.kernels.multiply(
                    tiles, blocks.count, tiling.blocks, places, frequency * tiling.stride, Block.lanes,
                    weights.numbers.start + place * inner * Block.lanes, inner * Block.lanes,
                    output.start + frequency * outputStride + blocks.lowerBound * tiles * Block.lanes,
                    tiles * Block.lanes, false)
            }
        }
        pool.split(outputBlocks) { blocks, _ in
            for block in blocks {
                for row in tileRows {
                    let pixel = row * 4 * columns
                    var finish = finish(block, pixel)
                    let tile = block * tiles + (row - tileRows.lowerBound) * tiling.columns
                    Block.kernels.winograd_output(
                        output.start + tile * Block.lanes, outputStride, min(4, rows - row * 4), columns,
                        &finish, results[block].start + pixel * Block.lanes, columns * Block.lanes)
                }
            }
        }
    }
}
