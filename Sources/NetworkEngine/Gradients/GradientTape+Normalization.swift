import CVoxelKernels
import Networks
import TensorFiles

extension GradientTape {
    /// Group normalisation; nil for tokens.
    func normalized(_ x: Value, _ layer: GroupNorm) -> Value? {
        guard !x.isTokens else { return nil }
        let data = x.data
        let groups = GroupMoments(data, groups: layer.groups, epsilon: layer.epsilon, workers: workers)
        let scales = layer.weight.map { parameter($0).values } ?? [Float](repeating: 1, count: layer.channels)
        let shifts = layer.bias.map { parameter($0).values } ?? [Float](repeating: 0, count: layer.channels)
        let result = empty(channels: data.channels, like: data)
        forEachImage(of: data) { block, item in
            Self.withCoefficients { (coefficients: UnsafeMutablePointer<Float>) in
                for channel in data.channels(of: block) {
                    let (mean, scale) = groups.moments(channel, item)
                    let slope = scale * Double(scales[channel])
                    coefficients[channel % Block.lanes] = Float(slope)
                    coefficients[2 * Block.lanes + channel % Block.lanes] = Float(
                        Double(shifts[channel]) - mean * slope)
                }
                let source = data.block(block, of: item)
                Block.kernels.blend(source, source, data.pixels, coefficients, result.block(block, of: item))
            }
        }
        return record(
            result, shape: x.shape, isTokens: x.isTokens, from: [x], parameters: layer.parameters
        ) { [unowned self] gradient in
            let sums = groups.sums(gradient, data, workers: workers)
            add(normalized(gradient, data, groups, sums, scales), to: x)
            guard let weight = layer.weight, let bias = layer.bias else { return }
            var (weights, biases) = (
                [Double](repeating: 0, count: data.channels), [Double](repeating: 0, count: data.channels)
            )
            for item in 0..<data.batch {
                for channel in 0..<data.channels {
                    let place = data.place(of: channel, item)
                    weights[channel] += sums.products[place] * groups.moments(channel, item).scale
                    biases[channel] += sums.sums[place]
                }
            }
            add(weights.map { Float($0) }, to: weight)
            add(biases.map { Float($0) }, to: bias)
        }
    }

    /// With g the gradient times the weight and z the normalised image, `(g - mean(g) - z mean(g z)) / deviation`.
    ///
    /// Over each group this sums to 0, here to within one rounding: where a group is one channel, the gradients of the
    /// biases before it are these sums, and Adam would turn rounding errors into full steps.
    private func normalized(
        _ gradient: BlockedTensor, _ x: BlockedTensor, _ groups: GroupMoments,
        _ sums: (sums: [Double], products: [Double]), _ weight: [Float]
    ) -> BlockedTensor {
        let result = empty(channels: x.channels, like: x)
        let count = Double(groups.size * x.pixels)
        forEachImage(of: x) { block, item in
            Self.withCoefficients { (coefficients: UnsafeMutablePointer<Double>) in
                for channel in x.channels(of: block) {
                    let (mean, scale) = groups.moments(channel, item)
                    var (slopes, products) = (0.0, 0.0)
                    for member in groups.members(of: channel) {
                        let place = x.place(of: member, item)
                        slopes += Double(weight[member]) * sums.sums[place]
                        products += Double(weight[member]) * sums.products[place]
                    }
                    let along = scale * scale * scale * products / count
                    coefficients[channel % Block.lanes] = scale * Double(weight[channel])
                    coefficients[Block.lanes + channel % Block.lanes] = -along
                    coefficients[2 * Block.lanes + channel % Block.lanes] =
                        along * mean - scale * slopes / count
                }
                Block.kernels.blend_keeping_sum(
                    gradient.block(block, of: item), x.block(block, of: item), x.pixels, coefficients,
                    result.block(block, of: item))
            }
        }
        return result
    }

    private static func withCoefficients<Number: BinaryFloatingPoint>(
        _ body: (UnsafeMutablePointer<Number>) -> Void
    ) {
        withUnsafeTemporaryAllocation(byteCount: 3 * Block.lanes * MemoryLayout<Number>.size, alignment: 128) {
            bytes in
            let coefficients = bytes.bindMemory(to: Number.self)
            coefficients.update(repeating: 0)
            if let start = coefficients.baseAddress { body(start) }
        }
    }

