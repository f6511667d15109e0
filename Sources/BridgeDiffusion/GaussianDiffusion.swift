import Foundation

/// The diffusion of denoising models (DDPM, arXiv 2006.11239; DDIM, arXiv 2010.02502):
///
///     x_t = sqrt(alphabar_t) x_0 + sqrt(1 - alphabar_t) eps
///
/// Sampling starts at noise. The source is no part of the path: a denoiser sees it as a condition, in the channels
/// beside the noisy slices (Palette, arXiv 2111.05826). A step with eta = 0 is DDIM's, with eta = 1 DDPM's.
public struct GaussianDiffusion: GaussianPathScheduler {
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

    /// The timesteps visited, descending.
    public let timesteps: [Int]

    /// How a reverse step treats the posterior variance.
    public let stepRule: StepRule

    /// alphabar_t.
    private let alphaBar: [Double]

    /// A diffusion that visits `steps` timesteps.
    ///
    /// - Parameters:
    ///   - steps: number of timesteps visited; see ``TimestepSpacing``.
    ///   - spacing: how the timesteps lie.
    ///   - trainingTimesteps: T, at least 2.
    ///   - schedule: beta_t.
    ///   - stepRule: how a reverse step treats the posterior variance; DDIM's and DDPM's keeps the marginals.
    public init(
        steps: Int, spacing: TimestepSpacing = .uniform, trainingTimesteps: Int = 1000,
        schedule: Schedule = .linear(), stepRule: StepRule = .marginalPreserving
    ) {
        self.init(
            timesteps: spacing.timesteps(steps, of: trainingTimesteps), trainingTimesteps: trainingTimesteps,
            schedule: schedule, stepRule: stepRule)
    }

    /// A diffusion that visits the given timesteps.
    ///
    /// - Parameters:
    ///   - timesteps: at least one, strictly descending, from `0..<trainingTimesteps`.
    ///   - trainingTimesteps: T, at least 2.
    ///   - schedule: beta_t.
    ///   - stepRule: how a reverse step treats the posterior variance.
    public init(
        timesteps: [Int], trainingTimesteps: Int = 1000, schedule: Schedule = .linear(),
        stepRule: StepRule = .marginalPreserving
    ) {
        precondition(trainingTimesteps >= 2, "a diffusion needs at least two timesteps")
        requireDescending(timesteps, within: trainingTimesteps)
        self.timesteps = timesteps
        self.stepRule = stepRule
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
