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
        case .direct: return reader + directScratchSize(threads: threads)
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
                finishing: { finish($0, from: $1, moments: nil, in: evaluation) })
        case .direct: runDirect(reader, scratch, in: evaluation)
        case .pointwise: runPointwise(reader, scratch, in: evaluation)
        }
    }

    private var winograd: WinogradConvolution { WinogradConvolution(weights: weights, size: size) }

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
    private func finish(
        _ block: Int, from offset: Int, moments: UnsafeMutablePointer<voxel_moments>?, in evaluation: Evaluation
    ) -> voxel_finish {
        voxel_finish(
            bias: weights.bias.map { UnsafePointer($0.start + block * Block.lanes) },
            residual: residual.map { UnsafePointer(evaluation.block($0[block]) + offset * Block.lanes) },
            moments: moments)
    }

    /// Some pixels of some blocks of the result, finished: the product of what is at `places` and the weights.
    ///
    /// - Parameters:
    ///   - places: where the first pixel's sixteen numbers of each inner block are, less `offset`.
    ///   - moments: those of a block, to which the pixels' are added, or nil.
    func multiply(
        _ places: [BufferPlace], _ offset: Int, pixels: Range<Int>, blocks: Range<Int>,
        in evaluation: Evaluation, moments: (_ block: Int) -> UnsafeMutablePointer<voxel_moments>?
    ) {
        let inner = weights.geometry.places * weights.paddedInputs
        func result(_ block: Int) -> UnsafeMutablePointer<Float> {
            evaluation.block(BlockReference(image: writes, block: block)) + pixels.lowerBound * Block.lanes
        }
        Block.kernels.multiply(
            pixels.count, blocks.count, places.count, places.map { UnsafePointer<Float>?($0.start) }, offset,
            Block.lanes * weights.geometry.stride,
            weights.numbers.start + blocks.lowerBound * inner * Block.lanes, inner * Block.lanes,
            result(blocks.lowerBound), size.pixels * Block.lanes, false)
        for block in blocks {
            var finish = finish(block, from: pixels.lowerBound, moments: moments(block), in: evaluation)
            Block.kernels.finish(result(block), pixels.count, &finish)
        }
    }
}
