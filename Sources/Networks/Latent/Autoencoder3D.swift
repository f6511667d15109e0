/// The encoder of a 3-D autoencoder: volumes `[batch, 1, ...]` to latents `[batch, z, ...]` before quantisation, whose
/// extents are those of the volume divided by `AutoencoderConfiguration.factor`.
package struct LatentEncoder: Network {
    let inputs: Int
    let first: Convolution
    let levels: [Level]
    let middle: AutoencoderStack
    let norm: GroupNorm
    package let output: Convolution
    /// `quant_conv`, the last layer.
    let quantConvolution: Convolution

    /// The blocks of one resolution, and the way to the next.
    struct Level {
        let stack: AutoencoderStack
        let downsampling: Convolution?
    }

    /// The layers of a configuration.
    ///
    /// - Precondition: the configuration is valid.
    package init(_ configuration: AutoencoderConfiguration) {
        let groups = configuration.groups
        inputs = configuration.inputChannels
        first = .cubic("encoder.conv_in", inputs: inputs, outputs: configuration.channels)
        var (channels, levels) = (configuration.channels, [Level]())
        let multipliers = configuration.channelMultipliers
        for (index, multiplier) in multipliers.enumerated() {
            let outputs = configuration.channels * multiplier
            let path = "encoder.down.\(index)"
            let stack = AutoencoderStack(
                path, inputs: channels, outputs: outputs, blocks: configuration.residualBlocks,
                hasAttention: configuration.attentionLevels.contains(index), groups: groups)
            channels = outputs
            // Zeros after the last element only, so that an even extent n becomes n / 2.
            let downsampling =
                index == multipliers.count - 1
                ? nil
                : Convolution(
                    "\(path).downsample.conv", inputs: channels, outputs: channels, kernel: [3, 3, 3],
                    stride: [2, 2, 2],
                    padding: [Convolution.Padding](repeating: .init(before: 0, after: 1), count: 3))
            levels.append(Level(stack: stack, downsampling: downsampling))
        }
        self.levels = levels
        middle = AutoencoderStack(middleAt: "encoder.mid", channels: channels, configuration)
        norm = GroupNorm("encoder.norm_out", channels: channels, groups: groups, epsilon: 1e-6)
        output = .cubic("encoder.conv_out", inputs: channels, outputs: configuration.latentChannels)
        quantConvolution = .cubic(
            "quant_conv", inputs: configuration.latentChannels, outputs: configuration.codeWidth, extent: 1)
    }

    package var parameters: [Parameter] {
        first.parameters + levels.flatMap { $0.stack.parameters + ($0.downsampling?.parameters ?? []) }
            + middle.parameters + norm.parameters + output.parameters + quantConvolution.parameters
    }

    /// A volume, `[batch, channels] + size`, to its latent before quantisation.
    ///
    /// - Precondition: every extent of `size` is a multiple of the factor.
    package func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        return builder.graph(endingIn: self(builder.image([batch, inputs] + size)))
    }

    /// `[batch, channels, ...]` to `[batch, z, ...]`.
    package func callAsFunction(_ x: GraphValue) -> GraphValue {
        var h = first(x)
        for level in levels {
            h = level.stack(h)
            if let downsampling = level.downsampling { h = downsampling(h) }
        }
        return quantConvolution(output(norm(middle(h)).silu()))
    }
}

