import CVoxelKernels

/// A convolution, or a linear map of every pixel, of an expression; another image may be added to its result.
struct ConvolutionStep: ProgramStep {
    let source: ImageExpression
    let weights: PackedConvolution
    /// Added to the result, block by block.
    var residual: [BlockReference]?
    let writes: Int
    /// The size of the result.
    let size: Extents

    var reads: Set<Int> { source.images.union((residual ?? []).map(\.image)) }
    var measures: Set<Int> { source.measuredImages }
    var computesMoments: Bool { true }
    var outputBlocks: Int { Block.count(weights.outputs) }

    /// The image that is added, of which Winograd's form reads each pixel just before it writes the sum.
    var replaces: Int? {
        guard method == .winograd, let residual, let image = residual.first?.image,
            !source.images.contains(image),
            residual == (0..<outputBlocks).map({ BlockReference(image: image, block: $0) })
        else { return nil }
        return image
    }

    func scratchSize(threads: Int) -> Int {
        let reader = ImageReader.scratchSize(source)
        switch method {
        case .winograd: return reader + winograd.scratchSize(threads: threads)
        case .direct: return reader + direct.scratchSize(threads: threads)
        case .pointwise: return reader + pointwiseScratchSize(threads: threads)
        }
    }

    func run(in evaluation: Evaluation) {
        let reader = ImageReader(source, in: evaluation, scratch: evaluation.scratch)
        let scratch = evaluation.scratch + ImageReader.scratchSize(source)
        evaluation.clearMoments(of: writes)
        switch method {
        case .winograd:
            winograd.run(
                scratch: scratch, pool: evaluation.pool, into: evaluation.places(of: writes),
                moments: moments(in: evaluation),
                reading: { reader.read(plane: $0, row: $1, of: $2, to: $3) },
                finishing: { finish($0, from: $1, in: evaluation) })
        case .direct:
            direct.run(
                scratch: scratch, pool: evaluation.pool,
                into: evaluation.place(BlockReference(image: writes, block: 0)),
                stride: size.pixels * Block.lanes, moments: moments(in: evaluation),
                reading: { reader.read(plane: $0, row: $1, of: $2, to: $3) },
                finishing: { finish($0, from: $1, in: evaluation) })
        case .pointwise: runPointwise(reader, scratch, in: evaluation)
        }
    }

    private var winograd: WinogradConvolution { WinogradConvolution(weights: weights, size: size) }
    private var direct: DirectConvolution {
        DirectConvolution(weights: weights, image: source.size, size: size)
    }

    private enum Method { case winograd, direct, pointwise }

    private var method: Method {
        switch weights.form {
        case .winograd: .winograd
        case .direct: weights.geometry == .point ? .pointwise : .direct
        }
    }

    /// The moments of each block of the result, or nil where no step reads them.
    func moments(in evaluation: Evaluation) -> [UnsafeMutablePointer<voxel_moments>?] {
        (0..<outputBlocks).map { evaluation.moments(BlockReference(image: writes, block: $0)) }
    }

    /// What is added to block `block` of the result from pixel `offset` on.
    func finish(_ block: Int, from offset: Int, in evaluation: Evaluation) -> voxel_finish {
        voxel_finish(
            bias: weights.bias.map { UnsafePointer($0.start + block * Block.lanes) },
            residual: residual.map { UnsafePointer(evaluation.block($0[block]) + offset * Block.lanes) },
            moments: nil)
    }
}
