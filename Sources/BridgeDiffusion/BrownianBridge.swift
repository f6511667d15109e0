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

    /// The timesteps that sampling visits, descending.
    public let timesteps: [Int]

    /// How a reverse step treats the posterior variance.
    public let stepRule: StepRule

    /// m_t: how far the bridge has gone from the target to the source.
    private let progress: [Double]

    /// s: the scale of the bridge's variance, 1 as published.
    private let varianceScale: Double

    /// A bridge that visits `steps` timesteps, spaced as published (see ``linearTimesteps(_:of:)``).
    ///
    /// - Parameters:
    ///   - steps: number of timesteps visited, 3 to `trainingTimesteps`.
    ///   - trainingTimesteps: T, at least 3.
    ///   - schedule: how m_t grows.
    ///   - varianceScale: s, above zero.
    ///   - stepRule: how a reverse step treats the posterior variance.
    public init(
        steps: Int, trainingTimesteps: Int = 1000, schedule: Schedule = .linear, varianceScale: Double = 1,
        stepRule: StepRule = .reference
    ) {
        self.init(
            timesteps: Self.linearTimesteps(steps, of: trainingTimesteps),
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
        precondition(
            !timesteps.isEmpty && zip(timesteps, timesteps.dropFirst()).allSatisfy(>)
                && timesteps[0] < trainingTimesteps && timesteps.last! >= 0,
            "the timesteps must descend strictly within 0..<\(trainingTimesteps)")
        self.timesteps = timesteps
        self.stepRule = stepRule
        self.varianceScale = varianceScale
        progress = schedule.progress(trainingTimesteps)
    }

    /// T.
    public var trainingTimesteps: Int { progress.count }

    /// 1 - m_t, m_t and delta_t.
    ///
    /// - Precondition: `t` is from `0..<trainingTimesteps`.
    public func coefficients(at t: Int) -> PathCoefficients {
        let m = progress[t]
        return PathCoefficients(target: 1 - m, source: m, variance: 2 * varianceScale * (m - m * m))
    }

    /// The timesteps of the public implementation: T-1, then every (T-1)/(S-2) while above 1, then 1 and 0.
    ///
    /// For some counts near T, rounding meets a timestep twice; it is then visited once, so that the list is
    /// one shorter than asked for.
    ///
    /// - Precondition: `3 <= count <= T`.
    public static func linearTimesteps(_ count: Int, of trainingTimesteps: Int) -> [Int] {
        precondition(
            (3...max(3, trainingTimesteps)).contains(count),
            "\(count) steps cannot be visited of \(trainingTimesteps): 3 to \(trainingTimesteps) can")
        let last = Double(trainingTimesteps - 1)
        let stride = last / Double(count - 2)
        var timesteps: [Int] = []
        // The number of terms of last, last - stride, ... that are above 1.
        for index in 0..<Int(((last - 1) / stride).rounded(.up)) {
            // Rounded to single precision before it is cut off, as published.
            let t = Int(Float(last - Double(index) * stride))
            if t > 1 { timesteps.append(t) }
        }
        return timesteps + [1, 0]
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

private func evenlySpaced(_ count: Int, from first: Double, through last: Double) -> [Double] {
    let step = (last - first) / Double(count - 1)
    return (0..<count - 1).map { first + Double($0) * step } + [last]
}
