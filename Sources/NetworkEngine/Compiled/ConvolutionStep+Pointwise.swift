/// Linear maps of pixels: one product for each run of pixels, which are read in place where the source is plain.
extension ConvolutionStep {
    /// The pixels of a run.
    private var runPixels: Int { 112 }
    private var runSize: Int { source.isPlain ? 0 : source.blocks.count * runPixels * Block.lanes }
    private var momentSize: Int { PlaneMoments.size(of: size, blocks: outputBlocks) }

    func pointwiseScratchSize(threads: Int) -> Int {
        momentSize + (size.planes > 1 ? threads : 1) * runSize
    }

    func runPointwise(_ reader: ImageReader, _ scratch: BufferPlace, in evaluation: Evaluation) {
        let planePixels = size.rows * size.columns
        let first = evaluation.place(BlockReference(image: writes, block: 0))
        PlaneMoments.splitPlanes(of: size, evaluation.pool, moments: moments(in: evaluation), in: scratch) {
            plane, worker, pool, moments in
            map(
                plane * planePixels..<(plane + 1) * planePixels, reader,
                scratch + (momentSize + worker * runSize), pool, in: evaluation
            ) { pixels, blocks, places, offset in
                weights.multiply(
                    places, offset, pixels: pixels, blocks: blocks, into: first,
                    stride: size.pixels * Block.lanes, moments: moments
                ) { finish($0, from: $1, in: evaluation) }
            }
        }
    }

    private func map(
        _ pixels: Range<Int>, _ reader: ImageReader, _ scratch: BufferPlace, _ pool: WorkerPool,
        in evaluation: Evaluation,
        multiply:
            @Sendable (_ pixels: Range<Int>, _ blocks: Range<Int>, _ places: [BufferPlace], _ offset: Int) ->
            Void
    ) {
        let places = source.blocks.enumerated().map { index, block in
            source.isPlain ? evaluation.place(block) : scratch + index * runPixels * Block.lanes
        }
        for first in stride(from: pixels.lowerBound, to: pixels.upperBound, by: runPixels) {
            let run = first..<min(first + runPixels, pixels.upperBound)
            if !source.isPlain {
                pool.split(places.count) { blocks, _ in
                    for block in blocks { reader.read(pixels: run, of: block, to: places[block].start) }
                }
            }
            pool.split(outputBlocks, by: 2) { blocks, _ in
                multiply(run, blocks, places, source.isPlain ? first * Block.lanes : 0)
            }
        }
    }
}
