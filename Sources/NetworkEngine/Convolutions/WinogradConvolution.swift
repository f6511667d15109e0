import CVoxelKernels

/// A 3 x 3 or 3 x 3 x 3 convolution of one image in Winograd's form, cut into chunks of whole rows of tiles which fit
/// the cache.
///
/// A chunk is transformed channel block by channel block, multiplied frequency by frequency, and transformed back:
/// its 36 matrices lie flat, all tiles of all its rows after one another. Of a volume, a chunk is a column of slabs of
/// planes. A kernel of three planes takes pairs of planes, by F(2, 3) along planes: 27 multiplications become 4.5.
struct WinogradConvolution {
    let weights: PackedConvolution
    /// The size of the image, before and after.
    let size: Extents
    private let tiling: WinogradTiling
    private let outputBlocks: Int
    /// Whether pairs of planes are computed together.
    private let isPaired: Bool
    /// Planes of the result in a slab, and in a chunk: even numbers where they are paired.
    private let slabPlanes, chunkPlanes: Int

    /// About how many tiles of a plane a chunk of a volume has, all planes or pairs of a slab together, and planes in a
    /// chunk.
    private static let (bandTiles, slabTiles, chunkPlanes) = (54, 108, 24)

    init(weights: PackedConvolution, size: Extents) {
        (self.weights, self.size) = (weights, size)
        isPaired = weights.geometry.kernel.planes == 3
        outputBlocks = Block.count(weights.outputs)
        let inputBlocks = Block.count(weights.inputs)
        if size.planes == 1 && !isPaired {
            tiling = WinogradTiling(blocks: inputBlocks, rows: size.rows, columns: size.columns)
            (slabPlanes, chunkPlanes) = (1, 1)
        } else {
            // At least two rows of tiles, because neighbouring rows share rows of pixels.
            let columns = (size.columns + 3) / 4
            let bandTiles = max(2 * columns, Self.bandTiles)
            let band = WinogradTiling(
                blocks: inputBlocks, rows: size.rows, columns: size.columns, chunkTiles: bandTiles)
            let unit = isPaired ? 2 : 1
            func parts(of planes: Int, by most: Int) -> Int {
                let count = (planes + most - 1) / most
                return (planes + count * unit - 1) / (count * unit) * unit
            }
            chunkPlanes = parts(of: size.planes, by: Self.chunkPlanes)
            let units = max(1, (Self.slabTiles + band.tiles / 2) / band.tiles)
            slabPlanes = parts(of: chunkPlanes, by: units * unit)
            tiling = WinogradTiling(
                blocks: inputBlocks, rows: size.rows, columns: size.columns,
                planes: isPaired ? 1 : slabPlanes, chunkTiles: bandTiles)
        }
    }

    /// Rows of tiles of some planes.
    private struct Chunk {
        let planes, tileRows: Range<Int>
    }

    private var chunks: [Chunk] {
        Swift.stride(from: 0, to: size.planes, by: chunkPlanes).flatMap { first in
            tiling.chunks.map {
                Chunk(planes: first..<min(first + chunkPlanes, size.planes), tileRows: $0)
            }
        }
    }
    private var chunkCount: Int {
        (size.planes + chunkPlanes - 1) / chunkPlanes * tiling.chunks.count
    }

    /// Numbers between two frequencies of a slab, before and after the product.
    private var inputStride: Int {
        isPaired
            ? tiling.stride(blocks: 4 * tiling.blocks, planes: slabPlanes / 2)
            : tiling.stride(blocks: tiling.blocks, planes: slabPlanes)
    }
    private var outputStride: Int { tiling.stride(blocks: outputBlocks, planes: slabPlanes) }

    /// The numbers of one slab's tiles, before and after.
    private var slabSize: Int { 36 * (inputStride + outputStride) }

    /// The numbers of a thread's strips.
    private var stripSize: Int { isPaired ? tiling.pairStripSize : tiling.stripSize }

    /// How many threads can have chunks of their own, at least two each.
    private func chunkWorkers(threads: Int) -> Int { min(threads, chunkCount / 2) }

    private var momentSize: Int { PartialMoments.size(parts: chunkCount, blocks: outputBlocks) }

    /// The numbers of scratch memory that it uses with this number of threads.
    func scratchSize(threads: Int) -> Int {
        momentSize + max(1, chunkWorkers(threads: threads)) * slabSize + threads * stripSize
    }

