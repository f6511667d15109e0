import CVoxelKernels

/// How a plane is cut into overlapping tiles of 6 x 6 pixels, four apart, for Winograd's F(4 x 4, 3 x 3).
struct WinogradTiling {
    /// Blocks of channels.
    let blocks: Int
    /// Planes whose tiles are kept at a time.
    let planes: Int
    /// The size of a plane, in pixels.
    private let imageRows, imageColumns: Int
    /// The size of a plane, in tiles.
    let rows, columns: Int
    /// Rows of tiles in a chunk.
    let chunkRows: Int
    /// The tiles of a block are padded to a multiple of this, with zeros.
    private let alignment: Int

    /// About how many tiles a chunk has: enough for a product to run at full speed for each time that weights are
    /// fetched, and few enough for one frequency of a thousand channels to stay in the second cache.
    static let chunkTiles = 100

    /// - Parameters:
    ///   - blocks: blocks of channels.
    ///   - imageRows: rows of a plane.
    ///   - imageColumns: columns of a plane.
    ///   - planes: planes whose tiles are kept at a time.
    ///   - chunkTiles: about how many tiles of a plane a chunk has.
    ///   - alignment: the tiles of a block are padded to a multiple of this.
    init(
        blocks: Int, rows imageRows: Int, columns imageColumns: Int, planes: Int = 1,
        chunkTiles: Int = Self.chunkTiles, alignment: Int = 1
    ) {
        (self.blocks, self.planes, self.alignment) = (blocks, planes, alignment)
        (self.imageRows, self.imageColumns) = (imageRows, imageColumns)
        (rows, columns) = ((imageRows + 3) / 4, (imageColumns + 3) / 4)
        let chunks = min(rows, max(1, (rows * columns + chunkTiles / 2) / chunkTiles))
        chunkRows = (rows + chunks - 1) / chunks
    }

    /// Rows of tiles, chunk by chunk.
    var chunks: [Range<Int>] {
        Swift.stride(from: 0, to: rows, by: chunkRows).map { $0..<min($0 + chunkRows, rows) }
    }

    /// Tiles of some rows of a plane, padded.
    func tiles(_ tileRows: Range<Int>) -> Int {
        (tileRows.count * columns + alignment - 1) / alignment * alignment
    }
    /// Tiles of a plane of the largest chunk, padded.
    var tiles: Int { tiles(0..<chunkRows) }
    /// The distance between two frequencies of some planes of a chunk: an odd number of cache lines, so that they do not
    /// fall on the same cache set.
    func stride(blocks: Int, planes: Int) -> Int { (blocks * planes * tiles | 1) * Block.lanes }
    var stride: Int { stride(blocks: blocks, planes: planes) }
    var inputSize: Int { 36 * stride }
    /// Pixels in a row of a strip: all tiles' and one on either side.
    var stripColumns: Int { columns * 4 + 2 }
    var stripSize: Int { (chunkRows * 4 + 2) * stripColumns * Block.lanes }

    /// Transforms some rows of tiles of a plane to the Winograd domain: 36 frequencies of
    /// `[blocks][planes][tiles][16]`.
    ///
    /// - Parameters:
    ///   - slot: where the plane goes among the planes.
    ///   - strips: memory for `stripSize` numbers for each thread.
    ///   - read: writes a row of a block of the plane.
    func transform(
        _ tileRows: Range<Int>, slot: Int = 0, into result: BufferPlace, strips: BufferPlace, pool: WorkerPool,
        reading read: RowReader
    ) {
        let tiles = tiles(tileRows)
        pool.split(blocks) { blocks, worker in
            let strip = strips.start + worker * stripSize
            for block in blocks {
                fill(strip, tileRows: tileRows) { read($0, block, $1) }
                let target = result.start + (block * planes + slot) * tiles * Block.lanes
                for row in 0..<tileRows.count {
                    Block.kernels.winograd_input(
                        strip + row * 4 * stripColumns * Block.lanes, stripColumns * Block.lanes, columns,
                        target + row * columns * Block.lanes, stride)
                }
                clearPadding(of: target, tileRows, stride: stride)
            }
        }
    }

    /// Writes a row of a block of a plane.
    typealias RowReader = @Sendable (_ row: Int, _ block: Int, _ target: UnsafeMutablePointer<Float>) -> Void

    /// Fills slots with zeros, which is what planes outside the image are transformed to.
    func clear(slots: Range<Int>, of tiles: UnsafeMutablePointer<Float>, tileRows: Range<Int>) {
        forEachRun(tileRows) { run, size in
            (tiles + run + slots.lowerBound * size).update(repeating: 0, count: slots.count * size)
        }
    }

    /// Calls `body` for each frequency and block, with where its planes begin and the size of each.
    private func forEachRun(_ tileRows: Range<Int>, _ body: (_ start: Int, _ size: Int) -> Void) {
        let size = tiles(tileRows) * Block.lanes
        for frequency in 0..<36 {
            for block in 0..<blocks { body(frequency * stride + block * planes * size, size) }
        }
    }

    /// Transforms the gradient of a convolution's result to the Winograd domain, as `transform` does the image: 36
    /// frequencies, `stride` apart, of `[blocks][blockTiles][16]`, of which it writes the first tiles.
    func transformGradient(
        _ tileRows: Range<Int>, blocks: Int, into result: BufferPlace, blockTiles: Int, stride: Int,
        strips: BufferPlace, pool: WorkerPool, reading read: RowReader
    ) {
        let width = columns * 4 * Block.lanes
        pool.split(blocks) { range, worker in
            let strip = strips.start + worker * stripSize
            for block in range {
                for index in 0..<tileRows.count * 4 {
                    let row = tileRows.lowerBound * 4 + index
                    let target = strip + index * width
                    let end = row < imageRows ? imageColumns * Block.lanes : 0
                    if row < imageRows { read(row, block, target) }
                    (target + end).update(repeating: 0, count: width - end)
                }
                for row in 0..<tileRows.count {
                    Block.kernels.winograd_output_adjoint(
                        strip + row * 4 * width, width, columns,
                        result.start + (block * blockTiles + row * columns) * Block.lanes, stride)
                }
                clearPadding(of: result.start + block * blockTiles * Block.lanes, tileRows, stride: stride)
            }
        }
    }

    /// Zeros the tiles that a block is padded with, in every frequency.
    func clearPadding(of block: UnsafeMutablePointer<Float>, _ tileRows: Range<Int>, stride: Int) {
        let (real, all) = (tileRows.count * columns, tiles(tileRows))
        guard all > real else { return }
        for frequency in 0..<36 {
            (block + frequency * stride + real * Block.lanes).update(
                repeating: 0, count: (all - real) * Block.lanes)
        }
    }

    /// Reads the rows under some rows of tiles, with zeros where they lie outside the image.
    func fill(
        _ strip: UnsafeMutablePointer<Float>, tileRows: Range<Int>,
        reading read: (_ row: Int, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        for index in 0..<tileRows.count * 4 + 2 {
            let row = tileRows.lowerBound * 4 + index - 1
            let target = strip + index * stripColumns * Block.lanes
            guard (0..<imageRows).contains(row) else {
                target.update(repeating: 0, count: stripColumns * Block.lanes)
                continue
            }
            target.update(repeating: 0, count: Block.lanes)
            read(row, target + Block.lanes)
            let end = (1 + imageColumns) * Block.lanes
            (target + end).update(repeating: 0, count: stripColumns * Block.lanes - end)
        }
    }
}
