import NetworkEngine
import Networks

/// The layer of a case, connected as in the network.
enum CaseLayer: Layer {
    case convolution(Convolution)
    case normalized(GroupNorm, Convolution)
    case residual([ResidualLayer])
    case transformer(TransformerLayer)
    case halving(Convolution, Convolution)
    case narrowing(GroupNorm, Convolution, Convolution)
    case attention(VoxelAttention)

    init(_ layer: LayerCase) {
        let (inputs, outputs) = (layer.inputs, layer.outputs)
        let convolution = { (name: String, inputs: Int, outputs: Int, kernel: Int) in
            Convolution(name, inputs: inputs, outputs: outputs, kernel: layer.size.map { _ in kernel })
        }
        switch layer.kind {
        case .convolution: self = .convolution(convolution("layer", inputs, outputs, 3))
        case .pointwise: self = .convolution(convolution("layer", inputs, outputs, 1))
        case .normalized:
            self = .normalized(
                GroupNorm("norm", channels: inputs), convolution("layer", inputs, outputs, 3))
        case .halving:
            let zeros = Convolution.Padding(before: 0, after: 1)
            self = .halving(
                Convolution(
                    "down", inputs: inputs, outputs: outputs, kernel: [3, 3, 3], stride: [2, 2, 2],
                    padding: [zeros, zeros, zeros]), convolution("up", outputs, outputs, 3))
        case .narrowing:
            self = .narrowing(
                GroupNorm("norm", channels: inputs), convolution("one", inputs, 1, 3),
                convolution("back", 1, outputs, 3))
        case .attention: self = .attention(VoxelAttention("attention", width: outputs))
        case .residual: self = .residual([ResidualLayer("block", inputs: inputs, outputs: outputs)])
        case .resampling:
            self = .residual([
                ResidualLayer("down", inputs: inputs, outputs: outputs, resampling: .down),
                ResidualLayer("up", inputs: outputs, outputs: outputs, resampling: .up),
            ])
        case .transformer: self = .transformer(TransformerLayer(width: outputs))
        }
    }

    var parameters: [Parameter] {
        switch self {
        case .convolution(let layer): layer.parameters
        case .normalized(let norm, let layer): norm.parameters + layer.parameters
        case .residual(let blocks): blocks.flatMap(\.parameters)
        case .transformer(let layer): layer.parameters
        case .halving(let down, let up): down.parameters + up.parameters
        case .narrowing(let norm, let one, let back): norm.parameters + one.parameters + back.parameters
        case .attention(let layer): layer.parameters
        }
    }

    /// `[1, inputs, size...]` to `[1, outputs, size...]`, with the time embedding or the style key if it takes one.
    func callAsFunction(_ x: GraphValue, shared: GraphValue?) -> GraphValue {
        switch self {
        case .convolution(let layer): return layer(x)
        case .normalized(let norm, let layer):
            return layer(norm(x).silu())
        case .residual(let blocks):
            guard let shared else { preconditionFailure("a residual block needs the time") }
            return blocks.reduce(x) { $1($0, time: shared) }
        case .transformer(let layer):
            guard let shared else { preconditionFailure("a transformer needs a style key") }
            return layer(x, key: shared)
        case .halving(let down, let up): return up(down(x).upsampled())
        case .narrowing(let norm, let one, let back): return back(one(norm(x).silu()))
        case .attention(let layer): return layer(x)
        }
    }
}

/// Self-attention of all voxels to each other, with a residual.
struct VoxelAttention: Layer {
    private static let headChannels = 32

    private let norm: GroupNorm
    /// The queries, keys and values of each head after one another, and the output.
    private let input, output: Convolution

    init(_ path: String, width: Int) {
        norm = GroupNorm("\(path).norm", channels: width)
        input = Convolution("\(path).qkv", inputs: width, outputs: 3 * width, kernel: [1])
        output = Convolution("\(path).out", inputs: width, outputs: width, kernel: [1])
    }

    var parameters: [Parameter] { norm.parameters + input.parameters + output.parameters }

    func callAsFunction(_ x: GraphValue) -> GraphValue {
        let (channels, head) = (norm.channels, Self.headChannels)
        let pixels = x.shape[2...].reduce(1, *)
        let flat = x.reshaped([1, channels, pixels])
        let all = input(norm(flat)).transposed().reshaped([1, pixels, channels / head, 3 * head])
        let parts = (0..<3).map {
            all.slice(axis: 3, $0 * head..<($0 + 1) * head).reshaped([1, pixels, channels])
        }
        let attended = parts[0].attention(keys: parts[1], values: parts[2], heads: channels / head)
        return (flat + output(attended.transposed())).reshaped(x.shape)
    }
}

