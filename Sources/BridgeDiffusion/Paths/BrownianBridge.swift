import Foundation

/// The Brownian bridge between a target x_0 and a source y (BBDM, arXiv 2205.07680; arXiv 2407.05059, eq. 1):
///
///     x_t = (1 - m_t) x_0 + m_t y + sqrt(delta_t) eps,      delta_t = 2 s (m_t - m_t²)
///
/// Sampling starts at the source: at t = T-1 the mean of x_t is almost y.
public struct BrownianBridge: StorablePath {
    /// How m_t grows from nearly 0 at t = 0 to nearly 1 at t = T-1.
    public enum Schedule: String, CaseIterable, Codable, Sendable {
        /// Evenly from 0.001 to 0.999.
        case linear
        /// As 1.0075^t, up to 0.999: slow at first, most of it at the end. (Its published name is "sin".)
        case sin
        /// As the first quarter of a sine: fast at first.
        case control
    }

    /// The name in files.
    public static let kind = "brownian_bridge"

    /// How m_t grows.
    public let schedule: Schedule

    /// s: the scale of the bridge's variance, 1 as published.
    public let varianceScale: Double

    /// m_t: how far the bridge has gone from the target to the source.
    private let progress: [Double]

    /// A bridge.
    ///
    /// - Parameters:
    ///   - trainingTimesteps: T, at least 3.
    ///   - schedule: how m_t grows.
    ///   - varianceScale: s, above zero.
    public init(
        trainingTimesteps: Int = 1000, schedule: Schedule = .linear, varianceScale: Double = 1
    ) {
        precondition(trainingTimesteps >= 3, "a bridge needs at least three timesteps")
        precondition(varianceScale > 0, "the variance must be above zero")
        (self.schedule, self.varianceScale) = (schedule, varianceScale)
        progress = schedule.progress(trainingTimesteps)
    }

    /// Number of timesteps T.
    public var trainingTimesteps: Int { progress.count }

    /// At the source.
    public var start: SamplingStart { .source }

    /// 1 - m_t, m_t and delta_t.
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

extension BrownianBridge {
    /// As published: T-1, then every (T-1)/(S-2) while above 1, then 1, 0.
    public var defaultSpacing: TimestepSpacing { .linear }

    /// As published, with eta = 0.
    public var defaultSolver: any Solver { .published() }

    private enum CodingKeys: String, CodingKey {
        case timesteps, schedule
        case varianceScale = "variance_scale"
    }

    /// Decodes a bridge; fields that are missing have the published value.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            trainingTimesteps: try fields.number(.timesteps, default: 1000, in: storedTimesteps),
            schedule: try fields.decodeIfPresent(Schedule.self, forKey: .schedule) ?? .linear,
            // Far beyond these, coefficients would be too large or too small for numbers.
            varianceScale: try fields.number(.varianceScale, default: 1, in: 1e-6...1e6))
    }

    /// Encodes the bridge.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(trainingTimesteps, forKey: .timesteps)
        try fields.encode(schedule, forKey: .schedule)
        try fields.encode(varianceScale, forKey: .varianceScale)
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
