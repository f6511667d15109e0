import CVoxelKernels

extension GradientTape {
    func apply(_ layer: GroupNorm, to x: Value) -> Value {
        let groups = GroupMoments(x.data, epsilon: layer.epsilon, workers: workers)
        let (weight, bias) = (parameter(layer.weight).values, parameter(layer.bias).values)
        let result = room(channels: x.data.channels, like: x.data)
        forEachImage(of: x.data) { block, item in
            withCoefficients { coefficients in
                for channel in groups.channels(of: block) {
                    let (mean, scale) = groups.moments(channel, item)
                    let slope = scale * Double(weight[channel])
                    coefficients[channel % lanes] = Float(slope)
                    coefficients[2 * lanes + channel % lanes] = Float(Double(bias[channel]) - mean * slope)
                }
                let source = x.data.block(block, of: item)
                kernels.blend(source, source, x.data.pixels, coefficients, result.block(block, of: item))
            }
        }
        return record(result, shape: x.shape, isTokens: x.isTokens, isLearned: true, from: [x]) {
            [self] gradient in
            let sums = groups.correlate(gradient, x.data, workers: workers)
            add(normalized(gradient, x.data, groups, sums, weight), to: x)
            let places = x.data.channels
            var (weights, biases) = (
                [Double](repeating: 0, count: places), [Double](repeating: 0, count: places)
            )
            for item in 0..<x.data.batch {
                for channel in 0..<places {
                    weights[channel] +=
                        sums.products[item * places + channel] * groups.moments(channel, item).scale
                    biases[channel] += sums.sums[item * places + channel]
                }
            }
            add(weights.map { Float($0) }, to: layer.weight)
            add(biases.map { Float($0) }, to: layer.bias)
        }
    }

    /// With g the gradient times the weight and z the normalised image, `(g - mean(g) - z mean(g z)) / deviation`.
    private func normalized(
        _ gradient: BlockedTensor, _ x: BlockedTensor, _ groups: GroupMoments,
        _ sums: (sums: [Double], products: [Double]), _ weight: [Float]
    ) -> BlockedTensor {
        let result = room(channels: x.channels, like: x)
        let count = Double(groups.size * x.pixels)
        forEachImage(of: x) { block, item in
            withCoefficients { coefficients in
                for channel in groups.channels(of: block) {
                    let (mean, scale) = groups.moments(channel, item)
                    var (slopes, products) = (0.0, 0.0)
                    for member in groups.members(of: channel) {
                        let place = item * x.channels + member
                        slopes += Double(weight[member]) * sums.sums[place]
                        products += Double(weight[member]) * sums.products[place]
                    }
                    let along = scale * scale * scale * products / count
                    coefficients[channel % lanes] = Float(scale * Double(weight[channel]))
                    coefficients[lanes + channel % lanes] = Float(-along)
                    coefficients[2 * lanes + channel % lanes] = Float(along * mean - scale * slopes / count)
                }
                kernels.blend(
                    gradient.block(block, of: item), x.block(block, of: item), x.pixels, coefficients,
                    result.block(block, of: item))
            }
        }
        return result
    }

