import CVoxelKernels

/// Brings an image of the window, `[channels][pixels]`, into blocks.
struct LoadStep: ProgramStep {
    let image: Int
    let channels, pixels: Int
    let writes: Int
    var reads: Set<Int> { [] }

    func run(in evaluation: Evaluation) {
        let source = evaluation.images[image]
        for (index, block) in evaluation.blocks(of: writes).enumerated() {
            for lane in 0..<lanes {
                let channel = index * lanes + lane
                for pixel in 0..<pixels {
                    block[pixel * lanes + lane] = channel < channels ? source[channel * pixels + pixel] : 0
                }
            }
        }
    }
}

/// Makes an expression an image, and adds another image to it where one is given.
struct WriteStep: ProgramStep {
    let source: ImageExpression
    let addend: [BlockReference]?
    let writes: Int
    var reads: Set<Int> { source.images.union((addend ?? []).map(\.image)) }
    var measures: Set<Int> { source.measuredImages }
    func scratchSize(threads: Int) -> Int { ImageReader.scratchSize(source) }

    func run(in evaluation: Evaluation) {
        let reader = ImageReader(source, in: evaluation, scratch: evaluation.scratch)
        let (rows, columns) = source.size
        let results = evaluation.blocks(of: writes)
        evaluation.pool.split(results.count) { blocks, _ in
            for block in blocks {
                for row in 0..<rows {
                    reader.read(row: row, of: block, to: results[block] + row * columns * lanes)
                }
                guard let addend else { continue }
                var finish = voxel_finish(
                    bias: nil, residual: evaluation.block(addend[block]), moments: nil)
                kernels.finish(results[block], rows * columns, &finish)
            }
        }
    }
}

/// Brings channels together that do not lie in whole blocks.
struct GatherStep: ProgramStep {
    /// For each channel of the result, the block and the lane where it is.
    let channels: [(block: BlockReference, lane: Int)]
    let pixels: Int
    let writes: Int
    var reads: Set<Int> { Set(channels.map(\.block.image)) }

    func run(in evaluation: Evaluation) {
        for (index, result) in evaluation.blocks(of: writes).enumerated() {
            for lane in 0..<lanes {
                let channel = index * lanes + lane
                guard channel < channels.count else {
                    for pixel in 0..<pixels { result[pixel * lanes + lane] = 0 }
                    continue
                }
                let source = evaluation.block(channels[channel].block) + channels[channel].lane
                for pixel in 0..<pixels { result[pixel * lanes + lane] = source[pixel * lanes] }
            }
        }
    }
}

/// Takes the moments of an image whose own step does not.
struct MeasureStep: ProgramStep {
    let writes: Int
    var reads: Set<Int> { [writes] }

    func run(in evaluation: Evaluation) {
        let pixels = evaluation.plan.images[writes].pixels
        let blocks = evaluation.blocks(of: writes)
        evaluation.pool.split(blocks.count) { range, _ in
            for block in range {
                let reference = BlockReference(image: writes, block: block)
                var finish = voxel_finish(
                    bias: nil, residual: nil, moments: evaluation.freshMoments(reference))
                kernels.finish(blocks[block], pixels, &finish)
            }
        }
    }
}
