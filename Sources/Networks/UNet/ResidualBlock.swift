/// Two convolutions beside a shortcut, told the time in between:
/// `[batch, inputs, rows, columns]` to `[batch, outputs, rows, columns]`, or half or twice the rows and columns.
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
        _ path: String, inputs: Int, outputs: Int, embeddingWidth: Int, scalesAndShifts: Bool,
        resampling: Resampling? = nil
    ) {
        self.outputs = outputs
        self.scalesAndShifts = scalesAndShifts
        self.resampling = resampling
        inputNorm = GroupNorm("\(path).in_layers.0", channels: inputs)
        inputConvolution = Convolution("\(path).in_layers.2", inputs: inputs, outputs: outputs, kernel: [3, 3])
        embedding = Linear(
            "\(path).emb_layers.1", inputs: embeddingWidth, outputs: scalesAndShifts ? 2 * outputs : outputs)
        outputNorm = GroupNorm("\(path).out_layers.0", channels: outputs)
        outputConvolution = Convolution(
            "\(path).out_layers.3", inputs: outputs, outputs: outputs, kernel: [3, 3])
        shortcut =
            inputs == outputs
            ? nil : Convolution("\(path).skip_connection", inputs: inputs, outputs: outputs, kernel: [1, 1])
    }

    var parameters: [Parameter] {
        inputNorm.parameters + inputConvolution.parameters + embedding.parameters + outputNorm.parameters
            + outputConvolution.parameters + (shortcut?.parameters ?? [])
    }

    /// `[batch, inputs, rows, columns]`, with the time as `[batch, embedding width]`.
    func callAsFunction<A: LayerArithmetic>(_ x: A.Value, time: A.Value, with arithmetic: A) -> A.Value {
        var main = arithmetic.silu(inputNorm(x, with: arithmetic))
        var side = x
        if let resampling {
            main = resampling(main, with: arithmetic)
            side = resampling(side, with: arithmetic)
        }
        main = inputConvolution(main, with: arithmetic)
        let told = embedding(arithmetic.silu(time), with: arithmetic)
        if scalesAndShifts {
            main = arithmetic.modulated(
                outputNorm(main, with: arithmetic),
                scale: arithmetic.slice(told, axis: 1, 0..<outputs),
                shift: arithmetic.slice(told, axis: 1, outputs..<2 * outputs))
        } else {
            main = outputNorm(arithmetic.shifted(main, by: told), with: arithmetic)
        }
        main = outputConvolution(arithmetic.silu(main), with: arithmetic)
        if let shortcut { side = shortcut(side, with: arithmetic) }
        return arithmetic.sum(side, main)
    }
}
