import CVoxelKernels

/// A convolution of one image with any kernel: one product for each row of the result.
///
/// Its inner dimension runs over the places of the kernel, which are the same rows of the image seen from other pixels, so no
/// patch is ever copied. The result is cut into chunks of rows of a plane. Threads share the planes of a volume, or a plane.
struct DirectConvolution {
    let weights: PackedConvolution
    /// The size of the image before.
    private let image: Extents
    /// The size of the result.
    private let size: Extents
    private let inputBlocks, outputBlocks: Int
    /// Rows of the result in a chunk, and of a plane of the image under them, padding included.
    private let chunkRows, stripRows, stripColumns: Int
    /// The numbers of a plane under a chunk, and of all planes of the kernel.
    private let planeSize, stripSize: Int

    /// About the pixels of a chunk.
    private static let chunkPixels = 160

    /// - Parameters:
    ///   - weights: the weights, in direct form.
    ///   - image: the size of the image.
    ///   - size: the size of the result.
    init(weights: PackedConvolution, image: Extents, size: Extents) {
        (self.weights, self.image, self.size) = (weights, image, size)
        let geometry = weights.geometry
        (inputBlocks, outputBlocks) = (Block.count(weights.inputs), Block.count(weights.outputs))
        chunkRows = max(1, min(size.rows, Self.chunkPixels / max(1, size.columns)))
        stripRows = (chunkRows - 1) * geometry.stride + geometry.kernel.rows
        stripColumns = max(
            (size.columns - 1) * geometry.stride + geometry.kernel.columns,
            image.columns + geometry.before.columns)
        planeSize = stripRows * stripColumns * Block.lanes
        stripSize = geometry.kernel.planes * planeSize
    }

    /// The numbers of scratch memory that it uses with this number of threads.
    func scratchSize(threads: Int) -> Int {
        PlaneMoments.size(of: size, blocks: outputBlocks)
            + (size.planes > 1 ? threads : 1) * inputBlocks * stripSize
    }