    /// Writes a row of a block of the image.
    typealias RowReader =
        @Sendable (_ plane: Int, _ row: Int, _ block: Int, _ target: UnsafeMutablePointer<Float>) -> Void

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
        let chunks = chunks
        let strips = scratch + momentSize
        let tiles = strips + pool.threads * stripSize
        let isMeasured = moments.map { $0 != nil }
        let parts = PartialMoments(parts: chunks.count, blocks: outputBlocks, in: scratch)
        @Sendable func run(_ chunk: Int, worker: Int, pool: WorkerPool) {
            self.run(
                chunks[chunk], strips: strips + worker * stripSize, tiles: tiles + worker * slabSize,
                pool: pool, into: results, reading: read
            ) { block, pixel in
                var finish = finish(block, pixel)
                if isMeasured[block] { finish.moments = parts.moments(chunk, block) }
                return finish
            }
        }
        let width = pool.width
        if width > 1 && width <= chunkWorkers(threads: pool.threads) {
            pool.split(chunks.count, width: width) { range, worker in
                for chunk in range { run(chunk, worker: worker, pool: .alone) }
            }
        } else {
            for chunk in chunks.indices { run(chunk, worker: 0, pool: pool) }
        }
        parts.join(into: moments)
    }

    /// Convolves a chunk, slab by slab.
    private func run(
        _ chunk: Chunk, strips: BufferPlace, tiles: BufferPlace, pool: WorkerPool,
        into results: [BufferPlace], reading read: RowReader,
        finishing finish: @Sendable (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        for first in Swift.stride(from: chunk.planes.lowerBound, to: chunk.planes.upperBound, by: slabPlanes) {
            let planes = first..<min(first + slabPlanes, chunk.planes.upperBound)
            if isPaired {
                tiling.transformPairs(
                    chunk.tileRows, from: first, pairs: (planes.count + 1) / 2, into: tiles,
                    stride: inputStride, strips: strips, imagePlanes: size.planes, pool: pool, reading: read)
                multiplyPairs(
                    planes, chunk.tileRows, tiles: tiles, pool: pool, into: results, finishing: finish)
            } else {
                for (slot, plane) in planes.enumerated() {
                    tiling.transform(
                        chunk.tileRows, slot: slot, into: tiles, strips: strips, pool: pool
                    ) { read(plane, $0, $1, $2) }
                }
                multiply(planes, chunk.tileRows, tiles: tiles, pool: pool, into: results, finishing: finish)
            }
        }
    }

    /// Multiplies the tiles of a slab, and transforms the products back.
    private func multiply(
        _ planes: Range<Int>, _ tileRows: Range<Int>, tiles input: BufferPlace, pool: WorkerPool,
        into results: [BufferPlace], finishing finish: @Sendable (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let planeTiles = tiling.tiles(tileRows)
        let tiles = planes.count * planeTiles
        let output = input + 36 * inputStride
        let inner = weights.paddedInputs
        pool.split(outputBlocks, by: 2) { blocks, _ in
            let places = Block.starts(
                input.start, count: tiling.blocks, stride: tiling.planes * planeTiles * Block.lanes)
            for frequency in 0..<36 {
                let place = frequency * outputBlocks + blocks.lowerBound
                Block.kernels.multiply(
                    tiles, blocks.count, places.count, places, frequency * inputStride, Block.lanes,
                    weights.numbers.start + place * inner * Block.lanes, inner * Block.lanes,
                    output.start + frequency * outputStride + blocks.lowerBound * tiles * Block.lanes,
                    tiles * Block.lanes, false)
            }
        }
        pool.split(outputBlocks) { blocks, _ in
            for block in blocks {
                for (index, plane) in planes.enumerated() {
                    let tiles = output.start + (block * tiles + index * planeTiles) * Block.lanes
                    write(tiles, plane, tileRows, of: block, into: results, finishing: finish)
                }
            }
        }
    }

    /// Multiplies the tiles of a slab of pairs of planes, and transforms the products back.
    private func multiplyPairs(
        _ planes: Range<Int>, _ tileRows: Range<Int>, tiles input: BufferPlace, pool: WorkerPool,
        into results: [BufferPlace], finishing finish: @Sendable (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let pairs = (planes.count + 1) / 2
        let planeTiles = tiling.tiles(tileRows)
        let tiles = pairs * planeTiles
        let output = input + 36 * inputStride
        let inner = weights.paddedInputs
        // Of the four sums' products m0 to m3, the first plane is m0 + m1 + m2 and the second m1 - m2 - m3; the weights of the
        // last are negated. All blocks at once: the tiles of a frequency stay in the cache, and weights are read once.
        let planeStride = outputBlocks * tiles * Block.lanes
        pool.split(36) { frequencies, _ in
            let places = (0..<4).map { depth in
                Block.starts(
                    input.start + depth * tiling.blocks * tiles * Block.lanes, count: tiling.blocks,
                    stride: tiles * Block.lanes)
            }
            for frequency in frequencies {
                let first = output.start + frequency * outputStride
                func multiply(_ depth: Int, into result: UnsafeMutablePointer<Float>, adding: Bool) {
                    let place = frequency * outputBlocks * 4 + depth
                    Block.kernels.multiply(
                        tiles, outputBlocks, tiling.blocks, places[depth], frequency * inputStride, Block.lanes,
                        weights.numbers.start + place * inner * Block.lanes, 4 * inner * Block.lanes, result,
                        tiles * Block.lanes, adding)
                }
                multiply(1, into: first, adding: false)
                multiply(2, into: first + planeStride, adding: false)
                Block.kernels.butterfly(first, first + planeStride, outputBlocks * tiles)
                multiply(0, into: first, adding: true)
                multiply(3, into: first + planeStride, adding: true)
            }
        }
        pool.split(outputBlocks) { blocks, _ in
            for block in blocks {
                for pair in 0..<pairs {
                    for index in 0..<2 {
                        let plane = planes.lowerBound + 2 * pair + index
                        guard plane < planes.upperBound else { continue }
                        let start = (block * tiles + pair * planeTiles) * Block.lanes
                        write(
                            output.start + index * planeStride + start, plane, tileRows, of: block,
                            into: results, finishing: finish)
                    }
                }
            }
        }
    }

    /// Transforms the products of a plane of a block back.
    private func write(
        _ tiles: UnsafeMutablePointer<Float>, _ plane: Int, _ tileRows: Range<Int>, of block: Int,
        into results: [BufferPlace], finishing finish: (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        for (index, row) in tileRows.enumerated() {
            let pixel = (plane * size.rows + row * 4) * size.columns
            var finish = finish(block, pixel)
            Block.kernels.winograd_output(
                tiles + index * tiling.columns * Block.lanes, outputStride, min(4, size.rows - row * 4),
                size.columns, &finish, results[block].start + pixel * Block.lanes, size.columns * Block.lanes)
        }
    }
}
