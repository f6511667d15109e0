import CVoxelKernels
import Networks

extension GradientTape {
    /// Every element's channels replaced by the nearest entry of a codebook.
    ///
    /// van den Oord, Vinyals, Kavukcuoglu: *Neural Discrete Representation Learning*, arXiv 1711.00937, section 3.2.
    ///
    /// - Parameters:
    ///   - x: `[batch, width, ...]`.
    ///   - codebook: its entries, a parameter.
    /// - Returns: the same numbers twice. The gradient of `quantised` is that of x, as if nothing had been replaced
    ///   (straight through); the gradient of `entries` is that of the codebook, and does not reach x. And the index of each
    ///   element's entry.
    package func quantised(
        _ x: Value, by codebook: Codebook
    ) -> (quantised: Value, entries: Value, indices: [Int]) {
        let data = x.data
        let (count, width) = (codebook.weight.shape[0], codebook.weight.shape[1])
        let codes = PackedCodebook(FloatBuffer(parameter(codebook.weight).values), count: count, width: width)
        let result = empty(channels: data.channels, like: data)
        let indices = [Int](unsafeUninitializedCapacity: data.batchPixels) { indices, initialized in
            // Each worker writes the indices of its own pixels.
            nonisolated(unsafe) let indices = indices
            workers.split(data.batchPixels, by: Block.lanes) { pixels, _ in
                let nearest = codes.nearest(data.starts(from: pixels.lowerBound), pixels: pixels.count)
                for (pixel, index) in zip(pixels, nearest) {
                    indices.initializeElement(at: pixel, to: index)
                    for block in 0..<result.blockCount {
                        codes.copy(index, block: block, to: result.block(block) + pixel * Block.lanes)
                    }
                }
            }
            initialized = data.batchPixels
        }
        let quantised = record(result, shape: x.shape, isTokens: x.isTokens, from: [x]) {
            [unowned self] in add($0, to: x)
        }
        let entries = record(
            result, shape: x.shape, isTokens: x.isTokens, from: [], parameters: [codebook.weight]
        ) { [unowned self] gradient in
            add(scattered(gradient, to: indices, count: count, width: width), to: codebook.weight)
        }
        return (quantised, entries, indices)
    }

    /// The sum of the gradients of all pixels that took an entry, `[entries, width]`.
    private func scattered(_ gradient: BlockedTensor, to indices: [Int], count: Int, width: Int) -> [Float] {
        var sums = [Double](repeating: 0, count: count * width)
        for channel in 0..<width {
            let source = gradient.block(channel / Block.lanes) + channel % Block.lanes
            for (pixel, index) in indices.enumerated() {
                sums[index * width + channel] += Double(source[pixel * Block.lanes])
            }
        }
        return sums.map { Float($0) }
    }
}
