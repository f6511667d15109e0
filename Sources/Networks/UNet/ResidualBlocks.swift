import Foundation
import TensorFiles

/// The embedding of the timestep: `[batch, width]` sinusoids to `[batch, 4 width]`.
struct TimeEmbedding: Layer {
    let width: Int
    let first, second: Linear

    /// Parameters `path.0` and `path.2`.
    init(_ path: String, width: Int) {
        self.width = width
        first = Linear("\(path).0", inputs: width, outputs: 4 * width)
        second = Linear("\(path).2", inputs: 4 * width, outputs: 4 * width)
    }

    var parameters: [Parameter] { first.parameters + second.parameters }

    /// `[batch, width]` from `sinusoids(of:)` to `[batch, 4 width]`.
    func callAsFunction(_ sinusoids: GraphValue) -> GraphValue { second(first(sinusoids).silu()) }

    /// `cos(f_k t)` for each of width / 2 frequencies, then `sin(f_k t)`: `[batch, width]`.
    ///
    /// `f_k = 10000^(-k / (width / 2))` and the angles are rounded to `Float`, as they were when the weights were
    /// trained: at t = 1000 a finer angle would be a different input.
    ///
    /// Vaswani et al.: *Attention Is All You Need*, arXiv 1706.03762, section 3.5.
    func sinusoids(of timesteps: [Float]) -> Tensor {
        let half = width / 2
        let frequencies = (0..<half).map { exp(Float(-log(10_000.0)) * Float($0) / Float(half)) }
        let values = timesteps.flatMap { time in
            let angles = frequencies.map { time * $0 }
            return angles.map { cos($0) } + angles.map { sin($0) }
        }
        return Tensor(shape: [timesteps.count, width], values: values)
    }
}

/// How many spatial axes the images of a U-Net have, and how many groups its normalisations.
struct UNetSpace {
    var axes = 2
    var groups = GroupNorm.publishedGroups

    /// A kernel of one extent along every axis.
    func kernel(_ extent: Int) -> [Int] { [Int](repeating: extent, count: axes) }
}

/// Halves or doubles the resolution: `[batch, channels, ...]` to half or twice the extent of each spatial axis.
struct Resampling: Layer {
    enum Direction { case down, up }

    let direction: Direction
    let convolution: Convolution?

    /// The mean of neighbouring pixels, or each pixel repeated: no parameters.
    init(_ direction: Direction) {
        self.direction = direction
        convolution = nil
    }

    /// Down, a convolution of stride 2, `path.op`; up, each pixel repeated and then a convolution, `path.conv`.
    init(_ direction: Direction, convolvedAt path: String, channels: Int, space: UNetSpace) {
        self.direction = direction
        let kernel = space.kernel(3)
        convolution =
            switch direction {
            case .down:
                Convolution(
                    "\(path).op", inputs: channels, outputs: channels, kernel: kernel, stride: space.kernel(2))
            case .up: Convolution("\(path).conv", inputs: channels, outputs: channels, kernel: kernel)
            }
    }

    var parameters: [Parameter] { convolution?.parameters ?? [] }

    /// `[batch, channels, ...]` to half or twice the extent of each spatial axis.
    func callAsFunction(_ x: GraphValue) -> GraphValue {
        switch (direction, convolution) {
        case (.down, nil): x.averagePooled()
        case (.down, let convolution?): convolution(x)
        case (.up, nil): x.upsampled()
        case (.up, let convolution?): convolution(x.upsampled())
        }
    }
}

/// Two convolutions beside a shortcut, modulated by the time embedding:
/// `[batch, inputs, ...]` to `[batch, outputs, ...]`, or half or twice the extents.
///
/// Dhariwal, Nichol: *Diffusion Models Beat GANs on Image Synthesis*, arXiv 2105.05233, section 3.
struct ResidualBlock: Layer {
    let inputNorm: GroupNorm
    let resampling: Resampling?
    let inputConvolution: Convolution
    let embedding: Linear
    let scalesAndShifts: Bool
    let outputNorm: GroupNorm
    let outputConvolution: Convolution
    let shortcut: Convolution?
    let outputs: Int

    /// Parameters `path.in_layers.{0,2}`, `path.emb_layers.1`, `path.out_layers.{0,3}`, and
    /// `path.skip_connection` where inputs and outputs differ.
    ///
    /// - Parameters:
    ///   - embeddingWidth: width of the time embedding.
    ///   - scalesAndShifts: whether the embedding gives a scale and a shift, or is added.
    ///   - resampling: a change of resolution, of both branches, before the first convolution.
    init(
        _ path: String, inputs: Int, outputs: Int, embeddingWidth: Int, scalesAndShifts: Bool, space: UNetSpace,
        resampling: Resampling? = nil
    ) {
        self.outputs = outputs
        self.scalesAndShifts = scalesAndShifts
        self.resampling = resampling
        inputNorm = GroupNorm("\(path).in_layers.0", channels: inputs, groups: space.groups)
        inputConvolution = Convolution(
            "\(path).in_layers.2", inputs: inputs, outputs: outputs, kernel: space.kernel(3))
        embedding = Linear(
            "\(path).emb_layers.1", inputs: embeddingWidth, outputs: scalesAndShifts ? 2 * outputs : outputs)
        outputNorm = GroupNorm("\(path).out_layers.0", channels: outputs, groups: space.groups)
        outputConvolution = Convolution(
            "\(path).out_layers.3", inputs: outputs, outputs: outputs, kernel: space.kernel(3))
        shortcut =
            inputs == outputs
            ? nil
            : Convolution(
                "\(path).skip_connection", inputs: inputs, outputs: outputs, kernel: space.kernel(1))
    }

    var parameters: [Parameter] {
        inputNorm.parameters + inputConvolution.parameters + embedding.parameters + outputNorm.parameters
            + outputConvolution.parameters + (shortcut?.parameters ?? [])
    }

    /// `[batch, inputs, ...]`, with the time embedding as `[batch, embedding width]`.
    func callAsFunction(_ x: GraphValue, time: GraphValue) -> GraphValue {
        var main = inputNorm(x).silu()
        var side = x
        if let resampling {
            main = resampling(main)
            side = resampling(side)
        }
        main = inputConvolution(main)
        let modulation = embedding(time.silu())
        if scalesAndShifts {
            main = outputNorm(main).modulated(
                scale: modulation.slice(axis: 1, 0..<outputs),
                shift: modulation.slice(axis: 1, outputs..<2 * outputs))
        } else {
            main = outputNorm(main.shifted(by: modulation))
        }
        main = outputConvolution(main.silu())
        if let shortcut { side = shortcut(side) }
        return side + main
    }
}
