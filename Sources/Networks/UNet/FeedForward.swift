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
    func callAsFunction<A: LayerArithmetic>(_ x: A.Value, with arithmetic: A) -> A.Value {
        let both = projection(x, with: arithmetic)
        let value = arithmetic.slice(both, axis: 2, 0..<inner)
        let gate = arithmetic.slice(both, axis: 2, inner..<2 * inner)
        return output(arithmetic.product(value, arithmetic.gelu(gate)), with: arithmetic)
    }
}