    /// Layer normalisation.
    func normalized(_ x: Value, _ layer: LayerNorm) -> Value {
        let data = x.data
        let (weight, bias) = (
            FloatBuffer(parameter(layer.weight).values), FloatBuffer(parameter(layer.bias).values)
        )
        let result = empty(channels: data.channels, like: data)
        workers.split(data.batchPixels, by: Block.lanes) { pixels, _ in
            let offset = pixels.lowerBound * Block.lanes
            Block.kernels.layer_norm(
                data.starts(from: pixels.lowerBound), data.channels,
                pixels.count,
                weight.start, bias.start, layer.epsilon, result.numbers.start + offset, result.stride)
        }
        return record(
            result, shape: x.shape, isTokens: x.isTokens, from: [x], parameters: layer.parameters
        ) { [unowned self] gradient in
            let (back, normal) = (
                empty(channels: data.channels, like: data), empty(channels: data.channels, like: data)
            )
            workers.split(data.batchPixels, by: Block.lanes) { pixels, _ in
                let offset = pixels.lowerBound * Block.lanes
                Block.kernels.layer_norm_gradient(
                    data.starts(from: pixels.lowerBound),
                    gradient.starts(from: pixels.lowerBound), data.channels,
                    pixels.count, weight.start, layer.epsilon, back.numbers.start + offset, back.stride,
                    normal.numbers.start + offset, normal.stride)
            }
            add(back, to: x)
            add(channelSums(gradient, times: normal), to: layer.weight)
            add(channelSums(gradient), to: layer.bias)
        }
    }
}

/// The mean of each group of channels of each image, and 1 / sqrt(variance + epsilon).
private struct GroupMoments: Sendable {
    /// Groups, and channels of a group.
    let groups, size: Int
    private let means, scales: [Double]

    init(_ x: BlockedTensor, groups: Int, epsilon: Float, workers: WorkerPool) {
        self.groups = groups
        size = x.channels / groups
        // About the first pixel, which keeps deviations when the mean is large.
        @Sendable func pivot(_ channel: Int, _ item: Int) -> Float {
            x.block(channel / Block.lanes, of: item)[channel % Block.lanes]
        }
        let (sums, products) = correlate(x, x, about: pivot, workers: workers)
        var (means, scales) = ([Double](), [Double]())
        for item in 0..<x.batch {
            for group in 0..<groups {
                let members = (group * size..<(group + 1) * size).map { channel in
                    let place = x.place(of: channel, item)
                    let mean = sums[place] / Double(x.pixels)
                    let deviation = products[place] - (mean - Double(pivot(channel, item))) * sums[place]
                    return (mean: mean, deviation: max(0, deviation))
                }
                let mean = members.reduce(0) { $0 + $1.mean } / Double(size)
                let spread = members.reduce(0) {
                    $0 + $1.deviation + Double(x.pixels) * ($1.mean - mean) * ($1.mean - mean)
                }
                means.append(mean)
                scales.append(1 / (spread / Double(size * x.pixels) + Double(epsilon)).squareRoot())
            }
        }
        (self.means, self.scales) = (means, scales)
    }

    func members(of channel: Int) -> Range<Int> { channel / size * size..<(channel / size + 1) * size }

    func moments(_ channel: Int, _ item: Int) -> (mean: Double, scale: Double) {
        let place = item * groups + channel / size
        return (means[place], scales[place])
    }

    /// For each channel of each image, the sum of the gradient, and that of its product with x less the mean.
    func sums(
        _ gradient: BlockedTensor, _ x: BlockedTensor, workers: WorkerPool
    ) -> (sums: [Double], products: [Double]) {
        var (sums, products) = correlate(
            gradient, x, about: { Float(moments($0, $1).mean) }, workers: workers)
        for item in 0..<x.batch {
            for channel in 0..<x.channels {
                let (place, mean) = (x.place(of: channel, item), moments(channel, item).mean)
                products[place] -= (mean - Double(Float(mean))) * sums[place]
            }
        }
        return (sums, products)
    }
}

extension BlockedTensor {
    /// The channels of a block.
    fileprivate func channels(of block: Int) -> Range<Int> {
        block * Block.lanes..<min(channels, (block + 1) * Block.lanes)
    }

    /// Where a channel's number is among those of all images and all channels of whole blocks.
    fileprivate func place(of channel: Int, _ item: Int) -> Int { item * blockCount * Block.lanes + channel }
}

/// For each channel of each image, and zeros up to a whole block, the sums of x and of x (y - center).
private func correlate(
    _ x: BlockedTensor, _ y: BlockedTensor, about center: @Sendable (_ channel: Int, _ item: Int) -> Float,
    workers: WorkerPool
) -> (sums: [Double], products: [Double]) {
    var sums = [Double](repeating: 0, count: x.batch * x.blockCount * Block.lanes)
    var products = sums
    sums.withUnsafeMutableBufferPointer { sums in
        products.withUnsafeMutableBufferPointer { products in
            // Each worker writes the sums of its own blocks.
            nonisolated(unsafe) let (sums, products) = (sums, products)
            workers.split(x.blockCount * x.batch) { places, _ in
                let centers = FloatBuffer(zeros: Block.lanes)
                for place in places {
                    let (block, item) = (place / x.batch, place % x.batch)
                    centers.start.update(repeating: 0, count: Block.lanes)
                    for channel in x.channels(of: block) {
                        centers.start[channel % Block.lanes] = center(channel, item)
                    }
                    let first = x.place(of: block * Block.lanes, item)
                    Block.kernels.correlate(
                        x.block(block, of: item), y.block(block, of: item), centers.start, x.pixels,
                        sums.baseAddress.map { $0 + first }, products.baseAddress.map { $0 + first })
                }
            }
        }
    }
    return (sums, products)
}
