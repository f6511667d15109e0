/// Layer normalisation along the last axis: `[..., width]` to the same shape.
public struct LayerNorm: Layer {
    /// The scale of each place in a row, `[width]`.
    public let weight: Parameter

    /// The shift of each place in a row, `[width]`.
    public let bias: Parameter

    /// Added to the variance.
    public let epsilon: Float

    /// A normalisation whose parameters are `path.weight` and `path.bias`.
    public init(_ path: String, width: Int, epsilon: Float = 1e-5) {
        weight = Parameter("\(path).weight", [width])
        bias = Parameter("\(path).bias", [width])
        self.epsilon = epsilon
    }

    /// The weight, then the bias.
    public var parameters: [Parameter] { [weight, bias] }

    /// `[..., width]` to the same shape.
    public func callAsFunction<A: LayerArithmetic>(_ x: A.Value, with arithmetic: A) -> A.Value {
        arithmetic.apply(self, to: x)
    }
}
