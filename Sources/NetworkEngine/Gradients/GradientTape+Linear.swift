import CVoxelKernels
import Networks
import TensorFiles

extension GradientTape {
    func apply(_ layer: Linear, to x: Value) -> Value {
        pointwise(
            x, weight: layer.weight, bias: layer.bias, shape: x.shape.dropLast() + [layer.weight.shape[0]],
            isTokens: x.isTokens)
    }

    /// A linear map of every pixel: `Y = X W^T + b`.
    func pointwise(
        _ x: Value, weight: Parameter, bias: Parameter?, shape: [Int], isTokens: Bool
    ) -> Value {
        let matrix = parameter(weight).reshaped([weight.shape[0], weight.shape[1]])
        let result = mapped(x.data, by: matrix, bias: bias.map(parameter))
        return record(result, shape: shape, isTokens: isTokens, isLearned: true, from: [x]) { [self] gradient in
            add(mapped(gradient, by: matrix.transposed(), bias: nil), to: x)
            add(weightGradient(gradient, x.data), to: weight)
            if let bias { add(biasGradient(gradient), to: bias) }
        }
    }

    /// `X W^T + b`, with W `[outputs, inputs]`.
    private func mapped(_ x: BlockedTensor, by matrix: Tensor, bias: Tensor?) -> BlockedTensor {
        let packed = PackedConvolution(matrix, bias: bias, stride: 1, form: .direct, from: memory)
        let result = room(channels: packed.outputs, like: x)
        workers.split(x.batchPixels, by: lanes) { pixels, _ in
            for first in stride(from: pixels.lowerBound, to: pixels.upperBound, by: 112) {
                let count = min(112, pixels.upperBound - first)
                let places = (0..<x.blockCount).map { UnsafePointer<Float>?(x.block($0) + first * lanes) }
                kernels.multiply(
                    count, result.blockCount, x.blockCount, places, 0, lanes, packed.numbers.start,
                    packed.paddedInputs * lanes, result.numbers.start + first * lanes, result.stride, false)
                guard let bias = packed.bias else { continue }
                for block in 0..<result.blockCount {
                    var finish = voxel_finish(bias: bias.start + block * lanes, residual: nil, moments: nil)
                    kernels.finish(result.block(block) + first * lanes, count, &finish)
                }
            }
        }
        return result
    }

    /// The sum over all pixels of `gradient x^T`, `[outputs, inputs]`.
    private func weightGradient(_ gradient: BlockedTensor, _ x: BlockedTensor) -> [Float] {
        let (outputs, inputs) = (gradient.channels, x.channels)
        let rows = gradient.blockCount * lanes
        let sums = FloatBuffer(uninitialized: x.blockCount * rows * lanes, from: memory)
        let turned = FloatBuffer(uninitialized: rows * gradient.paddedPixels, from: memory)
        let pixelBlocks = gradient.paddedPixels / lanes
        workers.split(pixelBlocks) { range, _ in
            for pixelBlock in range {
                for block in 0..<gradient.blockCount {
                    kernels.transpose(
                        gradient.block(block) + pixelBlock * lanes * lanes, lanes,
                        turned.start + (pixelBlock * rows + block * lanes) * lanes, lanes)
                }
            }
        }
        // As many pixels at a time as let a column of x stay in cache while all rows pass by.
        let chunk = 64
        workers.split(rows, by: lanes) { range, _ in
            for first in stride(from: 0, to: pixelBlocks, by: chunk) {
                let blocks = first..<min(first + chunk, pixelBlocks)
                let places = blocks.map { UnsafePointer<Float>?(turned.start + $0 * rows * lanes) }
                kernels.multiply(
                    range.count, x.blockCount, blocks.count, places, range.lowerBound * lanes, lanes,
                    x.numbers.start + first * lanes * lanes, x.stride,
                    sums.start + range.lowerBound * lanes, rows * lanes, first > 0)
            }
        }
        return [Float](unsafeUninitializedCapacity: outputs * inputs) { values, count in
            for output in 0..<outputs {
                for input in 0..<inputs {
                    values[output * inputs + input] =
                        sums.start[(input / lanes * rows + output) * lanes + input % lanes]
                }
            }
            count = outputs * inputs
        }
    }

    /// The sum of a gradient over all pixels, for each channel.
    func biasGradient(_ gradient: BlockedTensor) -> [Float] {
        let center = FloatBuffer(zeros: lanes)
        var result = [Float](repeating: 0, count: gradient.blockCount * lanes)
        result.withUnsafeMutableBufferPointer { result in
            nonisolated(unsafe) let result = result
            workers.split(gradient.blockCount) { blocks, _ in
                for block in blocks {
                    var totals = [Double](repeating: 0, count: lanes)
                    for item in 0..<gradient.batch {
                        let (sums, _) = correlate(gradient, gradient, center.start, block, item)
                        for lane in 0..<lanes { totals[lane] += sums[lane] }
                    }
                    for lane in 0..<lanes { result[block * lanes + lane] = Float(totals[lane]) }
                }
            }
        }
        return Array(result[..<gradient.channels])
    }
}
