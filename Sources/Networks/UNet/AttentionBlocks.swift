/// Tokens attending to a context: `[batch, tokens, width]` and `[batch, context tokens, context width]` to
/// `[batch, tokens, width]`. With the tokens themselves for context it is self-attention.
struct CrossAttention: Layer {
    let heads: Int
    let queries, keys, values, output: Linear

    /// Parameters `path.to_q`, `path.to_k`, `path.to_v` and `path.to_out.0`.
    init(_ path: String, width: Int, contextWidth: Int, heads: Int) {
        self.heads = heads
        queries = Linear("\(path).to_q", inputs: width, outputs: width, hasBias: false)
        keys = Linear("\(path).to_k", inputs: contextWidth, outputs: width, hasBias: false)
        values = Linear("\(path).to_v", inputs: contextWidth, outputs: width, hasBias: false)
        output = Linear("\(path).to_out.0", inputs: width, outputs: width)
    }

    var parameters: [Parameter] { queries.parameters + keys.parameters + values.parameters + output.parameters }

    /// `[batch, tokens, width]` and `[batch, context tokens, context width]` to `[batch, tokens, width]`.
    func callAsFunction(_ x: GraphValue, context: GraphValue) -> GraphValue {
        output(queries(x).attention(keys: keys(context), values: values(context), heads: heads))
    }
}

/// A gated two-layer network, token by token: `[batch, tokens, width]` to the same shape.
///
/// `value GELU(gate)`, each 4 width wide; the value is the first half of the projection.
/// Shazeer: *GLU Variants Improve Transformer*, arXiv 2002.05202, equation 6.
struct FeedForward: Layer {
    let inner: Int
    let projection, output: Linear

    /// Parameters `path.net.0.proj` and `path.net.2`.
    init(_ path: String, width: Int) {
        inner = 4 * width
        projection = Linear("\(path).net.0.proj", inputs: width, outputs: 2 * inner)
        output = Linear("\(path).net.2", inputs: inner, outputs: width)
    }

    var parameters: [Parameter] { projection.parameters + output.parameters }

    /// `[batch, tokens, width]` to the same shape.
    func callAsFunction(_ x: GraphValue) -> GraphValue {
        let both = projection(x)
        let (value, gate) = (both.slice(axis: 2, 0..<inner), both.slice(axis: 2, inner..<2 * inner))
        return output(value * gate.gelu())
    }
}

/// Self-attention, attention to the style key, and a feed-forward network, each added to its own input:
/// `[batch, tokens, width]` to the same shape.
struct TransformerBlock: Layer {
    let selfNorm, keyNorm, forwardNorm: LayerNorm
    let selfAttention, keyAttention: CrossAttention
    let feedForward: FeedForward

    /// Parameters `path.norm1`, `path.attn1`, `path.norm2`, `path.attn2`, `path.norm3` and `path.ff`.
    init(_ path: String, width: Int, contextWidth: Int, heads: Int) {
        selfNorm = LayerNorm("\(path).norm1", width: width)
        selfAttention = CrossAttention("\(path).attn1", width: width, contextWidth: width, heads: heads)
        keyNorm = LayerNorm("\(path).norm2", width: width)
        keyAttention = CrossAttention("\(path).attn2", width: width, contextWidth: contextWidth, heads: heads)
        forwardNorm = LayerNorm("\(path).norm3", width: width)
        feedForward = FeedForward("\(path).ff", width: width)
    }

    var parameters: [Parameter] {
        selfNorm.parameters + selfAttention.parameters + keyNorm.parameters + keyAttention.parameters
            + forwardNorm.parameters + feedForward.parameters
    }

    /// `[batch, tokens, width]`, with the style key as `[batch, key tokens, context width]`.
    func callAsFunction(_ x: GraphValue, key: GraphValue) -> GraphValue {
        let own = selfNorm(x)
        let x = x + selfAttention(own, context: own)
        let y = x + keyAttention(keyNorm(x), context: key)
        return y + feedForward(forwardNorm(y))
    }
}

/// A transformer over the pixels of an image that attends to the style key, or another context, added to the image:
/// `[batch, channels, ...]` to the same shape.
///
/// Rombach et al.: *High-Resolution Image Synthesis with Latent Diffusion Models*, arXiv 2112.10752,
/// section 3.3 and appendix E.2.1.
struct SpatialTransformer: Layer {
    let norm: GroupNorm
    let input, output: Convolution
    let block: TransformerBlock

    /// Parameters `path.norm`, `path.proj_in`, `path.transformer_blocks.0` and `path.proj_out`.
    init(_ path: String, channels: Int, headChannels: Int, contextWidth: Int, space: UNetSpace) {
        norm = GroupNorm("\(path).norm", channels: channels, groups: space.groups, epsilon: 1e-6)
        input = Convolution(
            "\(path).proj_in", inputs: channels, outputs: channels, kernel: space.kernel(1))
        block = TransformerBlock(
            "\(path).transformer_blocks.0", width: channels, contextWidth: contextWidth,
            heads: channels / headChannels)
        output = Convolution(
            "\(path).proj_out", inputs: channels, outputs: channels, kernel: space.kernel(1))
    }

    var parameters: [Parameter] { norm.parameters + input.parameters + block.parameters + output.parameters }

    /// `[batch, channels, ...]`, with the style key as `[batch, key tokens, context width]`.
    func callAsFunction(_ x: GraphValue, key: GraphValue) -> GraphValue {
        let pixels = x.shape[2...].reduce(1, *)
        let tokens = input(norm(x)).reshaped([x.shape[0], x.shape[1], pixels]).transposed()
        return x + output(block(tokens, key: key).transposed().reshaped(x.shape))
    }
}

/// Attention among the pixels of an image, added to it: `[batch, channels, ...]` to the same shape.
///
/// One convolution gives queries, keys and values; each head's three are neighbours among its outputs.
struct SelfAttention: Layer {
    let heads, headChannels: Int
    let norm: GroupNorm
    let queriesKeysValues: Convolution
    let output: Convolution

    /// Parameters `path.norm`, `path.qkv` and `path.proj_out`, whose kernels have one axis, the pixels.
    init(_ path: String, channels: Int, headChannels: Int, groups: Int) {
        self.headChannels = headChannels
        heads = channels / headChannels
        norm = GroupNorm("\(path).norm", channels: channels, groups: groups)
        queriesKeysValues = Convolution("\(path).qkv", inputs: channels, outputs: 3 * channels, kernel: [1])
        output = Convolution("\(path).proj_out", inputs: channels, outputs: channels, kernel: [1])
    }

    var parameters: [Parameter] { norm.parameters + queriesKeysValues.parameters + output.parameters }

    /// `[batch, channels, ...]` to the same shape.
    func callAsFunction(_ x: GraphValue) -> GraphValue {
        let (batch, channels, pixels) = (x.shape[0], x.shape[1], x.shape[2...].reduce(1, *))
        let flat = x.reshaped([batch, channels, pixels])
        let perHead = queriesKeysValues(norm(flat)).transposed()
            .reshaped([batch, pixels, heads, 3 * headChannels])
        let third = { (index: Int) in
            perHead.slice(axis: 3, index * headChannels..<(index + 1) * headChannels)
                .reshaped([batch, pixels, channels])
        }
        let attended = third(0).attention(keys: third(1), values: third(2), heads: heads)
        return (flat + output(attended.transposed())).reshaped(x.shape)
    }
}
