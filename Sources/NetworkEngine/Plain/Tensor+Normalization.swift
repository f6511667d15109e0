import TensorFiles

extension Tensor {
    /// Each group of neighbouring channels at mean 0 and variance 1, then scaled and shifted channel by channel.
    ///
    /// Wu, He: *Group Normalization*, arXiv 1803.08494, equations 1 to 3 and 7. O(n).
    ///
    /// - Parameters:
    ///   - groups: how many groups; must divide the channels of this `[batch, channels, ...]` tensor.
    ///   - weight: the scale of each channel, `[channels]`, or nil.
    ///   - bias: the shift of each channel, `[channels]`, or nil.
    ///   - epsilon: added to the variance.
    func groupNormalized(groups: Int, weight: Tensor?, bias: Tensor?, epsilon: Float) -> Tensor {
        let channels = shape[1]
        precondition(
            channels % groups == 0 && [weight, bias].allSatisfy { $0?.shape ?? [channels] == [channels] },
            "\(groups) groups, and scales and shifts, do not fit \(shape)")
        let inner = shape[2...].reduce(1, *)
        let groupChannels = channels / groups
        return normalized(groupSize: groupChannels * inner, epsilon: epsilon) { group, values, mean, scale in
            for member in 0..<groupChannels {
                let channel = group % groups * groupChannels + member
                let (slope, shift) = (scale * (weight?.values[channel] ?? 1), bias?.values[channel] ?? 0)
                for index in member * inner..<(member + 1) * inner {
                    values[index] = (values[index] - mean) * slope + shift
                }
            }
        }
    }

    /// Each row along the last axis at mean 0 and variance 1, then scaled and shifted.
    ///
    /// Ba, Kiros, Hinton: *Layer Normalization*, arXiv 1607.06450. O(n).
    ///
    /// - Parameters:
    ///   - weight: the scale of each place in a row, `[width]`, for a tensor of `[..., width]`.
    ///   - bias: the shift of each place in a row, `[width]`.
    ///   - epsilon: added to the variance.
    func layerNormalized(weight: Tensor, bias: Tensor, epsilon: Float) -> Tensor {
        let width = shape[shape.count - 1]
        precondition(
            weight.shape == [width] && bias.shape == [width],
            "scales \(weight.shape) and shifts \(bias.shape) do not fit \(shape)")
        return weight.values.withUnsafeBufferPointer { weight in
            bias.values.withUnsafeBufferPointer { bias in
                normalized(groupSize: width, epsilon: epsilon) { _, values, mean, scale in
                    for index in 0..<width {
                        values[index] = (values[index] - mean) * scale * weight[index] + bias[index]
                    }
                }
            }
        }
    }

    /// Calls `apply` with each run of `groupSize` numbers, its mean and 1 / sqrt(variance + epsilon).
    private func normalized(
        groupSize: Int, epsilon: Float,
        apply: (_ group: Int, _ values: UnsafeMutableBufferPointer<Float>, _ mean: Float, _ scale: Float) ->
            Void
    ) -> Tensor {
        guard count > 0 else { return self }
        var result = self
        result.values.withUnsafeMutableBufferPointer { values in
            for group in 0..<values.count / groupSize {
                let members = UnsafeMutableBufferPointer(
                    rebasing: values[group * groupSize..<(group + 1) * groupSize])
                let source = UnsafeBufferPointer(members)
                let mean = Float(source.sum { $0 } / Double(groupSize))
                let squares = source.sum { ($0 - mean) * ($0 - mean) }
                let variance = Float(squares / Double(groupSize))
                apply(group, members, mean, 1 / (variance + epsilon).squareRoot())
            }
        }
        return result
    }
}
