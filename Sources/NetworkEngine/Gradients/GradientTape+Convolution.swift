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
        if geometry.isWinograd { return convolved(x, layer, geometry, size, shape: shape) }
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
        let weight = parameter(layer.weight)
        let result = convolved(x.data, weight, bias: layer.bias.map(parameter), geometry, size)
        return record(result, shape: shape, isTokens: false, from: [x], parameters: layer.parameters) {
            [unowned self] gradient in
            // The gradient is convolved with the kernel rotated by half a turn.
            add(convolved(gradient, weight.rotatedKernels(), bias: nil, geometry, size), to: x)
            add(weightGradient(gradient, x.data, taps: geometry.kernel.planes, size), to: layer.weight)
            if let bias = layer.bias { add(channelSums(gradient), to: bias) }
        }
    }

    private func convolved(
        _ x: BlockedTensor, _ weight: Tensor, bias: Tensor?, _ geometry: KernelGeometry, _ size: Extents
    ) -> BlockedTensor {
        let packed = PackedConvolution(weight, bias: bias, geometry: geometry, form: .winograd, from: memory)
        let convolution = WinogradConvolution(weights: packed, size: size)
        let result = empty(channels: packed.outputs, like: x)
        forEachItem(of: x, scratchSize: convolution.scratchSize) { item, scratch, pool in
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
}

extension Tensor {
    /// `[outputs, inputs, places...]` to `[inputs, outputs, places...]`, each kernel rotated by half a turn.
    func rotatedKernels() -> Tensor {
        let (outputs, inputs, places) = (shape[0], shape[1], shape[2...].reduce(1, *))
        return Tensor(shape: [inputs, outputs] + shape[2...]) { result in
            values.withUnsafeBufferPointer { values in
                for output in 0..<outputs {
                    for input in 0..<inputs {
                        let (from, to) = ((output * inputs + input) * places, (input * outputs + output) * places)
                        for place in 0..<places { result[to + places - 1 - place] = values[from + place] }
                    }
                }
            }
        }
    }
}
