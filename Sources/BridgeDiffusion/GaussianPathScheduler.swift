/// A Gaussian path between a target and a source, and the timesteps that sampling visits on it.
///
/// Every process of this package noises a target x_0, given a source y, as
///
///     x_t = a_t x_0 + b_t y + s_t eps,      eps ~ N(0, I),      t = 0 ... T-1
///
/// A conformer says what a_t, b_t and s_t² are and which timesteps are visited. All else follows from these,
/// once, for every conformer: the forward sample, the training target of each ``Parameterization``, x_0 from
/// a network's output, the reverse step and the score. Each of them is linear in the images, so each is given
/// as a ``PathCombination``: the weights of x_t, x_0, y and eps, in double precision, ready for whatever
/// storage the images lie in.
///
/// ```swift
/// let bridge = BrownianBridge(steps: 50)
/// let (t, s) = (bridge.timesteps[10], bridge.timesteps[11])
/// let estimate = bridge.estimate(from: .gradient, at: t)(noisy: x, target: output, source: y)
/// x = bridge.reverseStep(from: t, to: s)(noisy: x, target: estimate, source: y)
/// ```
///
/// ## Laws that a conformer keeps
/// - `coefficients(at:)` is finite, with s_t² > 0 and a_t > 0, for every t in `0..<trainingTimesteps`. At the last
///   timestep a_t may be 0: x_t then says nothing of x_0.
/// - For s < t, s_t² >= s_s² (a_t / a_s)²: noise is only ever added on the way from x_s to x_t.
/// - `velocity(at:)` is independent of the path itself: s'_t a_t - s_t a'_t is not zero, so that x_0 follows from
///   x_t, y and the velocity.
/// - `timesteps` descends strictly and stays within `0..<trainingTimesteps`. At the last one the estimate of
///   x_0 is the result; no step follows it.
public protocol GaussianPathScheduler: Sendable {
    /// Number of timesteps T that the process has (and that a network was trained with).
    var trainingTimesteps: Int { get }

    /// The timesteps that sampling visits, descending.
    var timesteps: [Int] { get }

    /// How much of the posterior variance a reverse step takes out of its direction term.
    var stepRule: StepRule { get }

    /// Where sampling starts.
    var start: SamplingStart { get }

    /// a_t, b_t and s_t² at timestep `t`.
    func coefficients(at t: Int) -> PathCoefficients

    /// The velocity of the path in the process's own time, v_t = a'_t x_0 + b'_t y + s'_t eps: `target` x_0,
    /// `source` y and `noise` eps. It is what a network of the parameterisation `velocity` predicts.
    func velocity(at t: Int) -> PathCombination
}

/// What x_t is at the first timestep visited.
public enum SamplingStart: String, CaseIterable, Codable, Sendable {
    /// The source y: the process is a bridge.
    case source
    /// Standard normal noise: the process is a diffusion, and knows the source as a condition alone.
    case noise
}

/// The coefficients of a Gaussian path at one timestep: x_t ~ N(a_t x_0 + b_t y, s_t² I).
public struct PathCoefficients: Hashable, Sendable {
    /// a_t: how much of the target x_0 is in x_t.
    public var target: Double

    /// b_t: how much of the source y is in x_t.
    public var source: Double

    /// s_t²: variance of the noise in x_t.
    public var variance: Double

    /// The coefficients a_t, b_t and s_t².
    public init(target: Double, source: Double, variance: Double) {
        (self.target, self.source, self.variance) = (target, source, variance)
    }
}

/// Which share of the posterior variance delta~ a reverse step takes out of its direction term, where eta
/// says how much of it comes back as fresh noise.
public enum StepRule: String, CaseIterable, Codable, Sendable {
    /// All of it, whatever eta is: the rule of the public implementation of the Brownian bridge (BBDM), and of
    /// the paper's. At eta < 1 the variance of x_s falls short of s_s².
    case reference

    /// eta² times it, so that x_s keeps its marginal N(a_s x_0 + b_s y, s_s² I) at every eta
    /// (DDIM, arXiv 2010.02502, eq. 12; for bridges DBIM, arXiv 2405.15885).
    case marginalPreserving = "marginal"
}
