/// A linear map of the last axis: `y = x W^T + b`, `[..., inputs]` to `[..., outputs]`.
public struct Linear: Layer {
    /// W, `[outputs, inputs]`.
    public let weight: Parameter

    /// b, `[outputs]`, where the map has one.
    public let bias: Parameter?

    /// A linear map whose parameters are `path.weight` and, unless `hasBias` is false, `path.bias`.
    public init(_ path: String, inputs: Int, outputs: Int, hasBias: Bool = true) {
        weight = Parameter("\(path).weight", [outputs, inputs])
        bias = hasBias ? Parameter("\(path).bias", [outputs]) : nil
    }

    /// The weight, then the bias where there is one.
    public var parameters: [Parameter] { [weight] + (bias.map { [$0] } ?? []) }

    /// `[..., inputs]` to `[..., outputs]`.
    public func callAsFunction<A: LayerArithmetic>(_ x: A.Value, with arithmetic: A) -> A.Value {
        arithmetic.apply(self, to: x)
    }
}
