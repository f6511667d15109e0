import Foundation

/// The diffusion of denoising models (DDPM, arXiv 2006.11239; DDIM, arXiv 2010.02502):
///
///     x_t = sqrt(alphabar_t) x_0 + sqrt(1 - alphabar_t) eps
///
/// Sampling starts at noise. The source is no part of the path: a denoiser sees it as a condition, in the channels
/// beside the noisy slices (Palette, arXiv 2111.05826). ``Solver/ddim(eta:)`` samples it as
/// DDIM, and with eta = 1 as DDPM.
public struct GaussianDiffusion: StorablePath {
    /// How much noise each timestep adds: beta_t.
    public enum Schedule: Hashable, Sendable {
        /// Evenly between two values: 0.0001 to 0.02 in DDPM.
        case linear(from: Double = 1e-4, through: Double = 0.02)
        /// Evenly in the square root between two values: 0.00085 to 0.012 in latent diffusion
        /// (arXiv 2112.10752).
        case scaledLinear(from: Double = 0.00085, through: Double = 0.012)
        /// So that alphabar falls as a squared cosine, with beta at most 0.999 (arXiv 2102.09672, eq. 17).
        case cosine
    }

    /// The name in files.
    public static let kind = "diffusion"

    /// beta_t.
    public let schedule: Schedule

    /// alphabar_t.
    private let alphaBar: [Double]

    /// A diffusion.
    ///
    /// - Parameters:
    ///   - trainingTimesteps: T, at least 2.
    ///   - schedule: beta_t.
    public init(trainingTimesteps: Int = 1000, schedule: Schedule = .linear()) {
        precondition(trainingTimesteps >= 2, "a diffusion needs at least two timesteps")
        self.schedule = schedule
        var product = 1.0
        alphaBar = schedule.betas(trainingTimesteps).map { beta in
            precondition(beta > 0 && beta < 1, "every beta must lie between 0 and 1")
            product *= 1 - beta
            return product
        }
    }

    /// Number of timesteps T.
    public var trainingTimesteps: Int { alphaBar.count }

    /// At noise.
    public var start: SamplingStart { .noise }

    /// sqrt(alphabar_t), 0 and 1 - alphabar_t.
    public func coefficients(at t: Int) -> PathCoefficients {
        PathCoefficients(target: alphaBar[t].squareRoot(), source: 0, variance: 1 - alphaBar[t])
    }

    /// With the angle whose cosine is a_t for the time: v = a_t eps - s_t x_0.
    public func velocity(at t: Int) -> PathCombination {
        PathCombination(target: -(1 - alphaBar[t]).squareRoot(), noise: alphaBar[t].squareRoot())
    }
}

extension GaussianDiffusion {
    private enum CodingKeys: String, CodingKey {
        case timesteps, schedule
        case betaStart = "beta_start"
        case betaEnd = "beta_end"
    }

    private enum ScheduleName: String, CaseIterable, Codable {
        case linear, cosine
        case scaledLinear = "scaled_linear"
    }

    /// Decodes a diffusion; fields that are missing have the schedule's published value.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let name = try fields.decodeIfPresent(ScheduleName.self, forKey: .schedule) ?? .linear
        func betas(_ first: Double, _ last: Double) throws -> (Double, Double) {
            (
                try fields.number(.betaStart, default: first, in: 1e-9...0.999),
                try fields.number(.betaEnd, default: last, in: 1e-9...0.999)
            )
        }
        let schedule: Schedule
        switch name {
        case .linear:
            let (first, last) = try betas(1e-4, 0.02)
            schedule = .linear(from: first, through: last)
        case .scaledLinear:
            let (first, last) = try betas(0.00085, 0.012)
            schedule = .scaledLinear(from: first, through: last)
        case .cosine: schedule = .cosine
        }
        self.init(
            trainingTimesteps: try fields.number(.timesteps, default: 1000, in: storedTimesteps),
            schedule: schedule)
    }

    /// Encodes the diffusion.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(trainingTimesteps, forKey: .timesteps)
        switch schedule {
        case .linear(let first, let last), .scaledLinear(let first, let last):
            var name = ScheduleName.linear
            if case .scaledLinear = schedule { name = .scaledLinear }
            try fields.encode(name, forKey: .schedule)
            try fields.encode(first, forKey: .betaStart)
            try fields.encode(last, forKey: .betaEnd)
        case .cosine: try fields.encode(ScheduleName.cosine, forKey: .schedule)
        }
    }
}

extension GaussianDiffusion.Schedule {
    /// beta_t for t = 0 ... T-1.
    fileprivate func betas(_ count: Int) -> [Double] {
        switch self {
        case .linear(let first, let last): return evenlySpaced(count, from: first, through: last)
        case .scaledLinear(let first, let last):
            return evenlySpaced(count, from: first.squareRoot(), through: last.squareRoot()).map { $0 * $0 }
        case .cosine:
            func alphaBar(_ share: Double) -> Double { pow(cos((share + 0.008) / 1.008 * .pi / 2), 2) }
            return (0..<count).map {
                let (now, next) = (Double($0) / Double(count), Double($0 + 1) / Double(count))
                return min(1 - alphaBar(next) / alphaBar(now), 0.999)
            }
        }
    }
}
