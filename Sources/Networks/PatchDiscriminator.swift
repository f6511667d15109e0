/// A discriminator of patches: volumes or latents `[batch, channels, ...]` to logits `[batch, outputs, ...]`, one place for
/// each patch.
///
/// Isola et al.: *Image-to-Image Translation with Conditional Adversarial Networks*, arXiv 1611.07004, appendix 6.1.2,
/// with group norms, and two or three axes.
package struct PatchDiscriminator: Network {
    private let inputs: Int
    private let first, last: Convolution
    private let layers: [(convolution: Convolution, norm: GroupNorm)]

    /// A discriminator with the parameters `path.0`, then `path.2` and `path.3`, `path.5` and `path.6`, ...
    ///
    /// - Parameters:
    ///   - path: the prefix of the parameters' names; `loss.discriminator.main` in published checkpoints.
    ///   - axes: 3 for volumes, 2 for slices.
    ///   - inputs: channels of the input.
    ///   - width: channels after the first layer; doubled by each further one up to eight times.
    ///   - layers: how many layers halve the resolution.
    ///   - outputs: 1 for true or false, or one for each class.
    ///   - groups: groups of the normalisations.
    package init(
        _ path: String = "loss.discriminator.main", axes: Int = 3, inputs: Int = 1, width: Int = 32,
        layers: Int = 3, outputs: Int = 1, groups: Int = GroupNorm.publishedGroups
    ) {
        func convolution(_ index: Int, _ inputs: Int, _ outputs: Int, stride: Int, hasBias: Bool) -> Convolution
        {
            Convolution(
                "\(path).\(index)", inputs: inputs, outputs: outputs, kernel: [Int](repeating: 4, count: axes),
                stride: [Int](repeating: stride, count: axes),
                padding: [Convolution.Padding](repeating: .init(before: 1, after: 1), count: axes),
                hasBias: hasBias)
        }
        self.inputs = inputs
        let widths = (0...layers).map { width * min(1 << $0, 8) }
        first = convolution(0, inputs, width, stride: 2, hasBias: true)
        self.layers = (0..<layers).map { index in
            (
                convolution(
                    3 * index + 2, widths[index], widths[index + 1], stride: index < layers - 1 ? 2 : 1,
                    hasBias: false),
                GroupNorm("\(path).\(3 * index + 3)", channels: widths[index + 1], groups: groups)
            )
        }
        last = convolution(3 * layers + 2, widths[layers], outputs, stride: 1, hasBias: true)
    }

    package var parameters: [Parameter] {
        first.parameters + layers.flatMap { $0.convolution.parameters + $0.norm.parameters } + last.parameters
    }

    /// The extents of the logits for a size, or nil if it is too small for any.
    package func patches(of size: [Int]) -> [Int]? {
        let convolutions = [first] + layers.map(\.convolution) + [last]
        return convolutions.reduce(size) { (size: [Int]?, convolution) in
            // A kernel of 4 with a zero on either side.
            size.flatMap { $0.allSatisfy { $0 >= 2 } ? convolution.extents(of: $0) : nil }
        }
    }

    /// `[batch, channels] + size` to logits.
    package func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        return builder.graph(endingIn: self(builder.image([batch, inputs] + size)))
    }

    /// `[batch, channels, ...]` to `[batch, outputs, ...]`.
    package func callAsFunction(_ x: GraphValue) -> GraphValue {
        let h = layers.reduce(first(x).leakyReLU(slope: 0.2)) { h, layer in
            layer.norm(layer.convolution(h)).leakyReLU(slope: 0.2)
        }
        return last(h)
    }
}
