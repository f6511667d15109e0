/// One learned array of a network: its name in a weights file, and its shape.
public struct Parameter: Hashable, Sendable {
    /// The name in a weights file, such as `input_blocks.0.0.weight`.
    public let name: String

    /// The extent of each axis, as stored.
    public let shape: [Int]

    /// A parameter by its name and shape.
    public init(_ name: String, _ shape: [Int]) {
        self.name = name
        self.shape = shape
    }
}

/// A part of a network, described by its parameters and sizes. It holds no numbers.
package protocol Layer: Sendable {
    /// The parameters, in the order in which they are used. Their names differ.
    var parameters: [Parameter] { get }
}

/// A linear map of the last axis: `y = x W^T + b`, `[..., inputs]` to `[..., outputs]`.
package struct Linear: Layer {
    /// W, `[outputs, inputs]`.
    package let weight: Parameter
    /// b, `[outputs]`; nil for a map without bias.
    package let bias: Parameter?

    /// A linear map with the parameters `path.weight` and, where `hasBias`, `path.bias`.
    package init(_ path: String, inputs: Int, outputs: Int, hasBias: Bool = true) {
        weight = Parameter("\(path).weight", [outputs, inputs])
        bias = hasBias ? Parameter("\(path).bias", [outputs]) : nil
    }

    package var parameters: [Parameter] { [weight] + (bias.map { [$0] } ?? []) }

    /// `[..., inputs]` to `[..., outputs]`.
    package func callAsFunction(_ x: GraphValue) -> GraphValue {
        precondition(x.shape.last == weight.shape[1], "\(self) does not fit \(x.shape)")
        return x.record(.linear(self), shape: x.shape.dropLast() + [weight.shape[0]])
    }
}

/// A convolution over any number of spatial axes: `[batch, inputs, ...]` to `[batch, outputs, ...]`.
package struct Convolution: Layer {
    /// Zeros before the first and after the last element of an axis.
    package struct Padding: Equatable, Sendable {
        package let before, after: Int
        package init(before: Int, after: Int) { (self.before, self.after) = (before, after) }
    }

    /// `[outputs, inputs, kernel...]`, one kernel extent for each spatial axis.
    package let weight: Parameter
    /// `[outputs]`; nil for a convolution without bias.
    package let bias: Parameter?
    /// Elements between neighbouring positions of the kernel, for each spatial axis.
    package let stride: [Int]
    /// The zeros around the input, for each spatial axis.
    package let padding: [Padding]

    /// A convolution with the parameters `path.weight` and, where `hasBias`, `path.bias`.
    ///
    /// - Parameters:
    ///   - path: the prefix of the parameters' names.
    ///   - inputs: channels of the input.
    ///   - outputs: channels of the output.
    ///   - kernel: the kernel's extents, one for each spatial axis.
    ///   - stride: one for each spatial axis; nil for 1.
    ///   - padding: one for each spatial axis; nil for half the kernel on either side, so that a stride of 1 keeps
    ///     the size of the input if the kernel is odd.
    ///   - hasBias: whether a bias is added.
    package init(
        _ path: String, inputs: Int, outputs: Int, kernel: [Int], stride: [Int]? = nil,
        padding: [Padding]? = nil, hasBias: Bool = true
    ) {
        weight = Parameter("\(path).weight", [outputs, inputs] + kernel)
        bias = hasBias ? Parameter("\(path).bias", [outputs]) : nil
        self.stride = stride ?? kernel.map { _ in 1 }
        self.padding = padding ?? kernel.map { Padding(before: $0 / 2, after: $0 / 2) }
        precondition(
            self.stride.count == kernel.count && self.padding.count == kernel.count,
            "stride \(self.stride) and padding \(self.padding) do not match the kernel \(kernel)")
    }

    package var parameters: [Parameter] { [weight] + (bias.map { [$0] } ?? []) }

    /// The kernel's extents, one for each spatial axis.
    package var kernel: [Int] { Array(weight.shape[2...]) }

    /// The spatial extents of the result for those of an input: (extent + padding - kernel) / stride + 1.
    package func extents(of input: some Sequence<Int>) -> [Int] {
        zip(zip(input, kernel), zip(stride, padding)).map { sizes, steps in
            (sizes.0 + steps.1.before + steps.1.after - sizes.1) / steps.0 + 1
        }
    }

    /// `[batch, inputs, ...]` to `[batch, outputs, ...]`.
    package func callAsFunction(_ x: GraphValue) -> GraphValue {
        precondition(
            weight.shape.count == x.shape.count && weight.shape[1] == x.shape[1],
            "\(self) does not fit \(x.shape)")
        let extents = extents(of: x.shape[2...])
        precondition(extents.allSatisfy { $0 > 0 }, "\(self) is larger than \(x.shape)")
        return x.record(.convolution(self), shape: [x.shape[0], weight.shape[0]] + extents)
    }
}