    private func withCoefficients(_ body: (UnsafeMutablePointer<Float>) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: 3 * lanes * 4, alignment: 64) { bytes in
            let coefficients = bytes.bindMemory(to: Float.self)
            coefficients.update(repeating: 0)
            if let start = coefficients.baseAddress { body(start) }
        }
    }

    func apply(_ layer: LayerNorm, to x: Value) -> Value {
        let data = x.data
        let (weight, bias) = (
            FloatBuffer(parameter(layer.weight).values), FloatBuffer(parameter(layer.bias).values)
        )
        let result = room(channels: data.channels, like: data)
        workers.split(data.batchPixels, by: lanes) { pixels, _ in
            let offset = pixels.lowerBound * lanes
            kernels.layer_norm(
                (0..<data.blockCount).map { UnsafePointer(data.block($0) + offset) }, data.channels,
                pixels.count,
                weight.start, bias.start, layer.epsilon, result.numbers.start + offset, result.stride)
        }
        return record(result, shape: x.shape, isTokens: x.isTokens, isLearned: true, from: [x]) {
            [self] gradient in
            let (back, normal) = (
                room(channels: data.channels, like: data), room(channels: data.channels, like: data)
            )
            workers.split(data.batchPixels, by: lanes) { pixels, _ in
                let offset = pixels.lowerBound * lanes
                kernels.layer_norm_gradient(
                    (0..<data.blockCount).map { UnsafePointer(data.block($0) + offset) },
                    (0..<data.blockCount).map { UnsafePointer(gradient.block($0) + offset) }, data.channels,
                    pixels.count, weight.start, layer.epsilon, back.numbers.start + offset, back.stride,
                    normal.numbers.start + offset, normal.stride)
            }
            add(back, to: x)
            var products = [Float](repeating: 0, count: data.blockCount * lanes)
            let center = FloatBuffer(zeros: lanes)
            for block in 0..<data.blockCount {
                var totals = [Double](repeating: 0, count: lanes)
                for item in 0..<data.batch {
                    let (_, own) = correlate(gradient, normal, center.start, block, item)
                    for lane in 0..<lanes { totals[lane] += own[lane] }
                }
                for lane in 0..<lanes { products[block * lanes + lane] = Float(totals[lane]) }
            }
            add(Array(products[..<data.channels]), to: layer.weight)
            add(biasGradient(gradient), to: layer.bias)
        }
    }
}

/// The mean of each group of channels of each image, and 1 / sqrt(variance + epsilon).
private struct GroupMoments {
    /// Channels of a group.
    let size: Int
    private let blockedChannels: Int
    private let means, scales: [Double]

    init(_ x: BlockedTensor, epsilon: Float, workers: WorkerPool) {
        size = x.channels / GroupNorm.groups
        blockedChannels = x.channels
        let moments = UnsafeMutableBufferPointer<voxel_moments>.allocate(capacity: x.blockCount * x.batch)
        defer { moments.deallocate() }
        nonisolated(unsafe) let all = moments
        workers.split(x.blockCount * x.batch) { places, _ in
            for place in places {
                var own = voxel_moments()
                withUnsafeMutablePointer(to: &own) { own in
                    var finish = voxel_finish(bias: nil, residual: nil, moments: own)
                    kernels.finish(x.block(place / x.batch, of: place % x.batch), x.pixels, &finish)
                }
                all[place] = own
            }
        }
        var (means, scales) = ([Double](), [Double]())
        for item in 0..<x.batch {
            for group in 0..<GroupNorm.groups {
                let members = (group * size..<(group + 1) * size).map { channel in
                    let own = moments[channel / lanes * x.batch + item]
                    return (mean: own.mean(channel % lanes), deviation: own.deviation(channel % lanes))
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

    func channels(of block: Int) -> Range<Int> { block * lanes..<min((block + 1) * lanes, blockedChannels) }
    func members(of channel: Int) -> Range<Int> { channel / size * size..<(channel / size + 1) * size }

    func moments(_ channel: Int, _ item: Int) -> (mean: Double, scale: Double) {
        let place = item * GroupNorm.groups + channel / size
        return (means[place], scales[place])
    }

    /// For each channel of each image, the sum of the gradient, and that of its product with x less the mean.
    func correlate(
        _ gradient: BlockedTensor, _ x: BlockedTensor, workers: WorkerPool
    ) -> (sums: [Double], products: [Double]) {
        var sums = [Double](repeating: 0, count: x.batch * x.blockCount * lanes)
        var products = sums
        sums.withUnsafeMutableBufferPointer { sums in
            products.withUnsafeMutableBufferPointer { products in
                nonisolated(unsafe) let (sums, products) = (sums, products)
                workers.split(x.blockCount * x.batch) { places, _ in
                    let center = FloatBuffer(zeros: lanes)
                    for place in places {
                        let (block, item) = (place / x.batch, place % x.batch)
                        for channel in channels(of: block) {
                            center.start[channel % lanes] = Float(moments(channel, item).mean)
                        }
                        let first = (item * x.blockCount + block) * lanes
                        kernels.correlate(
                            gradient.block(block, of: item), x.block(block, of: item), center.start, x.pixels,
                            sums.baseAddress.map { $0 + first }, products.baseAddress.map { $0 + first })
                    }
                }
            }
        }
        return (sums, products)
    }
}
