/// The straight path between data and noise (rectified flow, arXiv 2209.03003; flow matching, arXiv 2210.02747):
///
///     x_u = (1 - u) x_0 + u eps,      u = (t + 1) / T
///
/// Sampling starts at noise, where u = 1. The source is a condition of the denoiser, and no part of the path.
public struct RectifiedFlow: StorablePath {
    /// The name in files.
    public static let kind = "rectified_flow"

    /// Number of timesteps T.
    public let trainingTimesteps: Int

    /// A flow.
    ///
    /// - Parameter trainingTimesteps: T, at least 2: how finely the time from 0 to 1 is divided.
    public init(trainingTimesteps: Int = 1000) {
        precondition(trainingTimesteps >= 2, "a flow needs at least two timesteps")
        self.trainingTimesteps = trainingTimesteps
    }

    /// At noise.
    public var start: SamplingStart { .noise }

    /// 1 - u, 0 and u².
    public func coefficients(at t: Int) -> PathCoefficients {
        let time = time(t)
        return PathCoefficients(target: 1 - time, source: 0, variance: time * time)
    }

    /// v = eps - x_0.
    public func velocity(at t: Int) -> PathCombination { PathCombination(target: -1, noise: 1) }

    /// u.
    private func time(_ t: Int) -> Double { Double(t + 1) / Double(trainingTimesteps) }
}

extension RectifiedFlow {
    private enum CodingKeys: String, CodingKey { case timesteps }

    /// Decodes a flow; T is 1000 where it is missing.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(trainingTimesteps: try fields.number(.timesteps, default: 1000, in: storedTimesteps))
    }

    /// Encodes the flow.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(trainingTimesteps, forKey: .timesteps)
    }
}
