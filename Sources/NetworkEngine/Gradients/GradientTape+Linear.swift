import CVoxelKernels
import Networks
import TensorFiles

extension GradientTape {
    /// A linear map of every pixel: `Y = X W^T + b`.
    func pointwise(
        _ x: Value, weight: Parameter, bias: Parameter?, shape: [Int], isTokens: Bool
    ) -> Value {
        let matrix = parameter(weight).reshaped([weight.shape[0], weight.shape[1]])
        let result = mapped(x.data, by: matrix, bias: bias.map(parameter))
        return record(
            result, shape: shape, isTokens: isTokens, from: [x],
            parameters: [weight] + (bias.map { [$0] } ?? [])
        ) { [unowned self] gradient in
            add(mapped(gradient, by: matrix.transposed(), bias: nil), to: x)
            add(weightGradient(gradient, x.data), to: weight)
            if let bias { add(channelSums(gradient), to: bias) }
        }
    }

    /// `X W^T + b`, with W `[outputs, inputs]`.
    private func mapped(_ x: BlockedTensor, by matrix: Tensor, bias: Tensor?) -> BlockedTensor {
        let packed = PackedConvolution(matrix, bias: bias, geometry: .point, form: .direct, from: memory)
        let result = empty(channels: packed.outputs, like: x)
        workers.split(x.batchPixels, by: Block.lanes) { pixels, _ in
            for first in stride(from: pixels.lowerBound, to: pixels.upperBound, by: 112) {
                let count = min(112, pixels.upperBound - first)
                let places = x.starts(from: first)
                Block.kernels.multiply(
                    count, result.blockCount, x.blockCount, places, 0, Block.lanes, packed.numbers.start,
                    packed.paddedInputs * Block.lanes, result.numbers.start + first * Block.lanes,
                    result.stride, false)
                guard let bias = packed.bias else { continue }
                for block in 0..<result.blockCount {
                    var finish = voxel_finish(
                        bias: bias.start + block * Block.lanes, residual: nil, moments: nil)
                    Block.kernels.finish(result.block(block) + first * Block.lanes, count, &finish)
                }
            }
        }
        return result
    }

    /// The sum over all pixels of `gradient x^T`, `[outputs, inputs]`.
    private func weightGradient(_ gradient: BlockedTensor, _ x: BlockedTensor) -> [Float] {
        let (outputs, inputs) = (gradient.channels, x.channels)
        let rows = gradient.blockCount * Block.lanes
        let sums = FloatBuffer(uninitialized: x.blockCount * rows * Block.lanes, from: memory)
        let transposed = FloatBuffer(uninitialized: rows * gradient.paddedPixels, from: memory)
        let pixelBlocks = gradient.paddedPixels / Block.lanes
        workers.split(pixelBlocks) { range, _ in
            for pixelBlock in range {
                for block in 0..<gradient.blockCount {
                    Block.kernels.transpose(
                        gradient.block(block) + pixelBlock * Block.lanes * Block.lanes, Block.lanes,
                        transposed.start + (pixelBlock * rows + block * Block.lanes) * Block.lanes, Block.lanes)
                }
            }
        }
        // So many pixels at a time that a column of x stays in cache while all rows are multiplied by it.
        let chunk = 64
        workers.split(rows, by: Block.lanes) { range, _ in
            for first in stride(from: 0, to: pixelBlocks, by: chunk) {
                let blocks = first..<min(first + chunk, pixelBlocks)
                let places = blocks.map { UnsafePointer<Float>?(transposed.start + $0 * rows * Block.lanes) }
                Block.kernels.multiply(
                    range.count, x.blockCount, blocks.count, places, range.lowerBound * Block.lanes,
                    Block.lanes, x.numbers.start + first * Block.lanes * Block.lanes, x.stride,
                    sums.start + range.lowerBound * Block.lanes, rows * Block.lanes, first > 0)
            }
        }
        return [Float](unsafeUninitializedCapacity: outputs * inputs) { values, count in
            for output in 0..<outputs {
                for input in 0..<inputs {
                    values[output * inputs + input] =
                        sums.start[(input / Block.lanes * rows + output) * Block.lanes + input % Block.lanes]
                }
            }
            count = outputs * inputs
        }
    }

    /// The sum of x over all pixels, or of x y if y is given, for each channel.
    func channelSums(_ x: BlockedTensor, times y: BlockedTensor? = nil) -> [Float] {
        let center = FloatBuffer(zeros: Block.lanes)
        let result = FloatBuffer(uninitialized: x.blockCount * Block.lanes)
        workers.split(x.blockCount) { blocks, _ in
            for block in blocks {
                var totals = [Double](repeating: 0, count: Block.lanes)
                for item in 0..<x.batch {
                    let (sums, products) = x.correlate(with: y ?? x, about: center, block, item)
                    for lane in 0..<Block.lanes { totals[lane] += y == nil ? sums[lane] : products[lane] }
                }
                for lane in 0..<Block.lanes {
                    result.start[block * Block.lanes + lane] = Float(totals[lane])
                }
            }
        }
        return Array(UnsafeBufferPointer(start: result.start, count: x.channels))
    }
}
