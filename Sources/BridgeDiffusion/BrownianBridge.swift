import Foundation

/// The Brownian bridge between a target x_0 and a source y (BBDM, arXiv 2205.07680; arXiv 2407.05059, eq. 1):
///
///     x_t = (1 - m_t) x_0 + m_t y + sqrt(delta_t) eps,      delta_t = 2 s (m_t - m_t²)
///
/// Sampling starts at the source, which the last timestep nearly equals.
public struct BrownianBridge: GaussianPathScheduler {
    /// How m_t grows from nearly 0 at t = 0 to nearly 1 at t = T-1.
    public enum Schedule: String, CaseIterable, Codable, Sendable {
        /// Evenly from 0.001 to 0.999.
        case linear
        /// As 1.0075^t, up to 0.999: slow at first, most of it at the end. (Its published name is "sin".)
        case sin
        /// As the first quarter of a sine: fast at first.
        case control
    }

    /// The timesteps visited, descending.
    public let timesteps: [Int]
    /// How much of the posterior variance a reverse step takes out of its direction term.
    public let stepRule: StepRule

    /// m_t: how far the bridge has gone from the target to the source.
    private let progress: [Double]

    /// s: the scale of the bridge's variance, 1 as published.
    private let varianceScale: Double

    /// A bridge that visits `steps` timesteps.
    ///
    /// - Parameters:
    ///   - steps: number of timesteps visited; see ``TimestepSpacing``.
    ///   - spacing: how the timesteps lie; as published unless said otherwise.
    ///   - trainingTimesteps: T, at least 3.
    ///   - schedule: how m_t grows.
    ///   - varianceScale: s, above zero.
    ///   - stepRule: how a reverse step treats the posterior variance.
    public init(
        steps: Int, spacing: TimestepSpacing = .linear, trainingTimesteps: Int = 1000,
        schedule: Schedule = .linear, varianceScale: Double = 1, stepRule: StepRule = .reference
    ) {
        self.init(
            timesteps: spacing.timesteps(steps, of: trainingTimesteps),
            trainingTimesteps: trainingTimesteps, schedule: schedule, varianceScale: varianceScale,
            stepRule: stepRule)
    }

    /// A bridge that visits the given timesteps.
    ///
    /// - Parameter timesteps: at least one, strictly descending, from `0..<trainingTimesteps`.
    public init(
        timesteps: [Int], trainingTimesteps: Int = 1000, schedule: Schedule = .linear,
        varianceScale: Double = 1, stepRule: StepRule = .reference
    ) {
        precondition(trainingTimesteps >= 3, "a bridge needs at least three timesteps")
        precondition(varianceScale > 0, "the variance must be above zero")
        requireDescending(timesteps, within: trainingTimesteps)
        self.timesteps = timesteps
        self.stepRule = stepRule
        self.varianceScale = varianceScale
        progress = schedule.progress(trainingTimesteps)
    }

    /// T.
    public var trainingTimesteps: Int { progress.count }

    /// The source.
    public var start: SamplingStart { .source }

    /// a_t, b_t and s_t², as above.
    public func coefficients(at t: Int) -> PathCoefficients {
        let m = progress[t]
        return PathCoefficients(target: 1 - m, source: m, variance: 2 * varianceScale * (m - m * m))
    }

    /// With m for the time: v = y - x_0 + s'(m) eps, where s'(m) = s (1 - 2 m) / sqrt(delta_t).
    public func velocity(at t: Int) -> PathCombination {
        let m = progress[t]
        let deviation = coefficients(at: t).variance.squareRoot()
        return PathCombination(target: -1, source: 1, noise: varianceScale * (1 - 2 * m) / deviation)
    }
}

extension BrownianBridge.Schedule {
    /// m_t for t = 0 ... T-1.
    fileprivate func progress(_ count: Int) -> [Double] {
        switch self {
        case .linear: return evenlySpaced(count, from: 0.001, through: 0.999)
        case .sin:
            let growth = evenlySpaced(count, from: 0, through: Double(count)).map { pow(1.0075, $0) }
            return growth.dropLast().map { $0 / growth[count - 1] } + [0.999]
        case .control:
            return evenlySpaced(count, from: 0.001, through: 0.999).map { Foundation.sin($0 * .pi / 2) }
        }
    }
}
