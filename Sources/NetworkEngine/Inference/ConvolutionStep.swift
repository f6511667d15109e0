import CVoxelKernels

/// A convolution, or a linear map of every pixel: of an expression, with something added to what it gives.
struct ConvolutionStep: ProgramStep {
    let source: ImageExpression
    let weights: PackedConvolution
    /// Added to the result, block by block.
    var residual: [BlockReference]?
    let writes: Int
    /// The size of the result.
    let rows, columns: Int

    var reads: Set<Int> { source.images.union((residual ?? []).map(\.image)) }
    var measures: Set<Int> { source.measuredImages }
    var takesMoments: Bool { true }
    var outputBlocks: Int { blocks(weights.outputs) }

    func scratchSize(threads: Int) -> Int {
        let reader = ImageReader.scratchSize(source)
        switch method {
        case .winograd: return reader + winograd.scratchSize(threads: threads)
        case .direct: return reader + DirectSizes(self).scratchSize
        case .pointwise: return reader + pointwiseScratchSize
        }
    }

    func run(in evaluation: Evaluation) {
        let reader = ImageReader(source, in: evaluation, scratch: evaluation.scratch)
        let scratch = evaluation.scratch + ImageReader.scratchSize(source)
        switch method {
        case .winograd:
            let moments = freshMoments(in: evaluation)
            winograd.run(
                scratch: scratch, pool: evaluation.pool, into: evaluation.blocks(of: writes),
                moments: moments,
                reading: { reader.read(row: $0, of: $1, to: $2) },
                finishing: { finish($0, from: $1, moments: nil, in: evaluation) })
        case .direct: runDirect(reader, scratch, in: evaluation)
        case .pointwise: runPointwise(reader, scratch, in: evaluation)
        }
    }

    private var winograd: WinogradConvolution {
        WinogradConvolution(weights: weights, rows: rows, columns: columns)
    }

    private enum Method { case winograd, direct, pointwise }

    private var method: Method {
        switch weights.form {
        case .winograd: .winograd
        case .direct: weights.kernel == 1 && weights.stride == 1 ? .pointwise : .direct
        }
    }

    /// What is done to block `block` of the result from pixel `offset` on.
    func finish(
        _ block: Int, from offset: Int, moments: UnsafeMutablePointer<voxel_moments>?, in evaluation: Evaluation
    ) -> voxel_finish {
        voxel_finish(
            bias: weights.bias.map { UnsafePointer($0.start + block * lanes) },
            residual: residual.map { UnsafePointer(evaluation.block($0[block]) + offset * lanes) },
            moments: moments)
    }

    /// Fresh moments for each block of the result.
    func freshMoments(in evaluation: Evaluation) -> [UnsafeMutablePointer<voxel_moments>?] {
        (0..<outputBlocks).map { evaluation.freshMoments(BlockReference(image: writes, block: $0)) }
    }
}
