/// The symmetric bridge between a target x_0 and a source y (I2SB, arXiv 2302.05872, proposition 3.3):
///
///     x_t = sigmabar_t² / (sigma_t² + sigmabar_t²) x_0 + sigma_t² / (sigma_t² + sigmabar_t²) y
///           + sqrt(sigma_t² sigmabar_t² / (sigma_t² + sigmabar_t²)) eps
///
/// where sigma_t² is the noise added from the start up to t, and sigmabar_t² that added from t to the end. The
/// noise grows to the middle of the path and falls again. Sampling starts at the source.
public struct SymmetricBridge: StorablePath {
    /// The name in files.
    public static let kind = "symmetric_bridge"

    /// beta_max.
    public let betaMax: Double

    /// sigma_t².
    private let forward: [Double]

    /// sigmabar_t².
    private let backward: [Double]

    /// A bridge.
    ///
    /// - Parameters:
    ///   - trainingTimesteps: T, at least 3.
    ///   - betaMax: beta_max, 0.3 as published: the square roots of beta_t rise evenly from that of 0.1/T towards
    ///     that of beta_max/T, half the way, and fall again.
    public init(trainingTimesteps: Int = 1000, betaMax: Double = 0.3) {
        precondition(trainingTimesteps >= 3, "a bridge needs at least three timesteps")
        precondition(betaMax > 0, "beta_max must be above zero")
        self.betaMax = betaMax
        let count = Double(trainingTimesteps)
        let rising = evenlySpaced(
            trainingTimesteps, from: (0.1 / count).squareRoot(), through: (betaMax / count).squareRoot()
        ).map { $0 * $0 }
        let half = rising.prefix(trainingTimesteps / 2)
        let middle = trainingTimesteps % 2 == 0 ? [] : [rising[trainingTimesteps / 2]]
        let betas = half + middle + half.reversed()
        forward = runningSum(betas)
        backward = runningSum(betas.reversed()).reversed()
    }

    /// Number of timesteps T.
    public var trainingTimesteps: Int { forward.count }

    /// At the source.
    public var start: SamplingStart { .source }

    /// The shares of x_0 and of y, and the variance, as above.
    public func coefficients(at t: Int) -> PathCoefficients {
        let sum = forward[t] + backward[t]
        return PathCoefficients(
            target: backward[t] / sum, source: forward[t] / sum, variance: forward[t] * backward[t] / sum)
    }

    /// With b_t, the share of the source, for the time: v = y - x_0 + s' eps.
    public func velocity(at t: Int) -> PathCombination {
        let path = coefficients(at: t)
        // s² = (sigma² + sigmabar²) b (1 - b), whose first factor hardly changes along the path.
        let slope = (forward[t] + backward[t]) * (1 - 2 * path.source) / (2 * path.variance.squareRoot())
        return PathCombination(target: -1, source: 1, noise: slope)
    }
}

extension SymmetricBridge {
    private enum CodingKeys: String, CodingKey {
        case timesteps
        case betaMax = "beta_max"
    }

    /// Decodes a bridge; fields that are missing have the published value.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            trainingTimesteps: try fields.number(.timesteps, default: 1000, in: storedTimesteps),
            betaMax: try fields.number(.betaMax, default: 0.3, in: 1e-3...100))
    }

    /// Encodes the bridge.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(trainingTimesteps, forKey: .timesteps)
        try fields.encode(betaMax, forKey: .betaMax)
    }
}

private func runningSum(_ values: some Sequence<Double>) -> [Double] {
    var sum = 0.0
    return values.map { value in
        sum += value
        return sum
    }
}