    /// Convolves.
    ///
    /// - Parameters:
    ///   - scratch: memory of `scratchSize`.
    ///   - pool: the threads to split it over.
    ///   - result: where the first block of the result is; the others follow, `stride` apart.
    ///   - moments: those of each block of the result, to which the result's are added, or nil.
    ///   - read: writes a row of a block of the image.
    ///   - finish: what is added to a block of the result from a pixel on.
    func run(
        scratch: BufferPlace, pool: WorkerPool, into result: BufferPlace, stride: Int,
        moments: [UnsafeMutablePointer<voxel_moments>?],
        reading read: WinogradConvolution.RowReader,
        finishing finish: @Sendable (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let strips = scratch + PlaneMoments.size(of: size, blocks: outputBlocks)
        PlaneMoments.splitPlanes(of: size, pool, moments: moments, in: scratch) {
            plane, worker, pool, moments in
            let strip = strips + worker * inputBlocks * stripSize
            convolve(plane, strip, pool, reading: read) { pixels, blocks, places, offset in
                weights.multiply(
                    places, offset, pixels: pixels, blocks: blocks, into: result, stride: stride,
                    moments: moments, finishing: finish)
            }
        }
    }

    /// One plane of the result: `multiply` computes some of its pixels and blocks from what is at `places`.
    private func convolve(
        _ plane: Int, _ scratch: BufferPlace, _ pool: WorkerPool,
        reading read: WinogradConvolution.RowReader,
        multiply:
            @Sendable (_ pixels: Range<Int>, _ blocks: Range<Int>, _ places: [BufferPlace], _ offset: Int) ->
            Void
    ) {
        let (kernel, stride) = (weights.geometry.kernel, weights.geometry.stride)
        let places = (0..<kernel.pixels).flatMap { place in
            let (row, column) = (place / kernel.columns % kernel.rows, place % kernel.columns)
            let pixel = row * stripColumns + column
            let offset = place / (kernel.rows * kernel.columns) * planeSize + pixel * Block.lanes
            return (0..<inputBlocks).map { scratch + ($0 * stripSize + offset) }
        }
        for first in Swift.stride(from: 0, to: size.rows, by: chunkRows) {
            let chunk = first..<min(first + chunkRows, size.rows)
            pool.split(inputBlocks) { blocks, _ in
                for block in blocks {
                    fill(
                        scratch.start + block * stripSize, plane: plane, firstRow: first
                    ) { read($0, $1, block, $2) }
                }
            }
            pool.split(outputBlocks, by: 2) { blocks, _ in
                for row in chunk {
                    let begin = (plane * size.rows + row) * size.columns
                    multiply(
                        begin..<begin + size.columns, blocks, places,
                        (row - first) * stride * stripColumns * Block.lanes)
                }
            }
        }
    }

    /// Reads the rows under some rows of a plane of the result, with zeros where they lie outside the image.
    private func fill(
        _ strip: UnsafeMutablePointer<Float>, plane: Int, firstRow: Int,
        reading read: (_ plane: Int, _ row: Int, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        let geometry = weights.geometry
        let width = stripColumns * Block.lanes
        let margin = geometry.before.columns * Block.lanes
        for index in 0..<geometry.kernel.planes * stripRows {
            let target = strip + index * width
            let plane = plane * geometry.stride + index / stripRows - geometry.before.planes
            let row = firstRow * geometry.stride + index % stripRows - geometry.before.rows
            guard (0..<image.planes).contains(plane), (0..<image.rows).contains(row) else {
                target.update(repeating: 0, count: width)
                continue
            }
            target.update(repeating: 0, count: margin)
            read(plane, row, target + margin)
            let end = margin + image.columns * Block.lanes
            (target + end).update(repeating: 0, count: width - end)
        }
    }
}

/// The planes of a volume, computed apart, and the moments of each.
enum PlaneMoments {
    /// The numbers that they take.
    static func size(of size: Extents, blocks: Int) -> Int {
        size.planes > 1 ? PartialMoments.size(parts: size.planes, blocks: blocks) : 0
    }

    /// Calls `body` with each plane: threads share the planes of a volume, or a plane.
    static func splitPlanes(
        of size: Extents, _ pool: WorkerPool, moments: [UnsafeMutablePointer<voxel_moments>?],
        in scratch: BufferPlace,
        _ body:
            @Sendable (
                _ plane: Int, _ worker: Int, WorkerPool,
                _ moments: @Sendable (_ block: Int) -> UnsafeMutablePointer<voxel_moments>?
            ) -> Void
    ) {
        // Each worker adds to the moments of its own blocks.
        nonisolated(unsafe) let whole = moments
        guard size.planes > 1 else { return body(0, 0, pool) { whole[$0] } }
        let parts = PartialMoments(parts: size.planes, blocks: moments.count, in: scratch)
        pool.split(size.planes) { planes, worker in
            for plane in planes {
                body(plane, worker, .alone) { whole[$0] == nil ? nil : parts.moments(plane, $0) }
            }
        }
        parts.join(into: moments)
    }
}

extension PackedConvolution {
    /// Some pixels of some blocks of a result, finished: the product of what is at `places` and the weights.
    ///
    /// - Parameters:
    ///   - places: where the first pixel's sixteen numbers of each inner block are, less `offset`.
    ///   - result: where the first block of the result is; the others follow, `stride` apart.
    ///   - moments: those of a block, to which the pixels' are added, or nil.
    ///   - finish: what is added to a block of the result from a pixel on.
    func multiply(
        _ places: [BufferPlace], _ offset: Int, pixels: Range<Int>, blocks: Range<Int>,
        into result: BufferPlace, stride: Int,
        moments: (_ block: Int) -> UnsafeMutablePointer<voxel_moments>?,
        finishing finish: (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let inner = geometry.places * paddedInputs
        func block(_ block: Int) -> UnsafeMutablePointer<Float> {
            result.start + block * stride + pixels.lowerBound * Block.lanes
        }
        Block.kernels.multiply(
            pixels.count, blocks.count, places.count, places.map { UnsafePointer<Float>?($0.start) }, offset,
            Block.lanes * geometry.stride, numbers.start + blocks.lowerBound * inner * Block.lanes,
            inner * Block.lanes, block(blocks.lowerBound), stride, false)
        for index in blocks {
            var finish = finish(index, pixels.lowerBound)
            finish.moments = moments(index)
            Block.kernels.finish(block(index), pixels.count, &finish)
        }
    }
}
