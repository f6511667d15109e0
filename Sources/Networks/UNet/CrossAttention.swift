/// Tokens attending to a context: `[batch, tokens, width]` and `[batch, context tokens, context width]` to
/// `[batch, tokens, width]`. With itself for context it is self-attention.
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

    var parameters: [Parameter] {
        queries.parameters + keys.parameters + values.parameters + output.parameters
    }

    /// `[batch, tokens, width]` and `[batch, context tokens, context width]` to `[batch, tokens, width]`.
    func callAsFunction<A: LayerArithmetic>(_ x: A.Value, context: A.Value, with arithmetic: A) -> A.Value {
        let attended = arithmetic.attention(
            queries: queries(x, with: arithmetic), keys: keys(context, with: arithmetic),
            values: values(context, with: arithmetic), heads: heads)
        return output(attended, with: arithmetic)
    }
}
