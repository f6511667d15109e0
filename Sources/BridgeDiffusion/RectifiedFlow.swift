/// The straight path between data and noise (rectified flow, arXiv 2209.03003; flow matching, arXiv 2210.02747):
///
///     x_u = (1 - u) x_0 + u eps,      u = (t + 1) / T
///
/// Sampling starts at noise, where u = 1. The source is a condition of the denoiser, and no part of the path.
public struct RectifiedFlow: GaussianPathScheduler {
    /// Number of timesteps T.
    public let trainingTimesteps: Int

    /// The timesteps visited, descending.
    public let timesteps: [Int]

    /// How a reverse step treats the posterior variance.
    public let stepRule: StepRule

    /// A flow that visits `steps` timesteps.
    ///
    /// - Parameters:
    ///   - steps: number of timesteps visited; see ``TimestepSpacing``.
    ///   - spacing: how the timesteps lie.
    ///   - trainingTimesteps: T, at least 2: how finely the time from 0 to 1 is divided.
    ///   - stepRule: how a reverse step treats the posterior variance.
    public init(
        steps: Int, spacing: TimestepSpacing = .uniform, trainingTimesteps: Int = 1000,
        stepRule: StepRule = .marginalPreserving
    ) {
        self.init(
            timesteps: spacing.timesteps(steps, of: trainingTimesteps), trainingTimesteps: trainingTimesteps,
            stepRule: stepRule)
    }

    /// A flow that visits the given timesteps.
    ///
    /// - Parameters:
    ///   - timesteps: at least one, strictly descending, from `0..<trainingTimesteps`.
    ///   - trainingTimesteps: T, at least 2.
    ///   - stepRule: how a reverse step treats the posterior variance.
    public init(
        timesteps: [Int], trainingTimesteps: Int = 1000, stepRule: StepRule = .marginalPreserving
    ) {
        precondition(trainingTimesteps >= 2, "a flow needs at least two timesteps")
        requireDescending(timesteps, within: trainingTimesteps)
        self.trainingTimesteps = trainingTimesteps
        self.timesteps = timesteps
        self.stepRule = stepRule
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
