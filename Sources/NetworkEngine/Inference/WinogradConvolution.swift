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

    /// The numbers of one chunk's tiles, before and after.
    private var chunkSize: Int { tiling.inputSize + 36 * outputStride }

    /// How many threads can have chunks of their own, at least two each.
    private func chunkWorkers(threads: Int) -> Int { min(threads, tiling.chunks.count / 2) }

    /// The numbers of each chunk's moments, which what follows must not be moved out of line by.
    private var momentSize: Int {
        let bytes = MemoryLayout<voxel_moments>.stride * outputBlocks * tiling.chunks.count
        return blocks(bytes / MemoryLayout<Float>.stride) * lanes
    }

    /// The numbers that it needs room for.
    func scratchSize(threads: Int) -> Int {
        momentSize + max(1, chunkWorkers(threads: threads)) * chunkSize + threads * tiling.stripSize
    }

    /// Convolves.
    ///
    /// - Parameters:
    ///   - scratch: room for as many numbers as it needs.
    ///   - pool: the threads to split it over.
    ///   - results: where each block of the result lies.
    ///   - moments: those of each block of the result, where they are wanted.
    ///   - read: writes a row of a block of the image.
    ///   - finish: what is done to a block of the result from a pixel on; its moments are added.
    func run(
        scratch: UnsafeMutablePointer<Float>, pool: WorkerPool, into results: [UnsafeMutablePointer<Float>],
        moments: [UnsafeMutablePointer<voxel_moments>?],
        reading read: (_ row: Int, _ block: Int, _ target: UnsafeMutablePointer<Float>) -> Void,
        finishing finish: (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let chunks = tiling.chunks
        let parts = UnsafeMutableRawPointer(scratch).bindMemory(
            to: voxel_moments.self, capacity: outputBlocks * chunks.count)
        let strips = scratch + momentSize
        let tiles = strips + pool.threads * tiling.stripSize
        func run(_ chunk: Int, worker: Int, pool: WorkerPool) {
            self.run(
                chunks[chunk], strips: strips + worker * tiling.stripSize, tiles: tiles + worker * chunkSize,
                pool: pool, into: results, reading: read
            ) { block, pixel in
                var finish = finish(block, pixel)
                if moments[block] != nil { finish.moments = parts + chunk * outputBlocks + block }
                return finish
            }
        }
        parts.update(repeating: voxel_moments(), count: outputBlocks * chunks.count)
        let width = pool.width
        if width > 1 && width <= chunkWorkers(threads: pool.threads) {
            pool.split(chunks.count, width: width) { range, worker in
                for chunk in range { run(chunk, worker: worker, pool: .alone) }
            }
        } else {
            for chunk in chunks.indices { run(chunk, worker: 0, pool: pool) }
        }
        // Chunk after chunk, so that the moments do not depend on who did which.
        for (block, moments) in moments.enumerated() {
            guard let moments else { continue }
            for chunk in chunks.indices { moments.pointee.join(parts[chunk * outputBlocks + block]) }
        }
    }

    private func run(
        _ tileRows: Range<Int>, strips: UnsafeMutablePointer<Float>, tiles input: UnsafeMutablePointer<Float>,
        pool: WorkerPool, into results: [UnsafeMutablePointer<Float>],
        reading read: (_ row: Int, _ block: Int, _ target: UnsafeMutablePointer<Float>) -> Void,
        finishing finish: (_ block: Int, _ pixel: Int) -> voxel_finish
    ) {
        let tiles = tileRows.count * tiling.columns
        let output = input + tiling.inputSize
        let inner = weights.paddedInputs
        tiling.transform(tileRows, into: input, strips: strips, pool: pool, reading: read)
        let places = (0..<tiling.blocks).map { UnsafePointer<Float>?(input + $0 * tiles * lanes) }
        pool.split(outputBlocks, by: 2) { blocks, _ in
            for frequency in 0..<36 {
                let place = frequency * outputBlocks + blocks.lowerBound
                kernels.multiply(
                    tiles, blocks.count, tiling.blocks, places, frequency * tiling.stride, lanes,
                    weights.numbers.start + place * inner * lanes, inner * lanes,
                    output + frequency * outputStride + blocks.lowerBound * tiles * lanes, tiles * lanes, false)
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

extension voxel_moments {
    /// Takes in the moments of others (Chan, Golub, LeVeque 1983, equation 2.1).
    fileprivate mutating func join(_ other: voxel_moments) {
        let total = count + other.count
        withUnsafeMutableBytes(of: &self) { own in
            withUnsafeBytes(of: other) { other in
                let (own, other) = (own.bindMemory(to: Double.self), other.bindMemory(to: Double.self))
                let (before, added) = (own[2 * lanes], other[2 * lanes])
                for lane in 0..<lanes {
                    let gap = other[lane] - own[lane]
                    own[lane] += gap * added / total
                    own[lanes + lane] += other[lanes + lane] + gap * gap * before * added / total
                }
                own[2 * lanes] = total
            }
        }
    }
}
