import TensorFiles

/// The layers of a conditional 2-D U-Net, and how they are joined; no numbers.
package struct UNetArchitecture: Network {
    let body: UNetBody
    let contextWidth: Int?
    let outputChannels: Int

    /// The layers of a configuration.
    ///
    /// - Precondition: the configuration is valid.
    package init(_ configuration: UNetConfiguration) {
        body = UNetBody(configuration, space: UNetSpace())
        (contextWidth, outputChannels) = (configuration.contextWidth, configuration.outputChannels)
    }

    /// Every parameter of the network, under its published name without prefix.
    package var parameters: [Parameter] { body.parameters }

    /// The sinusoids of each timestep, `[batch, model channels]`: the first shared input.
    package func sinusoids(of timesteps: [Float]) -> Tensor { body.embedding.sinusoids(of: timesteps) }

    /// The noisy and the source slices, `[batch, 2N + 1, rows, columns]` each; the timesteps' sinusoids, and the
    /// style key, `[batch, 3, bins]`, where the network takes one; to `[batch, 2N + 1, rows, columns]`.
    package func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        let slices = [batch, outputChannels] + size
        let (x, y) = (builder.image(slices), builder.image(slices))
        let time = body.embedding(builder.shared([batch, body.embedding.width]))
        let key = contextWidth.map { builder.shared([batch, UNetConfiguration.keyTokens, $0]) }
        return builder.graph(endingIn: body(.concatenated([x, y], axis: 1), time: time, key: key))
    }
}

/// What U-Nets of slices and of latents have in common: all but their inputs.
///
/// In the encoder every block's output is kept; in the decoder each block takes the last one kept, as channels after
/// its own. Ronneberger et al.: *U-Net*, arXiv 1505.04597; blocks as in Dhariwal, Nichol, arXiv 2105.05233.
struct UNetBody: Layer {
    let embedding: TimeEmbedding
    let inputBlocks: [[UNetLayer]]
    let middleBlock: [UNetLayer]
    let outputBlocks: [[UNetLayer]]
    let outputNorm: GroupNorm
    let outputConvolution: Convolution

    init(_ configuration: UNetConfiguration, space: UNetSpace) {
        let plan = BlockPlan(configuration: configuration, space: space)
        let width = configuration.modelChannels
        embedding = TimeEmbedding("time_embed", width: width)
        let down = plan.inputBlocks()
        inputBlocks = down.blocks
        middleBlock = plan.middleBlock(channels: down.outputs[down.outputs.count - 1])
        outputBlocks = plan.outputBlocks(kept: down.outputs)
        let channels = width * configuration.channelMultipliers[0]
        outputNorm = GroupNorm("out.0", channels: channels, groups: space.groups)
        outputConvolution = Convolution(
            "out.2", inputs: channels, outputs: configuration.outputChannels, kernel: space.kernel(3))
    }

    var parameters: [Parameter] {
        let blocks = inputBlocks + [middleBlock] + outputBlocks
        return embedding.parameters + blocks.joined().flatMap(\.parameters) + outputNorm.parameters
            + outputConvolution.parameters
    }

    /// `[batch, input channels, ...]`, with the time embedding as `[batch, embedding width]` and the context as
    /// `[batch, context tokens, context width]`, to `[batch, output channels, ...]`.
    func callAsFunction(_ x: GraphValue, time: GraphValue, key: GraphValue?) -> GraphValue {
        let run = { (block: [UNetLayer], x: GraphValue) in
            block.reduce(x) { x, layer in x.segment { layer($0, time: time, key: key) } }
        }
        var h = x
        var kept: [GraphValue] = []
        for block in inputBlocks {
            h = run(block, h)
            kept.append(h)
        }
        h = run(middleBlock, h)
        for block in outputBlocks { h = run(block, .concatenated([h, kept.removeLast()], axis: 1)) }
        return outputConvolution(outputNorm(h).silu())
    }
}

/// One layer of a U-Net, of any kind.
enum UNetLayer: Layer {
    case convolution(Convolution)
    case residual(ResidualBlock)
    case resampling(Resampling)
    case selfAttention(SelfAttention)
    case transformer(SpatialTransformer)

    var parameters: [Parameter] {
        switch self {
        case .convolution(let layer): layer.parameters
        case .residual(let layer): layer.parameters
        case .resampling(let layer): layer.parameters
        case .selfAttention(let layer): layer.parameters
        case .transformer(let layer): layer.parameters
        }
    }

