import CVoxelKernels

/// How a direct convolution is cut into chunks of rows of a plane of the result.
private struct DirectSizes {
    let inputBlocks: Int
    /// Rows of the result in a chunk, and of a plane of the image under them, padding included.
    let chunkRows, stripRows, stripColumns: Int
    /// The numbers of a plane under a chunk, and of all planes of the kernel.
    let planeSize, stripSize: Int

    /// About the pixels of a chunk.
    private static let chunkPixels = 160

    init(_ step: ConvolutionStep) {
        let geometry = step.weights.geometry
        inputBlocks = step.source.blocks.count
        chunkRows = max(1, min(step.size.rows, Self.chunkPixels / max(1, step.size.columns)))
        stripRows = (chunkRows - 1) * geometry.stride + geometry.kernel.rows
        stripColumns = max(
            (step.size.columns - 1) * geometry.stride + geometry.kernel.columns,
            step.source.size.columns + geometry.before.columns)
        planeSize = stripRows * stripColumns * Block.lanes
        stripSize = geometry.kernel.planes * planeSize
    }

    var scratchSize: Int { inputBlocks * stripSize }
}

/// Direct convolutions: one product for each row of the result. Its inner dimension runs over the places of the kernel,
/// which are the same rows of the image seen from other pixels, so no patch is ever copied.
extension ConvolutionStep {
    private var isVolume: Bool { size.planes > 1 }

    /// The planes of a volume are computed apart.
    private var planeMomentSize: Int {
        isVolume ? PartialMoments.size(parts: size.planes, blocks: outputBlocks) : 0
    }

    func directScratchSize(threads: Int) -> Int {
        planeMomentSize + (isVolume ? threads : 1) * DirectSizes(self).scratchSize
    }

    func runDirect(_ reader: ImageReader, _ scratch: BufferPlace, in evaluation: Evaluation) {
        let sizes = DirectSizes(self)
        splitPlanes(scratch, in: evaluation) { plane, worker, pool, moments in
            convolve(
                plane, sizes, reader, scratch + (planeMomentSize + worker * sizes.scratchSize), pool,
                in: evaluation, moments: moments)
        }
    }

    /// Calls `body` with each plane: threads share the planes of a volume, or a plane.
    private func splitPlanes(
        _ scratch: BufferPlace, in evaluation: Evaluation,
        _ body:
            @Sendable (
                _ plane: Int, _ worker: Int, WorkerPool,
                _ moments: @Sendable (_ block: Int) -> UnsafeMutablePointer<voxel_moments>?
            ) -> Void
    ) {
        guard isVolume else {
            return body(0, 0, evaluation.pool) {
                evaluation.moments(BlockReference(image: writes, block: $0))
            }
        }
        let parts = PartialMoments(parts: size.planes, blocks: outputBlocks, in: scratch)
        let isMeasured = evaluation.moments(BlockReference(image: writes, block: 0)) != nil
        evaluation.pool.split(size.planes) { planes, worker in
            for plane in planes {
                body(plane, worker, .alone) { isMeasured ? parts.moments(plane, $0) : nil }
            }
        }
        if isMeasured { parts.join(into: moments(in: evaluation)) }
    }

    /// One plane of the result.
    private func convolve(
        _ plane: Int, _ sizes: DirectSizes, _ reader: ImageReader, _ scratch: BufferPlace, _ pool: WorkerPool,
        in evaluation: Evaluation, moments: @Sendable (_ block: Int) -> UnsafeMutablePointer<voxel_moments>?
    ) {
        let (kernel, stride) = (weights.geometry.kernel, weights.geometry.stride)
        let places = (0..<kernel.pixels).flatMap { place in
            let (row, column) = (place / kernel.columns % kernel.rows, place % kernel.columns)
            let pixel = row * sizes.stripColumns + column
            let offset = place / (kernel.rows * kernel.columns) * sizes.planeSize + pixel * Block.lanes
            return (0..<sizes.inputBlocks).map { scratch + ($0 * sizes.stripSize + offset) }
        }
        for first in Swift.stride(from: 0, to: size.rows, by: sizes.chunkRows) {
            let chunk = first..<min(first + sizes.chunkRows, size.rows)
            pool.split(sizes.inputBlocks) { blocks, _ in
                for block in blocks {
                    let strip = scratch.start + block * sizes.stripSize
                    fill(strip, sizes, from: reader, block: block, plane: plane, firstRow: first)
                }
            }
            pool.split(outputBlocks, by: 2) { blocks, _ in
                for row in chunk {
                    let begin = (plane * size.rows + row) * size.columns
                    multiply(
                        places, (row - first) * stride * sizes.stripColumns * Block.lanes,
                        pixels: begin..<begin + size.columns, blocks: blocks, in: evaluation, moments: moments)
                }
            }
        }
    }

    /// Reads the rows under some rows of a plane of the result, with zeros where they lie outside the image.
    private func fill(
        _ strip: UnsafeMutablePointer<Float>, _ sizes: DirectSizes, from reader: ImageReader, block: Int,
        plane: Int, firstRow: Int
    ) {
        let (image, geometry) = (source.size, weights.geometry)
        let width = sizes.stripColumns * Block.lanes
        let margin = geometry.before.columns * Block.lanes
        for index in 0..<geometry.kernel.planes * sizes.stripRows {
            let target = strip + index * width
            let plane = plane * geometry.stride + index / sizes.stripRows - geometry.before.planes
            let row = firstRow * geometry.stride + index % sizes.stripRows - geometry.before.rows
            guard (0..<image.planes).contains(plane), (0..<image.rows).contains(row) else {
                target.update(repeating: 0, count: width)
                continue
            }
            target.update(repeating: 0, count: margin)
            reader.read(plane: plane, row: row, of: block, to: target + margin)
            let end = margin + image.columns * Block.lanes
            (target + end).update(repeating: 0, count: width - end)
        }
    }
}

/// Linear maps of pixels: one product for each run of pixels, which are read in place where the source is plain.
extension ConvolutionStep {
    /// The pixels of a run.
    private var runPixels: Int { 112 }
    private var runSize: Int { source.isPlain ? 0 : source.blocks.count * runPixels * Block.lanes }

    func pointwiseScratchSize(threads: Int) -> Int { planeMomentSize + (isVolume ? threads : 1) * runSize }

    func runPointwise(_ reader: ImageReader, _ scratch: BufferPlace, in evaluation: Evaluation) {
        let planePixels = size.rows * size.columns
        splitPlanes(scratch, in: evaluation) { plane, worker, pool, moments in
            map(
                plane * planePixels..<(plane + 1) * planePixels, reader,
                scratch + (planeMomentSize + worker * runSize), pool, in: evaluation, moments: moments)
        }
    }

    private func map(
        _ pixels: Range<Int>, _ reader: ImageReader, _ scratch: BufferPlace, _ pool: WorkerPool,
        in evaluation: Evaluation, moments: @Sendable (_ block: Int) -> UnsafeMutablePointer<voxel_moments>?
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
                multiply(
                    places, source.isPlain ? first * Block.lanes : 0, pixels: run, blocks: blocks,
                    in: evaluation, moments: moments)
            }
        }
    }
}
