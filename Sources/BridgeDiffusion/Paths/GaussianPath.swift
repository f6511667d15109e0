/// A Gaussian path between a target x_0 and a source y: a process, without steps and without storage.
///
///     x_t = a_t x_0 + b_t y + s_t eps,      eps ~ N(0, I),      t = 0 ... T-1
///
/// A conformer gives a_t, b_t and s_t². All else follows from these, once, for every conformer: the forward sample,
/// the training target of each ``PredictionType``, x_0 from a network's output, the variances, and the steps of every
/// ``Solver``. Each of them is linear in the images, so each is a ``PathCombination``: the weights of x_t, x_0, y and
/// eps, in double precision, for whatever storage holds the images.
///
/// ```swift
/// /// Half the noise of a Brownian bridge in the first half of the way, all of it in the second.
/// struct LateBridge: GaussianPath {
///     var trainingTimesteps: Int { 1000 }
///     var start: SamplingStart { .source }
///
///     func coefficients(at t: Int) -> PathCoefficients {
///         let m = 0.001 + 0.998 * Double(t) / 999
///         return PathCoefficients(target: 1 - m, source: m, variance: 2 * m * m * (1 - m))
///     }
///
///     func velocity(at t: Int) -> PathCombination {
///         let m = 0.001 + 0.998 * Double(t) / 999
///         let deviation = (2 * m * m * (1 - m)).squareRoot()
///         return PathCombination(target: -1, source: 1, noise: (2 * m - 3 * m * m) / deviation)
///     }
/// }
/// ```
///
/// ## Laws that a conformer keeps
/// - `coefficients(at:)` is finite, with s_t² > 0 and a_t > 0, for every t in `0..<trainingTimesteps`. At the last
///   timestep a_t may be 0: x_t then carries no information about x_0. A path of one timestep may also have s_t² = 0:
///   see ``DirectMapping``.
/// - For s < t, s_t² >= s_s² (a_t / a_s)²: noise is only ever added on the way from x_s to x_t.
/// - `velocity(at:)` is independent of the path itself: s'_t a_t - s_t a'_t is not zero, so that x_0 follows from
///   x_t, y and the velocity. A path without noise has no such velocity.
public protocol GaussianPath: Sendable {
    /// T, the number of timesteps that the process has and that a network is trained with.
    var trainingTimesteps: Int { get }

    /// x_t at the first timestep visited.
    var start: SamplingStart { get }

    /// a_t, b_t and s_t² at timestep `t`.
    func coefficients(at t: Int) -> PathCoefficients

    /// The velocity of the path in the process's own time, v_t = a'_t x_0 + b'_t y + s'_t eps: `target` x_0,
    /// `source` y and `noise` eps. A network of the prediction type `velocity` predicts it.
    func velocity(at t: Int) -> PathCombination

    /// How the timesteps lie unless a ``Scheduler`` is given others; ``TimestepSpacing/uniform`` by default.
    var defaultSpacing: TimestepSpacing { get }

    /// The solver of a ``Scheduler`` that is given none; ``Solver/ddim(eta:)`` with eta = 0 by default.
    var defaultSolver: any Solver { get }
}

extension GaussianPath {
    /// Evenly spaced.
    public var defaultSpacing: TimestepSpacing { .uniform }

    /// The deterministic step that keeps the path's marginals.
    public var defaultSolver: any Solver { .ddim() }
}

/// x_t at the first timestep visited.
public enum SamplingStart: String, CaseIterable, Codable, Sendable {
    /// The source y: the process is a bridge.
    case source
    /// Standard normal noise: the process is a diffusion, and the source is a condition of the denoiser alone.
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

extension GaussianPath {
    /// The forward sample x_t = a_t x_0 + b_t y + s_t eps: `target` x_0, `source` y and `noise` eps.
    public func forwardSample(at t: Int) -> PathCombination {
        let path = coefficients(at: t)
        return PathCombination(target: path.target, source: path.source, noise: path.variance.squareRoot())
    }

    /// The residual of x_t, its distance from the path's mean: x_t - a_t x_0 - b_t y, with `noisy` x_t, `target` the
    /// estimate of x_0 and `source` y. The score is S = -residual / s_t² (arXiv 2407.05059, inter-slice trajectory
    /// alignment).
    public func residual(at t: Int) -> PathCombination {
        let path = coefficients(at: t)
        return PathCombination(noisy: 1, target: -path.target, source: -path.source)
    }

    /// The variance of the noise added between two timesteps: delta_{t|s} = s_t² - s_s² (a_t / a_s)².
    ///
    /// - Parameters:
    ///   - s: the earlier timestep, or `nil` for x_0 itself, without noise.
    ///   - t: the later timestep.
    public func transitionVariance(from s: Int?, to t: Int) -> Double {
        let later = coefficients(at: t)
        guard let s else { return later.variance }
        let earlier = coefficients(at: s)
        let ratio = later.target / earlier.target
        return max(0, later.variance - earlier.variance * ratio * ratio)
    }

    /// The variance of the noise that the last training timestep added: delta_{t|t-1}.
    public func transitionVariance(at t: Int) -> Double {
        transitionVariance(from: t > 0 ? t - 1 : nil, to: t)
    }

    /// The variance of x_s given x_t and x_0: delta~ = delta_{t|s} s_s² / s_t².
    ///
    /// - Parameters:
    ///   - s: the earlier timestep, or `nil` for x_0 itself, whose variance is zero.
    ///   - t: the later timestep.
    public func posteriorVariance(of s: Int?, from t: Int) -> Double {
        guard let s else { return 0 }
        return transitionVariance(from: s, to: t) * coefficients(at: s).variance / coefficients(at: t).variance
    }
}
