import CVoxelKernels
import Networks
import TensorFiles

extension GradientTape {
    func apply(_ layer: Convolution, to x: Value) -> Value {
        let (outputs, kernel) = (layer.weight.shape[0], layer.weight.shape.dropFirst(2))
        if kernel.allSatisfy({ $0 == 1 }) && layer.stride == 1 {
            return pointwise(
                x, weight: layer.weight, bias: layer.bias, shape: [x.shape[0], outputs] + x.shape[2...],
                isTokens: false)
        }
        precondition(
            kernel == [3, 3] && (1...2).contains(layer.stride),
            "kernels of one place, and of 3 x 3 with stride 1 or 2, can be learned, not \(layer.weight.shape)")
        let whole = convolved(x, layer)
        return layer.stride == 1 ? whole : everySecond(whole)
    }

    /// A 3 x 3 convolution of stride 1.
    private func convolved(_ x: Value, _ layer: Convolution) -> Value {
        let weight = parameter(layer.weight)
        let (rows, columns) = (x.shape[2], x.shape[3])
        let result = convolved(x.data, weight, bias: parameter(layer.bias), rows: rows, columns: columns)
        let shape = [x.shape[0], layer.weight.shape[0], rows, columns]
        return record(result, shape: shape, isTokens: false, isLearned: true, from: [x]) { [self] gradient in
            // The gradient goes back through the kernel turned by half a circle.
            add(convolved(gradient, weight.turnedKernels(), bias: nil, rows: rows, columns: columns), to: x)
            add(weightGradient(gradient, x.data, rows: rows, columns: columns), to: layer.weight)
            add(biasGradient(gradient), to: layer.bias)
        }
    }

    private func convolved(
        _ x: BlockedTensor, _ weight: Tensor, bias: Tensor?, rows: Int, columns: Int
    ) -> BlockedTensor {
        let packed = PackedConvolution(weight, bias: bias, stride: 1, form: .winograd, from: memory)
        let convolution = WinogradConvolution(weights: packed, rows: rows, columns: columns)
        let result = room(channels: packed.outputs, like: x)
        // Threads share the images, or each image where there are not enough of them.
        let sharesImages = x.batch >= workers.threads
        let each = sharesImages ? .alone : workers
        let size = convolution.scratchSize(threads: each.threads)
        let scratch = FloatBuffer(uninitialized: size * (sharesImages ? workers.threads : 1), from: memory)
        let body = { (items: Range<Int>, worker: Int) in
            for item in items {
                convolution.run(
                    scratch: scratch.start + worker * size, pool: each,
                    into: (0..<result.blockCount).map { result.block($0, of: item) },
                    moments: (0..<result.blockCount).map { _ in nil },
                    reading: { row, block, target in
                        target.update(
                            from: x.block(block, of: item) + row * columns * lanes, count: columns * lanes)
                    },
                    finishing: { block, _ in
                        voxel_finish(
                            bias: packed.bias.map { UnsafePointer($0.start + block * lanes) }, residual: nil,
                            moments: nil)
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
        let tiling = WinogradTiling(blocks: x.blockCount, rows: rows, columns: columns, alignment: lanes)
        let outputRows = gradient.blockCount * lanes
        let outputStride = tiling.stride(blocks: gradient.blockCount)
        let sumStride = x.blockCount * outputRows * lanes
        let sums = FloatBuffer(uninitialized: 36 * sumStride, from: memory)
        let input = FloatBuffer(uninitialized: tiling.inputSize, from: memory)
        let output = FloatBuffer(uninitialized: 36 * outputStride, from: memory)
        let turned = FloatBuffer(uninitialized: 36 * outputStride, from: memory)
        let strips = FloatBuffer(uninitialized: workers.threads * tiling.stripSize, from: memory)
        var isFirst = true
        for item in 0..<x.batch {
            for tileRows in tiling.chunks {
                let tiles = tiling.tiles(tileRows)
                tiling.transform(tileRows, into: input.start, strips: strips.start, pool: workers) {
                    row, block, target in
                    target.update(
                        from: x.block(block, of: item) + row * columns * lanes, count: columns * lanes)
                }
                tiling.transformGradient(
                    tileRows, blocks: gradient.blockCount, into: output.start, strips: strips.start,
                    pool: workers
                ) { row, block, target in
                    target.update(
                        from: gradient.block(block, of: item) + row * columns * lanes, count: columns * lanes)
                }
                let adding = !isFirst
                workers.split(36) { frequencies, _ in
                    for frequency in frequencies {
                        let from = output.start + frequency * outputStride
                        let to = turned.start + frequency * outputStride
                        for block in 0..<gradient.blockCount {
                            for tileBlock in 0..<tiles / lanes {
                                kernels.transpose(
                                    from + (block * tiles + tileBlock * lanes) * lanes, lanes,
                                    to + (tileBlock * outputRows + block * lanes) * lanes, lanes)
                            }
                        }
                        let places = (0..<tiles / lanes).map {
                            UnsafePointer<Float>?(to + $0 * outputRows * lanes)
                        }
                        kernels.multiply(
                            outputRows, x.blockCount, tiles / lanes, places, 0, lanes,
                            input.start + frequency * tiling.stride, tiles * lanes,
                            sums.start + frequency * sumStride, outputRows * lanes, adding)
                    }
                }
                isFirst = false
            }
        }
        return untransformed(
            sums, stride: sumStride, outputs: gradient.channels, inputs: x.channels, outputRows)
    }

    /// Brings sums of `[36][input blocks][outputs][16 inputs]` back from the Winograd domain.
    private func untransformed(
        _ sums: FloatBuffer, stride: Int, outputs: Int, inputs: Int, _ outputRows: Int
    ) -> [Float] {
        [Float](unsafeUninitializedCapacity: outputs * inputs * 9) { values, count in
            nonisolated(unsafe) let values = values
            workers.split(outputs) { range, _ in
                withUnsafeTemporaryAllocation(byteCount: 9 * lanes * 4, alignment: 64) { bytes in
                    let tile = bytes.bindMemory(to: Float.self)
                    for output in range {
                        for block in 0..<blocks(inputs) {
                            kernels.winograd_weights_adjoint(
                                sums.start + (block * outputRows + output) * lanes, stride, tile.baseAddress)
                            for lane in 0..<min(lanes, inputs - block * lanes) {
                                let first = (output * inputs + block * lanes + lane) * 9
                                for place in 0..<9 { values[first + place] = tile[place * lanes + lane] }
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
    /// `[outputs, inputs, 3, 3]` to `[inputs, outputs, 3, 3]`, each kernel turned by half a circle.
    fileprivate func turnedKernels() -> Tensor {
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
