/// Pairs of planes of a volume in the form of Winograd's F(2, 3) along planes.
///
/// The two planes 2 j and 2 j + 1 of a result need the planes d0 to d3 of the image, from 2 j - 1 on. Four sums of these,
/// d0 - d2, d1 + d2, d2 - d1 and d1 - d3, are cut into tiles and transformed as planes are. Each has a product of its own,
/// four for two planes where three planes of a kernel would take six.
extension WinogradTiling {
    /// The numbers of each thread's strips: the planes of a pair, and a sum of them.
    var pairStripSize: Int { 5 * stripSize }

    /// Transforms some rows of tiles of pairs of planes: 36 frequencies of `[4][blocks][pairs][tiles][16]`.
    ///
    /// - Parameters:
    ///   - first: the first plane of the result.
    ///   - pairs: number of pairs.
    ///   - stride: the distance between two frequencies.
    ///   - strips: memory for `pairStripSize` numbers for each thread.
    ///   - imagePlanes: number of planes of the image; those outside are zeros.
    ///   - read: writes a row of a block of a plane.
    func transformPairs(
        _ tileRows: Range<Int>, from first: Int, pairs: Int, into result: BufferPlace, stride: Int,
        strips: BufferPlace, imagePlanes: Int, pool: WorkerPool, reading read: WinogradConvolution.RowReader
    ) {
        let tiles = tiles(tileRows)
        let used = (tileRows.count * 4 + 2) * stripColumns
        pool.split(blocks * pairs) { units, worker in
            let strips = strips.start + worker * pairStripSize
            let combined = strips + 4 * stripSize
            for unit in units {
                let (block, pair) = unit.quotientAndRemainder(dividingBy: pairs)
                // Two planes are those of the pair before.
                let isFirst = unit == units.lowerBound || pair == 0
                let planes = (0..<4).map { strips + (2 * pair + $0) % 4 * stripSize }
                for index in isFirst ? 0..<4 : 2..<4 {
                    let plane = first + 2 * pair - 1 + index
                    if (0..<imagePlanes).contains(plane) {
                        fill(planes[index], tileRows: tileRows) { read(plane, $0, block, $1) }
                    } else {
                        planes[index].update(repeating: 0, count: used * Block.lanes)
                    }
                }
                for (depth, terms) in [(0, 2), (1, 2), (2, 1), (1, 3)].enumerated() {
                    Block.kernels.blend(
                        planes[terms.0], planes[terms.1], used, (depth == 1 ? sum : difference).start, combined)
                    let target = result.start + ((depth * blocks + block) * pairs + pair) * tiles * Block.lanes
                    for row in 0..<tileRows.count {
                        Block.kernels.winograd_input(
                            combined + row * 4 * stripColumns * Block.lanes, stripColumns * Block.lanes,
                            columns,
                            target + row * columns * Block.lanes, stride)
                    }
                }
            }
        }
    }
}

/// The coefficients of `blend` for x - y and x + y.
private let (difference, sum) = (coefficients(-1), coefficients(1))

private func coefficients(_ y: Float) -> FloatBuffer {
    FloatBuffer([1, y, 0].flatMap { [Float](repeating: $0, count: Block.lanes) })
}