/// The decoder of a 3-D autoencoder: latents `[batch, z, ...]` to volumes `[batch, 1, ...]`.
package struct LatentDecoder: Network {
    let inputs: Int
    /// `post_quant_conv`, the first layer.
    let quantConvolution: Convolution
    let first: Convolution
    let middle: AutoencoderStack
    /// From the coarsest on, in which order they run; their names count from the finest.
    let levels: [Level]
    let norm: GroupNorm
    let output: Convolution

    /// The blocks of one resolution, and the convolution after doubling it.
    struct Level {
        let stack: AutoencoderStack
        let upsampling: Convolution?
    }

    /// The layers of a configuration.
    ///
    /// - Precondition: the configuration is valid.
    package init(_ configuration: AutoencoderConfiguration) {
        let groups = configuration.groups
        let multipliers = configuration.channelMultipliers
        var (channels, levels) = (configuration.channels * multipliers[multipliers.count - 1], [Level]())
        inputs = configuration.codeWidth
        quantConvolution = .cubic(
            "post_quant_conv", inputs: configuration.codeWidth, outputs: configuration.latentChannels, extent: 1
        )
        first = .cubic("decoder.conv_in", inputs: configuration.latentChannels, outputs: channels)
        middle = AutoencoderStack(middleAt: "decoder.mid", channels: channels, configuration)
        for (index, multiplier) in multipliers.enumerated().reversed() {
            let outputs = configuration.channels * multiplier
            let path = "decoder.up.\(index)"
            let stack = AutoencoderStack(
                path, inputs: channels, outputs: outputs, blocks: configuration.residualBlocks + 1,
                hasAttention: configuration.attentionLevels.contains(index), groups: groups)
            channels = outputs
            levels.append(
                Level(
                    stack: stack,
                    upsampling: index == 0
                        ? nil : .cubic("\(path).upsample.conv", inputs: channels, outputs: channels)))
        }
        self.levels = levels
        norm = GroupNorm("decoder.norm_out", channels: channels, groups: groups, epsilon: 1e-6)
        output = .cubic("decoder.conv_out", inputs: channels, outputs: configuration.outputChannels)
    }

    package var parameters: [Parameter] {
        quantConvolution.parameters + first.parameters + middle.parameters
            + levels.flatMap { $0.stack.parameters + ($0.upsampling?.parameters ?? []) } + norm.parameters
            + output.parameters
    }

    /// A latent, `[batch, z] + size`, to a volume.
    package func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        return builder.graph(endingIn: self(builder.image([batch, inputs] + size)))
    }

    /// `[batch, z, ...]` to `[batch, channels, ...]`.
    package func callAsFunction(_ z: GraphValue) -> GraphValue {
        var h = middle(first(quantConvolution(z)))
        for level in levels {
            h = level.stack(h)
            if let upsampling = level.upsampling { h = upsampling(h.upsampled()) }
        }
        return output(norm(h).silu())
    }
}

extension Codebook {
    /// The codebook of an autoencoder.
    package init(_ configuration: AutoencoderConfiguration) {
        self.init("quantize.embedding", entries: configuration.codes, width: configuration.codeWidth)
    }
}

/// Blocks of one resolution, one after another: `[batch, inputs, ...]` to `[batch, outputs, ...]`.
struct AutoencoderStack: Layer {
    private enum Block {
        case residual(AutoencoderBlock)
        case attention(VoxelAttention)
    }

    private let blocks: [Block]

    /// The blocks `path.block.0`, ... of a level, each followed by `path.attn.0`, ... where it has attention.
    init(_ path: String, inputs: Int, outputs: Int, blocks count: Int, hasAttention: Bool, groups: Int) {
        blocks = (0..<count).flatMap { index -> [Block] in
            let block = AutoencoderBlock(
                "\(path).block.\(index)", inputs: index == 0 ? inputs : outputs, outputs: outputs,
                groups: groups)
            let attention = VoxelAttention("\(path).attn.\(index)", channels: outputs, groups: groups)
            return [.residual(block)] + (hasAttention ? [.attention(attention)] : [])
        }
    }

    /// The blocks of the middle: `path.block_1`, and `path.attn_1` and `path.block_2` where it has them.
    init(middleAt path: String, channels: Int, _ configuration: AutoencoderConfiguration) {
        let groups = configuration.groups
        func block(_ index: Int) -> Block {
            .residual(
                AutoencoderBlock("\(path).block_\(index)", inputs: channels, outputs: channels, groups: groups))
        }
        let attention = VoxelAttention("\(path).attn_1", channels: channels, groups: groups)
        blocks =
            [block(1)] + (configuration.hasMiddleAttention ? [.attention(attention)] : [])
            + (configuration.middleBlocks == 2 ? [block(2)] : [])
    }