/// Group normalisation of the channels of `[batch, channels, ...]`, to the same shape.
package struct GroupNorm: Layer {
    /// The number of groups in the published networks.
    package static let publishedGroups = 32

    /// The number of groups of neighbouring channels.
    package let groups: Int
    package let channels: Int
    /// The scale and the shift of each channel, `[channels]`; nil for a normalisation without.
    package let weight, bias: Parameter?
    /// Added to the variance.
    package let epsilon: Float

    /// A normalisation with the parameters `path.weight` and `path.bias` where `isAffine`, or else without any.
    ///
    /// - Parameters:
    ///   - path: the prefix of the parameters' names.
    ///   - channels: a multiple of `groups`.
    ///   - groups: the number of groups of neighbouring channels.
    ///   - epsilon: added to the variance.
    ///   - isAffine: whether each channel is scaled and shifted afterwards.
    package init(
        _ path: String, channels: Int, groups: Int = publishedGroups, epsilon: Float = 1e-5,
        isAffine: Bool = true
    ) {
        precondition(channels % groups == 0, "\(channels) channels do not fall into \(groups) groups")
        (self.channels, self.groups, self.epsilon) = (channels, groups, epsilon)
        weight = isAffine ? Parameter("\(path).weight", [channels]) : nil
        bias = isAffine ? Parameter("\(path).bias", [channels]) : nil
    }

    /// Instance normalisation: every channel is a group, and by default there are no parameters.
    package static func instance(
        _ path: String = "", channels: Int, epsilon: Float = 1e-5, isAffine: Bool = false
    ) -> GroupNorm {
        GroupNorm(path, channels: channels, groups: channels, epsilon: epsilon, isAffine: isAffine)
    }

    package var parameters: [Parameter] { [weight, bias].compactMap(\.self) }

    /// `[batch, channels, ...]` to the same shape.
    package func callAsFunction(_ x: GraphValue) -> GraphValue {
        precondition(channels == x.shape[1], "\(self) does not fit \(x.shape)")
        return x.record(.groupNorm(self))
    }
}

/// Layer normalisation along the last axis: `[..., width]` to the same shape.
package struct LayerNorm: Layer {
    /// The scale and the shift of each element of a row, `[width]`.
    package let weight, bias: Parameter
    /// Added to the variance.
    package let epsilon: Float

    /// A normalisation with the parameters `path.weight` and `path.bias`.
    package init(_ path: String, width: Int, epsilon: Float = 1e-5) {
        weight = Parameter("\(path).weight", [width])
        bias = Parameter("\(path).bias", [width])
        self.epsilon = epsilon
    }

    package var parameters: [Parameter] { [weight, bias] }

    /// `[..., width]` to the same shape.
    package func callAsFunction(_ x: GraphValue) -> GraphValue {
        precondition(weight.shape == [x.shape[x.shape.count - 1]], "\(self) does not fit \(x.shape)")
        return x.record(.layerNorm(self))
    }
}

/// Vector quantisation: the channels of each element of `[batch, width, ...]` become the nearest entry of a codebook.
///
/// van den Oord, Vinyals, Kavukcuoglu: *Neural Discrete Representation Learning*, arXiv 1711.00937, equation 1.
package struct Codebook: Layer {
    /// The entries, `[entries, width]`.
    package let weight: Parameter

    /// A codebook with the parameter `path.weight`.
    package init(_ path: String, entries: Int, width: Int) {
        weight = Parameter("\(path).weight", [entries, width])
    }

    package var parameters: [Parameter] { [weight] }

    /// `[batch, width, ...]` to the same shape.
    package func callAsFunction(_ x: GraphValue) -> GraphValue {
        precondition(weight.shape[1] == x.shape[1], "\(self) does not fit \(x.shape)")
        return x.record(.codebook(self))
    }
}
