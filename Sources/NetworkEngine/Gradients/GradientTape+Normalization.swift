import CVoxelKernels
import Networks
import TensorFiles

extension GradientTape {
    /// Group normalisation; nil for tokens. The numbers are computed where they are read.
    func normalized(_ x: Value, _ layer: GroupNorm) -> Value? {
        guard !x.isTokens else { return nil }
        let normalization = Normalization(
            x.data, layer, scales: layer.weight.map(parameter), shifts: layer.bias.map(parameter), tape: self)
        return record(normalization, of: x, parameters: layer.parameters) { [unowned self] gradient in
            let sums = normalization.sums(gradient)
            add(normalization.gradient(gradient, sums), to: x)
            addSlopes(sums, of: layer, normalization)
        }
    }

    /// SiLU of a group normalisation of x: computed where it is read as well.
    func curved(_ normalization: Normalization, of x: Value) -> Value {
        let layer = normalization.layer
        return record(normalization.curved, of: x, parameters: layer.parameters) { [unowned self] gradient in
            let (slopes, sums) = normalization.slopesBeforeCurve(gradient)
            add(normalization.gradient(slopes, sums, into: slopes), to: x)
            addSlopes(sums, of: layer, normalization)
        }
    }

    private func addSlopes(
        _ sums: (sums: [Double], products: [Double]), of layer: GroupNorm, _ normalization: Normalization
    ) {
        guard let weight = layer.weight, let bias = layer.bias else { return }
        let slopes = normalization.slopes(sums)
        add(slopes.weights, to: weight)
        add(slopes.biases, to: bias)
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