/// Two convolutions with a shortcut, modulated by the time embedding.
struct ResidualLayer: Layer {
    enum Resampling { case down, up }

    static let timeWidth = 512

    private let resampling: Resampling?
    private let outputs: Int
    private let inputNorm, outputNorm: GroupNorm
    private let inputConvolution, outputConvolution: Convolution
    private let time: Linear
    private let shortcut: Convolution?

    init(_ path: String, inputs: Int, outputs: Int, resampling: Resampling? = nil) {
        (self.resampling, self.outputs) = (resampling, outputs)
        inputNorm = GroupNorm("\(path).norm1", channels: inputs)
        inputConvolution = Convolution("\(path).conv1", inputs: inputs, outputs: outputs, kernel: [3, 3])
        time = Linear("\(path).time", inputs: Self.timeWidth, outputs: 2 * outputs)
        outputNorm = GroupNorm("\(path).norm2", channels: outputs)
        outputConvolution = Convolution("\(path).conv2", inputs: outputs, outputs: outputs, kernel: [3, 3])
        shortcut =
            inputs == outputs
            ? nil : Convolution("\(path).shortcut", inputs: inputs, outputs: outputs, kernel: [1, 1])
    }

    var parameters: [Parameter] {
        inputNorm.parameters + inputConvolution.parameters + time.parameters + outputNorm.parameters
            + outputConvolution.parameters + (shortcut?.parameters ?? [])
    }

    func callAsFunction(_ x: GraphValue, time t: GraphValue) -> GraphValue {
        let resample = { (x: GraphValue) in
            switch resampling {
            case nil: x
            case .down: x.averagePooled()
            case .up: x.upsampled()
            }
        }
        var main = resample(inputNorm(x).silu())
        var side = resample(x)
        main = inputConvolution(main)
        let modulation = time(t.silu())
        main = outputNorm(main).modulated(
            scale: modulation.slice(axis: 1, 0..<outputs),
            shift: modulation.slice(axis: 1, outputs..<2 * outputs))
        main = outputConvolution(main.silu())
        if let shortcut { side = shortcut(side) }
        return (side + main)
    }
}

/// Self-attention of pixels, cross-attention to a style key, and a gated feed-forward network, with residuals.
struct TransformerLayer: Layer {
    static let (keyTokens, keyWidth, headChannels) = (3, 128, 64)

    private let width: Int
    private let norm: GroupNorm
    private let input, output: Convolution
    private let norms: [LayerNorm]
    /// Queries, keys, values and output of self-attention and of cross-attention.
    private let own, styled: [Linear]
    private let gate, forward: Linear

    init(width: Int) {
        self.width = width
        norm = GroupNorm("norm", channels: width, epsilon: 1e-6)
        input = Convolution("in", inputs: width, outputs: width, kernel: [1, 1])
        output = Convolution("out", inputs: width, outputs: width, kernel: [1, 1])
        norms = (1...3).map { LayerNorm("norm\($0)", width: width) }
        let attention = { (name: String, context: Int) in
            [("q", width), ("k", context), ("v", context), ("o", width)].map { part, inputs in
                Linear("\(name).\(part)", inputs: inputs, outputs: width, hasBias: part == "o")
            }
        }
        (own, styled) = (attention("own", width), attention("styled", Self.keyWidth))
        gate = Linear("gate", inputs: width, outputs: 8 * width)
        forward = Linear("forward", inputs: 4 * width, outputs: width)
    }

    var parameters: [Parameter] {
        norm.parameters + input.parameters + output.parameters + norms.flatMap(\.parameters)
            + (own + styled + [gate, forward]).flatMap(\.parameters)
    }

    func callAsFunction(_ x: GraphValue, key: GraphValue) -> GraphValue {
        let shape = x.shape
        let attend = { (parts: [Linear], x: GraphValue, context: GraphValue) in
            parts[3](
                parts[0](x).attention(
                    keys: parts[1](context), values: parts[2](context), heads: width / Self.headChannels))
        }
        let projected = input(norm(x))
        var h = projected.reshaped([1, width, shape[2] * shape[3]]).transposed()
        let normed = norms[0](h)
        h = (h + attend(own, normed, normed))
        h = (h + attend(styled, norms[1](h), key))
        let both = gate(norms[2](h))
        let product = (both.slice(axis: 2, 0..<4 * width) * both.slice(axis: 2, 4 * width..<8 * width).gelu())
        h = (h + forward(product))
        return (x + output(h.transposed().reshaped(shape)))
    }
}
