import CVoxelKernels
import Networks
import TensorFiles

extension GradientTape {
    /// Convolutions of single pixels, and of 3 x 3 pixels with stride 1 or 2; nil for others.
    func convolved(_ x: Value, _ layer: Convolution, shape: [Int]) -> Value? {
        let half = Convolution.Padding(before: layer.kernel[0] / 2, after: layer.kernel[0] / 2)
        guard layer.padding.allSatisfy({ $0 == half }), !x.isTokens else { return nil }
        switch (layer.kernel, layer.stride) {
        case ([1], [1]), ([1, 1], [1, 1]):
            return pointwise(x, weight: layer.weight, bias: layer.bias, shape: shape, isTokens: false)
        case ([3, 3], [1, 1]): return convolved(x, layer)
        case ([3, 3], [2, 2]): return everySecond(convolved(x, layer))
        default: return nil
        }
    }

    /// A 3 x 3 convolution of stride 1.
    private func convolved(_ x: Value, _ layer: Convolution) -> Value {
        let weight = parameter(layer.weight)
        let (rows, columns) = (x.shape[2], x.shape[3])
        let result = convolved(x.data, weight, bias: layer.bias.map(parameter), rows: rows, columns: columns)
        let shape = [x.shape[0], layer.weight.shape[0], rows, columns]
        return record(result, shape: shape, isTokens: false, isLearned: true, from: [x]) { [self] gradient in
            // The gradient is convolved with the kernel rotated by half a turn.
            add(convolved(gradient, weight.rotatedKernels(), bias: nil, rows: rows, columns: columns), to: x)
            add(weightGradient(gradient, x.data, rows: rows, columns: columns), to: layer.weight)
            if let bias = layer.bias { add(channelSums(gradient), to: bias) }
        }
    }

    private func convolved(
        _ x: BlockedTensor, _ weight: Tensor, bias: Tensor?, rows: Int, columns: Int
    ) -> BlockedTensor {
        let packed = PackedConvolution(weight, bias: bias, geometry: .square3, form: .winograd, from: memory)
        let convolution = WinogradConvolution(weights: packed, size: Extents(rows: rows, columns: columns))
        let result = empty(channels: packed.outputs, like: x)
        // Threads share the images, or each image where there are not enough of them.
        let sharesImages = x.batch >= workers.threads
        let each = sharesImages ? .alone : workers
        let size = convolution.scratchSize(threads: each.threads)
        let scratch = FloatBuffer(uninitialized: size * (sharesImages ? workers.threads : 1), from: memory)
        let body = { @Sendable (items: Range<Int>, worker: Int) in
            for item in items {
                convolution.run(
                    scratch: BufferPlace(buffer: scratch, offset: worker * size), pool: each,
                    into: result.places(of: item), moments: (0..<result.blockCount).map { _ in nil },
                    reading: { _, row, block, target in
                        x.copyRow(row, columns: columns, of: block, item, to: target)
                    },
                    finishing: { block, _ in
                        voxel_finish(
                            bias: packed.bias.map { UnsafePointer($0.start + block * Block.lanes) },
                            residual: nil, moments: nil)
                    })
            }
        }
        if sharesImages { workers.split(x.batch, body) } else { body(0..<x.batch, 0) }
        return result
    }

