import CVoxelKernels

/// Layer normalisation of every pixel over its channels.
struct LayerNormStep: ProgramStep {
    let source: [BlockReference]
    let channels, pixels: Int
    let weight, bias: FloatBuffer
    let epsilon: Float
    let writes: Int
    var reads: Set<Int> { Set(source.map(\.image)) }

    func run(in evaluation: Evaluation) {
        let results = evaluation.blocks(of: writes)
        let blocks = source.map { evaluation.block($0) }
        evaluation.pool.split(pixels, by: lanes) { range, _ in
            let offset = range.lowerBound * lanes
            kernels.layer_norm(
                blocks.map { UnsafePointer($0 + offset) }, channels, range.count, weight.start, bias.start,
                epsilon,
                results[0] + offset, pixels * lanes)
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
        let results = evaluation.blocks(of: writes)
        evaluation.pool.split(results.count) { blocks, _ in
            for block in blocks {
                kernels.gelu(
                    value.map { UnsafePointer(evaluation.block($0[block])) }, evaluation.block(gate[block]),
                    pixels,
                    results[block])
            }
        }
    }
}
