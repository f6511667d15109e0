/// Self-attention, attention to the style key, and a feed-forward network, each added to what it is given:
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
    func callAsFunction<A: LayerArithmetic>(_ x: A.Value, key: A.Value, with arithmetic: A) -> A.Value {
        let own = selfNorm(x, with: arithmetic)
        let x = arithmetic.sum(x, selfAttention(own, context: own, with: arithmetic))
        let styled = keyAttention(keyNorm(x, with: arithmetic), context: key, with: arithmetic)
        let y = arithmetic.sum(x, styled)
        return arithmetic.sum(y, feedForward(forwardNorm(y, with: arithmetic), with: arithmetic))
    }
}