    /// The gradient of the kernels, `[outputs, inputs, 3, 3]`, summed in the Winograd domain: for each of its 36
    /// frequencies, the product of the tiles of the result's gradient with those of the image.
    private func weightGradient(
        _ gradient: BlockedTensor, _ x: BlockedTensor, rows: Int, columns: Int
    ) -> [Float] {
        let tiling = WinogradTiling(blocks: x.blockCount, rows: rows, columns: columns, alignment: Block.lanes)
        let outputRows = gradient.blockCount * Block.lanes
        let outputStride = tiling.stride(blocks: gradient.blockCount, planes: 1)
        let sumStride = x.blockCount * outputRows * Block.lanes
        let sums = FloatBuffer(uninitialized: 36 * sumStride, from: memory)
        let input = FloatBuffer(uninitialized: tiling.inputSize, from: memory)
        let output = FloatBuffer(uninitialized: 36 * outputStride, from: memory)
        let transposed = FloatBuffer(uninitialized: 36 * outputStride, from: memory)
        let strips = FloatBuffer(uninitialized: workers.threads * tiling.stripSize, from: memory)
        var isFirst = true
        for item in 0..<x.batch {
            for tileRows in tiling.chunks {
                let tiles = tiling.tiles(tileRows)
                tiling.transform(
                    tileRows, into: BufferPlace(buffer: input), strips: BufferPlace(buffer: strips),
                    pool: workers
                ) { row, block, target in
                    x.copyRow(row, columns: columns, of: block, item, to: target)
                }
                tiling.transformGradient(
                    tileRows, blocks: gradient.blockCount, into: BufferPlace(buffer: output),
                    strips: BufferPlace(buffer: strips), pool: workers
                ) { row, block, target in
                    gradient.copyRow(row, columns: columns, of: block, item, to: target)
                }
                let adding = !isFirst
                workers.split(36) { frequencies, _ in
                    for frequency in frequencies {
                        let from = output.start + frequency * outputStride
                        let to = transposed.start + frequency * outputStride
                        for block in 0..<gradient.blockCount {
                            for tileBlock in 0..<tiles / Block.lanes {
                                Block.kernels.transpose(
                                    from + (block * tiles + tileBlock * Block.lanes) * Block.lanes, Block.lanes,
                                    to + (tileBlock * outputRows + block * Block.lanes) * Block.lanes,
                                    Block.lanes)
                            }
                        }
                        let places = Block.starts(
                            to, count: tiles / Block.lanes, stride: outputRows * Block.lanes)
                        Block.kernels.multiply(
                            outputRows, x.blockCount, tiles / Block.lanes, places, 0, Block.lanes,
                            input.start + frequency * tiling.stride, tiles * Block.lanes,
                            sums.start + frequency * sumStride, outputRows * Block.lanes, adding)
                    }
                }
                isFirst = false
            }
        }
        return untransformed(
            sums, stride: sumStride, outputs: gradient.channels, inputs: x.channels, outputRows)
    }

    /// The gradient of the kernels from that of their Winograd form, `[36][input blocks][outputs][16 inputs]`.
    private func untransformed(
        _ sums: FloatBuffer, stride: Int, outputs: Int, inputs: Int, _ outputRows: Int
    ) -> [Float] {
        [Float](unsafeUninitializedCapacity: outputs * inputs * 9) { values, count in
            // Each worker writes the kernels of its own outputs.
            nonisolated(unsafe) let values = values
            workers.split(outputs) { range, _ in
                withUnsafeTemporaryAllocation(byteCount: 9 * Block.lanes * 4, alignment: 64) { bytes in
                    let tile = bytes.bindMemory(to: Float.self)
                    for output in range {
                        for block in 0..<Block.count(inputs) {
                            Block.kernels.winograd_weights_adjoint(
                                sums.start + (block * outputRows + output) * Block.lanes, stride,
                                tile.baseAddress)
                            for lane in 0..<min(Block.lanes, inputs - block * Block.lanes) {
                                let first = (output * inputs + block * Block.lanes + lane) * 9
                                for place in 0..<9 { values[first + place] = tile[place * Block.lanes + lane] }
                            }
                        }
                    }
                }
            }
            count = outputs * inputs * 9
        }
    }
}

extension Tensor {
    /// `[outputs, inputs, 3, 3]` to `[inputs, outputs, 3, 3]`, each kernel rotated by half a turn.
    fileprivate func rotatedKernels() -> Tensor {
        let (outputs, inputs) = (shape[0], shape[1])
        return Tensor(shape: [inputs, outputs, 3, 3]) { result in
            values.withUnsafeBufferPointer { values in
                for output in 0..<outputs {
                    for input in 0..<inputs {
                        for place in 0..<9 {
                            result[(input * outputs + output) * 9 + 8 - place] =
                                values[(output * inputs + input) * 9 + place]
                        }
                    }
                }
            }
        }
    }
}
