/// Group normalisation over 32 groups of channels: `[batch, channels, ...]` to the same shape.
public struct GroupNorm: Layer {
    /// How many groups the channels fall into.
    public static let groups = 32

    /// The scale of each channel, `[channels]`.
    public let weight: Parameter

    /// The shift of each channel, `[channels]`.
    public let bias: Parameter

    /// Added to the variance.
    public let epsilon: Float

    /// A normalisation whose parameters are `path.weight` and `path.bias`.
    ///
    /// - Parameters:
    ///   - path: what the parameters' names begin with.
    ///   - channels: a multiple of `groups`.
    ///   - epsilon: what is added to the variance.
    public init(_ path: String, channels: Int, epsilon: Float = 1e-5) {
        weight = Parameter("\(path).weight", [channels])
        bias = Parameter("\(path).bias", [channels])
        self.epsilon = epsilon
    }

    /// The weight, then the bias.
    public var parameters: [Parameter] { [weight, bias] }

    /// `[batch, channels, ...]` to the same shape.
    public func callAsFunction<A: LayerArithmetic>(_ x: A.Value, with arithmetic: A) -> A.Value {
        arithmetic.apply(self, to: x)
    }
}
