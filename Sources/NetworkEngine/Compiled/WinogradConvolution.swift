import CVoxelKernels

/// A 3 x 3 or 3 x 3 x 3 convolution of one image in Winograd's form, cut into chunks of whole rows of tiles which fit
/// the cache.
///
/// A chunk is transformed channel block by channel block, multiplied frequency by frequency, and transformed back:
/// its 36 matrices lie flat, all tiles of all its rows after one another. Of a volume, a chunk is a column of slabs of
/// planes. A kernel's planes are summed in the transformed domain: the inner dimension of the product runs over them,
/// as the same tiles seen from other planes. Tiles that two slabs need are transformed once.
struct WinogradConvolution {
    let weights: PackedConvolution
    /// The size of the image, before and after.
    let size: Extents
    private let tiling: WinogradTiling
    private let outputBlocks: Int
    /// Planes of the kernel.
    private let taps: Int
    /// Planes of the result in a slab, and in a chunk.
    private let slabPlanes, chunkPlanes: Int

    /// About how many tiles of a plane a chunk of a volume has, all planes of a slab together, and planes in a chunk.
    private static let (bandTiles, slabTiles, chunkPlanes) = (54, 144, 24)

    init(weights: PackedConvolution, size: Extents) {
        (self.weights, self.size) = (weights, size)
        taps = weights.geometry.kernel.planes
        outputBlocks = Block.count(weights.outputs)
        let inputBlocks = Block.count(weights.inputs)
        if size.planes == 1 && taps == 1 {
            tiling = WinogradTiling(blocks: inputBlocks, rows: size.rows, columns: size.columns)
            (slabPlanes, chunkPlanes) = (1, 1)
        } else {
            // At least two rows of tiles, because neighbouring rows share rows of pixels.
            let columns = (size.columns + 3) / 4
            let bandTiles = max(2 * columns, Self.bandTiles)
            let band = WinogradTiling(
                blocks: inputBlocks, rows: size.rows, columns: size.columns, chunkTiles: bandTiles)
            let segments = (size.planes + Self.chunkPlanes - 1) / Self.chunkPlanes
            chunkPlanes = (size.planes + segments - 1) / segments
            slabPlanes = min(chunkPlanes, max(2, (Self.slabTiles + band.tiles / 2) / band.tiles))
            tiling = WinogradTiling(
                blocks: inputBlocks, rows: size.rows, columns: size.columns, planes: slabPlanes + taps - 1,
                chunkTiles: bandTiles)
        }
    }

    /// Rows of tiles of some planes.
    private struct Chunk {
        let planes, tileRows: Range<Int>
    }

    private var chunks: [Chunk] {
        stride(from: 0, to: size.planes, by: chunkPlanes).flatMap { first in
            tiling.chunks.map {
                Chunk(planes: first..<min(first + chunkPlanes, size.planes), tileRows: $0)
            }
        }
    }
    private var chunkCount: Int {
        (size.planes + chunkPlanes - 1) / chunkPlanes * tiling.chunks.count
    }

    private var outputStride: Int { tiling.stride(blocks: outputBlocks, planes: slabPlanes) }

    /// The numbers of one slab's tiles, before and after.
    private var slabSize: Int { tiling.inputSize + 36 * outputStride }

    /// How many threads can have chunks of their own, at least two each.
    private func chunkWorkers(threads: Int) -> Int { min(threads, chunkCount / 2) }

    private var momentSize: Int { PartialMoments.size(parts: chunkCount, blocks: outputBlocks) }

    /// The numbers of scratch memory that it uses with this number of threads.
    func scratchSize(threads: Int) -> Int {
        momentSize + max(1, chunkWorkers(threads: threads)) * slabSize + threads * tiling.stripSize
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
        let tiles = strips + pool.threads * tiling.stripSize
        let isMeasured = moments.map { $0 != nil }
        let parts = PartialMoments(parts: chunks.count, blocks: outputBlocks, in: scratch)
        @Sendable func run(_ chunk: Int, worker: Int, pool: WorkerPool) {
            self.run(
                chunks[chunk], strips: strips + worker * tiling.stripSize, tiles: tiles + worker * slabSize,
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
        let halo = taps - 1
        for first in stride(from: chunk.planes.lowerBound, to: chunk.planes.upperBound, by: slabPlanes) {
            let planes = first..<min(first + slabPlanes, chunk.planes.upperBound)
            // Slot i holds the plane `first - halo / 2 + i`; the first ones are the last of the slab before.
            let isFirst = first == chunk.planes.lowerBound
            if !isFirst && halo > 0 {
                tiling.moveToFront(
                    slots: slabPlanes..<slabPlanes + halo, of: tiles.start, tileRows: chunk.tileRows)
            }
            for slot in (isFirst ? 0 : halo)..<planes.count + halo {
                let plane = first - halo / 2 + slot
                if (0..<size.planes).contains(plane) {
                    tiling.transform(
                        chunk.tileRows, slot: slot, into: tiles, strips: strips, pool: pool
                    ) { read(plane, $0, $1, $2) }
                } else {
                    tiling.clear(slots: slot..<slot + 1, of: tiles.start, tileRows: chunk.tileRows)
                }
            }
            multiply(planes, chunk.tileRows, tiles: tiles, pool: pool, into: results, finishing: finish)
        }
    }

    /// Multiplies the tiles of a slab, and transforms the products back.
    private func multiply(
        _ planes: Range<Int>, _ tileRows: Range<Int>, tiles input: BufferPlace, pool: WorkerPool,
        into results: [BufferPlace], finishing finish: @Sendable (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let planeTiles = tiling.tiles(tileRows)
        let tiles = planes.count * planeTiles
        let output = input + tiling.inputSize
        let inner = taps * weights.paddedInputs
        pool.split(outputBlocks, by: 2) { blocks, _ in
            let places = (0..<taps).flatMap { tap in
                Block.starts(
                    input.start + tap * planeTiles * Block.lanes, count: tiling.blocks,
                    stride: tiling.planes * planeTiles * Block.lanes)
            }
            for frequency in 0..<36 {
                let place = frequency * outputBlocks + blocks.lowerBound
                Block.kernels.multiply(
                    tiles, blocks.count, places.count, places, frequency * tiling.stride, Block.lanes,
                    weights.numbers.start + place * inner * Block.lanes, inner * Block.lanes,
                    output.start + frequency * outputStride + blocks.lowerBound * tiles * Block.lanes,
                    tiles * Block.lanes, false)
            }
        }
        pool.split(outputBlocks) { blocks, _ in
            for block in blocks {
                for (index, plane) in planes.enumerated() {
                    for row in tileRows {
                        let pixel = (plane * size.rows + row * 4) * size.columns
                        var finish = finish(block, pixel)
                        let tile =
                            block * tiles + index * planeTiles + (row - tileRows.lowerBound) * tiling.columns
                        Block.kernels.winograd_output(
                            output.start + tile * Block.lanes, outputStride, min(4, size.rows - row * 4),
                            size.columns, &finish, results[block].start + pixel * Block.lanes,
                            size.columns * Block.lanes)
                    }
                }
            }
        }
    }
}
