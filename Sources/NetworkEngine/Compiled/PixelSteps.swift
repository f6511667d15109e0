import CVoxelKernels

/// Copies an input image, `[channels][pixels]`, into blocks.
struct LoadStep: ProgramStep {
    let image: Int
    let channels, pixels: Int
    let writes: Int
    var reads: Set<Int> { [] }

    func run(in evaluation: Evaluation) {
        evaluation.images[image].withUnsafeBufferPointer { source in
            guard let first = source.baseAddress else { return }
            // Workers only read it.
            nonisolated(unsafe) let start = first
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
    fileprivate func fill(
        _ image: Int, from source: @Sendable (_ channel: Int) -> (UnsafePointer<Float>, stride: Int)?
    ) {
        let places = places(of: image)
        // In runs that stay in the first cache while their lanes are written one after the other.
        pool.split(plan.images[image].pixels, by: 256) { pixels, _ in
            for first in stride(from: pixels.lowerBound, to: pixels.upperBound, by: 256) {
                let run = first..<min(first + 256, pixels.upperBound)
                for channel in 0..<places.count * Block.lanes {
                    let result = places[channel / Block.lanes].start + channel % Block.lanes
                    if let (start, stride) = source(channel) {
                        for pixel in run { result[pixel * Block.lanes] = start[pixel * stride] }
                    } else {
                        for pixel in run { result[pixel * Block.lanes] = 0 }
                    }
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
        let size = source.size
        let results = evaluation.places(of: writes)
        evaluation.pool.split(results.count * size.planes) { planes, _ in
            for index in planes {
                let (block, plane) = index.quotientAndRemainder(dividingBy: size.planes)
                let begin = plane * size.rows * size.columns * Block.lanes
                let result = results[block].start + begin
                for row in 0..<size.rows {
                    reader.read(
                        plane: plane, row: row, of: block, to: result + row * size.columns * Block.lanes)
                }
                guard let addend else { continue }
                var finish = voxel_finish(
                    bias: nil, residual: evaluation.block(addend[block]) + begin, moments: nil)
                Block.kernels.finish(result, size.rows * size.columns, &finish)
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
