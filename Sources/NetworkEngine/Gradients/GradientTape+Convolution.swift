import CVoxelKernels
import Networks
import TensorFiles

extension GradientTape {
    /// A convolution over one to three axes; nil where there are no kernels for it.
    func convolved(_ x: Value, _ layer: Convolution, shape: [Int]) -> Value? {
        guard !x.isTokens, let geometry = KernelGeometry(layer) else { return nil }
        if geometry == .point {
            return pointwise(x, weight: layer.weight, bias: layer.bias, shape: shape, isTokens: false)
        }
        let size = Extents(x.shape[2...])
        if geometry.isWinograd && geometry.gainsFromWinograd(size) {
            return convolved(x, layer, geometry, size, shape: shape)
        }
        if geometry == .halvingSquare3 {
            let full = Array(shape[..<2]) + x.shape[2...]
            return everySecond(convolved(x, layer, .square3, size, shape: full))
        }
        return directlyConvolved(x, layer, geometry, size, shape: shape)
    }

    /// A 3 x 3 or 3 x 3 x 3 convolution of stride 1.
    private func convolved(
        _ x: Value, _ layer: Convolution, _ geometry: KernelGeometry, _ size: Extents, shape: [Int]
    ) -> Value {
        let (weight, numbers) = (parameter(layer.weight), x.numbers)
        let result = convolved(numbers, weight, bias: layer.bias.map(parameter), geometry, size)
        return record(result, shape: shape, isTokens: false, from: [x], parameters: layer.parameters) {
            [unowned self] gradient in
            // The gradient is convolved with the kernel rotated by half a turn.
            add(convolved(.known(gradient), weight, bias: nil, isAdjoint: true, geometry, size), to: x)
            add(weightGradient(gradient, numbers, taps: geometry.kernel.planes, size), to: layer.weight)
            if let bias = layer.bias { add(channelSums(gradient), to: bias) }
        }
    }

    private func convolved(
        _ x: Numbers, _ weight: Tensor, bias: Tensor?, isAdjoint: Bool = false,
        _ geometry: KernelGeometry, _ size: Extents
    ) -> BlockedTensor {
        let packed = PackedConvolution(
            weight, bias: bias, geometry: geometry, form: .winograd, isAdjoint: isAdjoint, from: memory,
            workers: workers)
        let convolution = WinogradConvolution(weights: packed, size: size)
        let result = empty(channels: packed.outputs, like: x.like)
        forEachItem(of: x.like, scratchSize: convolution.scratchSize) { item, scratch, pool in
            convolution.run(
                scratch: scratch, pool: pool, into: result.places(of: item),
                moments: (0..<result.blockCount).map { _ in nil },
                reading: { plane, row, block, target in
                    x.copyRow(plane * size.rows + row, columns: size.columns, of: block, item, to: target)
                },
                finishing: { block, _ in packed.bias(of: block) })
        }
        return result
    }

    /// Calls `body` with each image and scratch memory. Threads share the images, or each image where there are not enough
    /// of them.
    func forEachItem(
        of x: BlockedTensor, scratchSize: (_ threads: Int) -> Int,
        _ body: @Sendable (_ item: Int, _ scratch: BufferPlace, WorkerPool) -> Void
    ) {
        let sharesImages = x.batch >= workers.threads
        let each = sharesImages ? .alone : workers
        let size = scratchSize(each.threads)
        let scratch = FloatBuffer(uninitialized: size * (sharesImages ? workers.threads : 1), from: memory)
        @Sendable func run(_ items: Range<Int>, _ worker: Int) {
            for item in items { body(item, BufferPlace(buffer: scratch, offset: worker * size), each) }
        }
        if sharesImages { workers.split(x.batch, run) } else { run(0..<x.batch, 0) }
    }
}

extension PackedConvolution {
    /// The bias of a block of the result, and nothing else.
    func bias(of block: Int) -> voxel_finish {
        voxel_finish(
            bias: bias.map { UnsafePointer($0.start + block * Block.lanes) }, residual: nil, moments: nil)
    }
}

extension KernelGeometry {
    /// 3 x 3 pixels of a plane, halving its size.
    fileprivate static let halvingSquare3 = KernelGeometry(
        kernel: square3.kernel, stride: 2, before: square3.before, after: square3.after)

    /// Whether Winograd's form takes less time in training, where weights are transformed in every step: always for slices,
    /// and for volumes where the products that it saves outnumber the transforms of the weights.
    fileprivate func gainsFromWinograd(_ size: Extents) -> Bool {
        guard kernel.planes > 1 else { return true }
        let tiles = size.planes * ((size.rows + 3) / 4) * ((size.columns + 3) / 4)
        return 36 * (tiles + 8) < 9 * size.pixels
    }
}