    /// `[batch, inputs, ...]` to the layer's own output, with the time embedding as `[batch, embedding width]` and the
    /// style key as `[batch, key tokens, context width]` where the network has a transformer.
    func callAsFunction(_ x: GraphValue, time: GraphValue, key: GraphValue?) -> GraphValue {
        switch self {
        case .convolution(let layer): return layer(x)
        case .residual(let layer): return layer(x, time: time)
        case .resampling(let layer): return layer(x)
        case .selfAttention(let layer): return layer(x)
        case .transformer(let layer):
            guard let key else { preconditionFailure("a spatial transformer needs a style key") }
            return layer(x, key: key)
        }
    }
}

/// The blocks of a configuration, level by level, and their names.
private struct BlockPlan {
    let configuration: UNetConfiguration
    let space: UNetSpace

    private var levels: Range<Int> { configuration.channelMultipliers.indices }

    private func channels(_ level: Int) -> Int {
        configuration.modelChannels * configuration.channelMultipliers[level]
    }

    /// The encoder, and the channels of each block's output.
    func inputBlocks() -> (blocks: [[UNetLayer]], outputs: [Int]) {
        let width = configuration.modelChannels
        let first = Convolution(
            "input_blocks.0.0", inputs: configuration.inputChannels, outputs: width, kernel: space.kernel(3))
        var (blocks, outputs) = ([[UNetLayer.convolution(first)]], [width])
        for level in levels {
            for _ in 0..<configuration.residualBlocks {
                let path = "input_blocks.\(blocks.count)"
                let block = residual("\(path).0", inputs: outputs[outputs.count - 1], outputs: channels(level))
                blocks.append([block] + attentionIfAny("\(path).1", level: level))
                outputs.append(channels(level))
            }
            if level < levels.upperBound - 1 {
                blocks.append([resampling(.down, "input_blocks.\(blocks.count).0", channels: channels(level))])
                outputs.append(channels(level))
            }
        }
        return (blocks, outputs)
    }

    func middleBlock(channels: Int) -> [UNetLayer] {
        [
            residual("middle_block.0", inputs: channels, outputs: channels),
            attention("middle_block.1", channels: channels),
            residual("middle_block.2", inputs: channels, outputs: channels),
        ]
    }

    /// The decoder, given the channels of the outputs kept in the encoder.
    func outputBlocks(kept: [Int]) -> [[UNetLayer]] {
        var kept = kept
        var inputs = kept[kept.count - 1]
        var blocks: [[UNetLayer]] = []
        for level in levels.reversed() {
            for index in 0...configuration.residualBlocks {
                let path = "output_blocks.\(blocks.count)"
                let joined = inputs + kept.removeLast()
                inputs = channels(level)
                var block = [residual("\(path).0", inputs: joined, outputs: inputs)]
                block += attentionIfAny("\(path).1", level: level)
                if level > 0 && index == configuration.residualBlocks {
                    block.append(resampling(.up, "\(path).\(block.count)", channels: inputs))
                }
                blocks.append(block)
            }
        }
        return blocks
    }

    private func residual(
        _ path: String, inputs: Int, outputs: Int, resampling: Resampling? = nil
    ) -> UNetLayer {
        .residual(
            ResidualBlock(
                path, inputs: inputs, outputs: outputs, embeddingWidth: 4 * configuration.modelChannels,
                scalesAndShifts: configuration.usesScaleShiftNorm, space: space, resampling: resampling))
    }

    private func resampling(_ direction: Resampling.Direction, _ path: String, channels: Int) -> UNetLayer {
        configuration.usesResidualResampling
            ? residual(path, inputs: channels, outputs: channels, resampling: Resampling(direction))
            : .resampling(Resampling(direction, convolvedAt: path, channels: channels, space: space))
    }

    private func attentionIfAny(_ path: String, level: Int) -> [UNetLayer] {
        configuration.attentionResolutions.contains(1 << level)
            ? [attention(path, channels: channels(level))] : []
    }

    private func attention(_ path: String, channels: Int) -> UNetLayer {
        let headChannels = configuration.headChannels
        guard configuration.usesSpatialTransformer, let contextWidth = configuration.contextWidth else {
            return .selfAttention(
                SelfAttention(path, channels: channels, headChannels: headChannels, groups: space.groups))
        }
        return .transformer(
            SpatialTransformer(
                path, channels: channels, headChannels: headChannels, contextWidth: contextWidth, space: space))
    }
}
