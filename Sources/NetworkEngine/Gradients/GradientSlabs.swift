import CVoxelKernels

/// How an image and the gradient of a Winograd convolution of it are cut into slabs of planes and rows of tiles.
struct GradientSlabs: Sendable {
    let tiling: WinogradTiling
    private let taps: Int
    private let size: Extents
    private let outputBlocks: Int
    /// Planes of a slab of the gradient.
    private let slabPlanes: Int

    /// About how many tiles a slab of a volume has: enough for the sums over them to be small work.
    private static let slabTiles = 192

    init(_ x: BlockedTensor, _ gradient: BlockedTensor, taps: Int, _ size: Extents) {
        (self.taps, self.size) = (taps, size)
        outputBlocks = gradient.blockCount
        guard size.planes > 1 || taps > 1 else {
            tiling = WinogradTiling(
                blocks: x.blockCount, rows: size.rows, columns: size.columns, alignment: Block.lanes)
            slabPlanes = 1
            return
        }
        let band = WinogradTiling(
            blocks: x.blockCount, rows: size.rows, columns: size.columns, chunkTiles: Self.slabTiles / 4)
        slabPlanes = min(size.planes, max(2, Self.slabTiles / band.tiles))
        tiling = WinogradTiling(
            blocks: x.blockCount, rows: size.rows, columns: size.columns, planes: slabPlanes + taps - 1,
            chunkTiles: Self.slabTiles / 4)
    }

    /// Planes and rows of tiles, slab by slab.
    var all: [(planes: Range<Int>, tileRows: Range<Int>)] {
        stride(from: 0, to: size.planes, by: slabPlanes).flatMap { first in
            tiling.chunks.map { (first..<min(first + slabPlanes, size.planes), $0) }
        }
    }

    /// The tiles of a block of a slab, padded to a multiple of sixteen.
    func tiles(_ planes: Range<Int>, _ tileRows: Range<Int>) -> Int {
        Block.count(planes.count * tiling.tiles(tileRows)) * Block.lanes
    }

    /// The tiles of a block of the image under a slab.
    func inputTiles(_ planes: Range<Int>, _ tileRows: Range<Int>) -> Int {
        tiling.planes * tiling.tiles(tileRows)
    }

    private var maximumTiles: Int { Block.count(slabPlanes * tiling.tiles) * Block.lanes }
    /// The distance between two frequencies of the gradient's tiles: an odd number of cache lines.
    var outputStride: Int { (outputBlocks * maximumTiles | 1) * Block.lanes }
    /// The numbers of a slab's tiles of the image, of which a product may read up to fifteen tiles too many, and of the
    /// gradient.
    var inputSize: Int { tiling.inputSize + Block.lanes * Block.lanes }
    var outputSize: Int { 36 * outputStride }

    /// Transforms a slab: 36 frequencies of `[blocks][planes][tiles][16]` of the image, and of `[blocks][tiles][16]` of the
    /// gradient, padded with zeros.
    func transform(
        _ x: GradientTape.Numbers, _ gradient: BlockedTensor, _ item: Int, _ planes: Range<Int>,
        _ tileRows: Range<Int>, into input: FloatBuffer, _ output: FloatBuffer, strips: FloatBuffer,
        _ workers: WorkerPool
    ) {
        // Products read up to fifteen tiles beyond the last, which they multiply by zeros, so those must be finite: zeros or
        // the next frequency's tiles. Every slot is written.
        for frequency in 0..<36 {
            (input.start + frequency * tiling.stride + tiling.blocks * inputTiles(planes, tileRows)
                * Block.lanes)
                .update(repeating: 0, count: Block.lanes * Block.lanes)
        }
        for slot in 0..<tiling.planes {
            let plane = planes.lowerBound + slot - taps / 2
            if (0..<size.planes).contains(plane) && slot < planes.count + taps - 1 {
                tiling.transform(
                    tileRows, slot: slot, into: BufferPlace(buffer: input), strips: BufferPlace(buffer: strips),
                    pool: workers
                ) { row, block, target in
                    x.copyRow(
                        plane * size.rows + row, columns: size.columns, of: block, item, to: target)
                }
            } else {
                tiling.clear(slots: slot..<slot + 1, of: input.start, tileRows: tileRows)
            }
        }
        let tiles = tiles(planes, tileRows)
        for (index, plane) in planes.enumerated() {
            tiling.transformGradient(
                tileRows, blocks: outputBlocks,
                into: BufferPlace(buffer: output, offset: index * tiling.tiles(tileRows) * Block.lanes),
                blockTiles: tiles, stride: outputStride, strips: BufferPlace(buffer: strips), pool: workers
            ) { row, block, target in
                gradient.copyRow(
                    plane * size.rows + row, columns: size.columns, of: block, item, to: target)
            }
        }
        let used = planes.count * tiling.tiles(tileRows)
        for frequency in 0..<36 where used < tiles {
            for block in 0..<outputBlocks {
                (output.start + frequency * outputStride + (block * tiles + used) * Block.lanes)
                    .update(repeating: 0, count: (tiles - used) * Block.lanes)
            }
        }
    }
}
