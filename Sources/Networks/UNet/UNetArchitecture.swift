import TensorFiles

/// The layers of a conditional 2-D U-Net, and how they are joined; no numbers.
///
/// ```swift
/// let architecture = UNetArchitecture(.ct2mri)
/// let names = architecture.parameters.map(\.name)         // what a weights file must hold
/// let output = architecture(x: x, y: y, time: time, key: key, with: arithmetic)
/// ```
///
/// On the way down every block's output is kept; on the way up each block is given the last one kept, as
/// channels after its own. Ronneberger et al.: *U-Net*, arXiv 1505.04597; blocks as in Dhariwal, Nichol,
/// arXiv 2105.05233.
public struct UNetArchitecture: Layer {
    let embedding: TimeEmbedding
    let inputBlocks: [[UNetLayer]]
    let middleBlock: [UNetLayer]
    let outputBlocks: [[UNetLayer]]
    let outputNorm: GroupNorm
    let outputConvolution: Convolution
    let contextWidth: Int?

    /// The layers of a configuration.
    ///
    /// - Precondition: the configuration is valid.
    public init(_ configuration: UNetConfiguration) {
        let plan = BlockPlan(configuration: configuration)
        let width = configuration.modelChannels
        embedding = TimeEmbedding("time_embed", width: width)
        contextWidth = configuration.contextWidth
        let down = plan.inputBlocks()
        inputBlocks = down.blocks
        middleBlock = plan.middleBlock(channels: down.outputs[down.outputs.count - 1])
        outputBlocks = plan.outputBlocks(kept: down.outputs)
        let channels = width * configuration.channelMultipliers[0]
        outputNorm = GroupNorm("out.0", channels: channels)
        outputConvolution = Convolution(
            "out.2", inputs: channels, outputs: configuration.outputChannels, kernel: [3, 3])
    }

    /// Every parameter of the network, under its published name without prefix.
    public var parameters: [Parameter] {
        let blocks = inputBlocks + [middleBlock] + outputBlocks
        return embedding.parameters + blocks.joined().flatMap(\.parameters) + outputNorm.parameters
            + outputConvolution.parameters
    }

    /// The network's sinusoids of each time step, `[batch, model channels]`: what `time` stands for below.
    public func sinusoids(of timesteps: [Float]) -> Tensor { embedding.sinusoids(of: timesteps) }

    /// Evaluates the network.
    ///
    /// - Parameters:
    ///   - x: noisy slices, `[batch, 2N + 1, rows, columns]`.
    ///   - y: source slices, of the same shape.
    ///   - time: `sinusoids(of:)` the time steps, `[batch, model channels]`.
    ///   - key: the style key, `[batch, 3, bins]`, where the network takes one.
    ///   - arithmetic: computes the layers, and holds the numbers of their parameters.
    /// - Returns: `[batch, 2N + 1, rows, columns]`.
    public func callAsFunction<A: LayerArithmetic>(
        x: A.Value, y: A.Value, time: A.Value, key: A.Value?, with arithmetic: A
    ) -> A.Value {
        let time = embedding(time, with: arithmetic)
        let run = { (block: [UNetLayer], x: A.Value) in
            block.reduce(x) { x, layer in
                arithmetic.segment([x, time] + (key.map { [$0] } ?? [])) {
                    layer($0[0], time: $0[1], key: $0.count > 2 ? $0[2] : nil, with: arithmetic)
                }
            }
        }
        var h = arithmetic.concatenated([x, y], axis: 1)
        var kept: [A.Value] = []
        for block in inputBlocks {
            h = run(block, h)
            kept.append(h)
        }
        h = run(middleBlock, h)
        for block in outputBlocks { h = run(block, arithmetic.concatenated([h, kept.removeLast()], axis: 1)) }
        return outputConvolution(arithmetic.silu(outputNorm(h, with: arithmetic)), with: arithmetic)
    }
}

extension UNetArchitecture: CompilableNetwork {
    /// The noisy and the source slices: 2N + 1 channels each.
    public var imageChannels: [Int] { [outputConvolution.weight.shape[0], outputConvolution.weight.shape[0]] }

    /// The time's sinusoids, and the style key where the network takes one.
    public var sharedShapes: [[Int]] {
        [[1, embedding.width]] + (contextWidth.map { [[1, UNetConfiguration.keyTokens, $0]] } ?? [])
    }

    /// The network's output for noisy and source slices, given the time's sinusoids and perhaps a style key.
    public func callAsFunction<A: LayerArithmetic>(
        images: [A.Value], shared: [A.Value], with arithmetic: A
    ) -> A.Value {
        self(
            x: images[0], y: images[1], time: shared[0], key: shared.count > 1 ? shared[1] : nil,
            with: arithmetic)
    }
}

/// Lays the blocks of a configuration out, level by level, and names them.
private struct BlockPlan {
    let configuration: UNetConfiguration

    private var levels: Range<Int> { configuration.channelMultipliers.indices }

    private func channels(_ level: Int) -> Int {
        configuration.modelChannels * configuration.channelMultipliers[level]
    }

    /// The way down, and the channels that each block gives out.
    func inputBlocks() -> (blocks: [[UNetLayer]], outputs: [Int]) {
        let width = configuration.modelChannels
        let first = Convolution(
            "input_blocks.0.0", inputs: configuration.inputChannels, outputs: width, kernel: [3, 3])
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

    /// The way up, given the channels of what was kept on the way down.
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
                scalesAndShifts: configuration.usesScaleShiftNorm, resampling: resampling))
    }

    private func resampling(_ direction: Resampling.Direction, _ path: String, channels: Int) -> UNetLayer {
        configuration.usesResidualResampling
            ? residual(path, inputs: channels, outputs: channels, resampling: Resampling(direction))
            : .resampling(Resampling(direction, convolvedAt: path, channels: channels))
    }

    private func attentionIfAny(_ path: String, level: Int) -> [UNetLayer] {
        configuration.attentionResolutions.contains(1 << level)
            ? [attention(path, channels: channels(level))] : []
    }

    private func attention(_ path: String, channels: Int) -> UNetLayer {
        let headChannels = configuration.headChannels
        guard configuration.usesSpatialTransformer, let contextWidth = configuration.contextWidth else {
            return .selfAttention(SelfAttention(path, channels: channels, headChannels: headChannels))
        }
        return .transformer(
            SpatialTransformer(
                path, channels: channels, headChannels: headChannels, contextWidth: contextWidth))
    }
}
