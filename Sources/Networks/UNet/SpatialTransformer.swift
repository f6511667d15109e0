/// A transformer over the pixels of an image that looks at the style key, added to the image:
/// `[batch, channels, rows, columns]` to the same shape.
///
/// Rombach et al.: *High-Resolution Image Synthesis with Latent Diffusion Models*, arXiv 2112.10752,
/// section 3.3 and appendix E.2.1.
struct SpatialTransformer: Layer {
    let norm: GroupNorm
    let input, output: Convolution
    let block: TransformerBlock

    /// Parameters `path.norm`, `path.proj_in`, `path.transformer_blocks.0` and `path.proj_out`.
    init(_ path: String, channels: Int, headChannels: Int, contextWidth: Int) {
        norm = GroupNorm("\(path).norm", channels: channels, epsilon: 1e-6)
        input = Convolution("\(path).proj_in", inputs: channels, outputs: channels, kernel: [1, 1])
        block = TransformerBlock(
            "\(path).transformer_blocks.0", width: channels, contextWidth: contextWidth,
            heads: channels / headChannels)
        output = Convolution("\(path).proj_out", inputs: channels, outputs: channels, kernel: [1, 1])
    }

    var parameters: [Parameter] {
        norm.parameters + input.parameters + block.parameters + output.parameters
    }

    /// `[batch, channels, rows, columns]`, with the style key as `[batch, key tokens, context width]`.
    func callAsFunction<A: LayerArithmetic>(_ x: A.Value, key: A.Value, with arithmetic: A) -> A.Value {
        let shape = arithmetic.shape(of: x)
        let pixels = shape[2...].reduce(1, *)
        let projected = input(norm(x, with: arithmetic), with: arithmetic)
        let tokens = arithmetic.transposed(arithmetic.reshaped(projected, [shape[0], shape[1], pixels]))
        let styled = arithmetic.transposed(block(tokens, key: key, with: arithmetic))
        return arithmetic.sum(x, output(arithmetic.reshaped(styled, shape), with: arithmetic))
    }
}
