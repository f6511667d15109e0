import CVoxelKernels

/// Copies an input image, `[channels][pixels]`, into blocks.
struct LoadStep: ProgramStep {
    let image: Int
    let channels, pixels: Int
    let writes: Int
    var reads: Set<Int> { [] }

    func run(in evaluation: Evaluation) {
        evaluation.images[image].withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            evaluation.fill(writes) { $0 < channels ? (start + $0 * pixels, 1) : nil }
        }
    }
}

/// Joins channels that do not lie in whole blocks.
struct GatherStep: ProgramStep {
    /// The block and the lane of each channel of the result.
    let channels: [(block: BlockReference, lane: Int)]
    let writes: Int
    var reads: Set<Int> { Set(channels.map(\.block.image)) }

    func run(in evaluation: Evaluation) {
        evaluation.fill(writes) { channel in
            guard channel < channels.count else { return nil }
            let (block, lane) = channels[channel]
            return (UnsafePointer(evaluation.block(block) + lane), Block.lanes)
        }
    }
}

extension Evaluation {
    /// Copies each channel of an image from `source`, whose numbers are `stride` apart; zeros where that is nil.
    fileprivate func fill(_ image: Int, from source: (_ channel: Int) -> (UnsafePointer<Float>, stride: Int)?) {
        let pixels = plan.images[image].pixels
        for (index, place) in places(of: image).enumerated() {
            for lane in 0..<Block.lanes {
                let result = place.start + lane
                if let (start, stride) = source(index * Block.lanes + lane) {
                    for pixel in 0..<pixels { result[pixel * Block.lanes] = start[pixel * stride] }
                } else {
                    for pixel in 0..<pixels { result[pixel * Block.lanes] = 0 }
                }
            }
        }
    }
}

/// Computes an expression, and adds another image where one is given.
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
        let results = evaluation.places(of: writes)
        evaluation.pool.split(results.count) { blocks, _ in
            for block in blocks {
                let result = results[block].start
                for row in 0..<rows {
                    reader.read(row: row, of: block, to: result + row * columns * Block.lanes)
                }
                guard let addend else { continue }
                var finish = voxel_finish(bias: nil, residual: evaluation.block(addend[block]), moments: nil)
                Block.kernels.finish(result, rows * columns, &finish)
            }
        }
    }
}

/// Computes the moments of an image that was written by a step that does not.
struct MeasureStep: ProgramStep {
    let writes: Int
    var reads: Set<Int> { [writes] }

    func run(in evaluation: Evaluation) {
        let pixels = evaluation.plan.images[writes].pixels
        evaluation.clearMoments(of: writes)
        evaluation.pool.split(evaluation.plan.images[writes].blocks) { range, _ in
            for block in range {
                let reference = BlockReference(image: writes, block: block)
                var finish = voxel_finish(bias: nil, residual: nil, moments: evaluation.moments(reference))
                Block.kernels.finish(evaluation.block(reference), pixels, &finish)
            }
        }
    }
}

/// Layer normalisation of every pixel over its channels.
struct LayerNormStep: ProgramStep {
    let source: [BlockReference]
    let channels, pixels: Int
    let weight, bias: FloatBuffer
    let epsilon: Float
    let writes: Int
    var reads: Set<Int> { Set(source.map(\.image)) }

    func run(in evaluation: Evaluation) {
        evaluation.pool.split(pixels, by: Block.lanes) { range, _ in
            let offset = range.lowerBound * Block.lanes
            let result = evaluation.block(BlockReference(image: writes, block: 0)) + offset
            Block.kernels.layer_norm(
                source.map { UnsafePointer(evaluation.block($0) + offset) }, channels, range.count,
                weight.start, bias.start, epsilon, result, pixels * Block.lanes)
        }
    }
}

/// GELU of every number, times another image where one is given.
struct GateStep: ProgramStep {
    let value: [BlockReference]?
    let gate: [BlockReference]
    let pixels: Int
    let writes: Int
    var reads: Set<Int> { Set((gate + (value ?? [])).map(\.image)) }

    func run(in evaluation: Evaluation) {
        evaluation.pool.split(evaluation.plan.images[writes].blocks) { blocks, _ in
            for block in blocks {
                Block.kernels.gelu(
                    value.map { UnsafePointer(evaluation.block($0[block])) }, evaluation.block(gate[block]),
                    pixels, evaluation.block(BlockReference(image: writes, block: block)))
            }
        }
    }
}
