/// The mapping from source to target in one step, as a path of a single timestep whose x_t is the source:
///
///     x_0 = y - r(y)        or        x_0 = f(y)
///
/// A network is evaluated once. Trained with an L1 loss and the prediction type ``PredictionType/sample`` it is a
/// regression, and with a discriminator beside it a conditional generative adversarial network (Isola et al., arXiv
/// 1611.07004). Both are what bridges and diffusions are measured against.
///
/// x_t has no noise, so that there is no velocity and no score, and a network cannot predict noise. The prediction types
/// ``PredictionType/gradient`` and ``PredictionType/difference`` are one and the same, the residual y - x_0.
public struct DirectMapping: StorablePath {
    /// The name in files.
    public static let kind = "direct"

    /// The mapping.
    public init() {}

    /// One.
    public var trainingTimesteps: Int { 1 }

    /// At the source.
    public var start: SamplingStart { .source }

    /// 0, 1 and 0: the source.
    public func coefficients(at t: Int) -> PathCoefficients {
        PathCoefficients(target: 0, source: 1, variance: 0)
    }

    /// y - x_0, from which no estimate of x_0 follows by way of x_t.
    public func velocity(at t: Int) -> PathCombination { PathCombination(target: -1, source: 1) }
}

extension DirectMapping {
    private enum CodingKeys: CodingKey {}

    /// Decodes the mapping, which has no fields.
    public init(from decoder: any Decoder) throws { _ = try decoder.container(keyedBy: CodingKeys.self) }

    /// Encodes the mapping, which has no fields.
    public func encode(to encoder: any Encoder) throws { _ = encoder.container(keyedBy: CodingKeys.self) }
}