    var parameters: [Parameter] {
        blocks.flatMap { block in
            switch block {
            case .residual(let layer): layer.parameters
            case .attention(let layer): layer.parameters
            }
        }
    }

    func callAsFunction(_ x: GraphValue) -> GraphValue {
        blocks.reduce(x) { x, block in
            x.segment { x in
                switch block {
                case .residual(let layer): layer(x)
                case .attention(let layer): layer(x)
                }
            }
        }
    }
}

/// Two convolutions, each after a normalisation and SiLU, beside a shortcut.
struct AutoencoderBlock: Layer {
    let firstNorm, secondNorm: GroupNorm
    let first, second: Convolution
    let shortcut: Convolution?

    /// Parameters `path.norm1`, `path.conv1`, `path.norm2`, `path.conv2`, and `path.nin_shortcut` where inputs and outputs
    /// differ.
    init(_ path: String, inputs: Int, outputs: Int, groups: Int) {
        firstNorm = GroupNorm("\(path).norm1", channels: inputs, groups: groups, epsilon: 1e-6)
        first = .cubic("\(path).conv1", inputs: inputs, outputs: outputs)
        secondNorm = GroupNorm("\(path).norm2", channels: outputs, groups: groups, epsilon: 1e-6)
        second = .cubic("\(path).conv2", inputs: outputs, outputs: outputs)
        shortcut =
            inputs == outputs
            ? nil : .cubic("\(path).nin_shortcut", inputs: inputs, outputs: outputs, extent: 1)
    }

    var parameters: [Parameter] {
        firstNorm.parameters + first.parameters + secondNorm.parameters + second.parameters
            + (shortcut?.parameters ?? [])
    }

    func callAsFunction(_ x: GraphValue) -> GraphValue {
        let h = second(secondNorm(first(firstNorm(x).silu())).silu())
        return (shortcut?(x) ?? x) + h
    }
}

/// Self-attention of all voxels with one head, added to its input: `[batch, channels, ...]` to the same shape.
struct VoxelAttention: Layer {
    let norm: GroupNorm
    let queries, keys, values, output: Convolution

    /// Parameters `path.norm`, `path.q`, `path.k`, `path.v` and `path.proj_out`.
    init(_ path: String, channels: Int, groups: Int) {
        func map(_ name: String) -> Convolution {
            .cubic("\(path).\(name)", inputs: channels, outputs: channels, extent: 1)
        }
        norm = GroupNorm("\(path).norm", channels: channels, groups: groups, epsilon: 1e-6)
        (queries, keys, values, output) = (map("q"), map("k"), map("v"), map("proj_out"))
    }

    var parameters: [Parameter] {
        norm.parameters + queries.parameters + keys.parameters + values.parameters + output.parameters
    }

    func callAsFunction(_ x: GraphValue) -> GraphValue {
        let normal = norm(x)
        let flat = [x.shape[0], x.shape[1], x.shape[2...].reduce(1, *)]
        func tokens(_ map: Convolution) -> GraphValue { map(normal).reshaped(flat).transposed() }
        let attended = tokens(queries).attention(keys: tokens(keys), values: tokens(values), heads: 1)
        return x + output(attended.transposed().reshaped(x.shape))
    }
}

extension Convolution {
    /// A 3-D convolution with a cubic kernel of 3, or `extent`, that keeps the size of its input.
    static func cubic(
        _ path: String, inputs: Int, outputs: Int, extent: Int = 3, hasBias: Bool = true
    ) -> Convolution {
        Convolution(
            path, inputs: inputs, outputs: outputs, kernel: [extent, extent, extent], hasBias: hasBias)
    }
}
