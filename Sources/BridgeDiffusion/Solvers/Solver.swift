/// How sampling moves from one visited timestep to the next: the weights of a reverse step on any path.
///
/// ```swift
/// /// Jumps to the mean of x_s, without any noise.
/// struct MeanSolver: Solver {
///     func step(from t: Int, to s: Int, after visited: [Int], on path: any GaussianPath) -> StepWeights {
///         let next = path.coefficients(at: s)
///         return StepWeights(noisy: 0, estimates: [next.target], source: next.source)
///     }
/// }
/// ```
///
/// ## Law that a conformer keeps
/// - With the true x_0 for every estimate and x_t on the path's mean, the step lands on the mean of x_s: the weights
///   reproduce a_s x_0 + b_s y from x_t = a_t x_0 + b_t y.
public protocol Solver: Sendable {
    /// How many estimates of earlier steps a step uses beside its own; 0 unless a conformer says otherwise.
    var history: Int { get }

    /// The weights of the step from x_t to x_s.
    ///
    /// - Parameters:
    ///   - t: the timestep of x_t.
    ///   - s: the timestep to arrive at, below t.
    ///   - visited: the timesteps whose estimates are available in addition to that at t, the latest first; at most
    ///     ``history``.
    ///   - path: the process.
    func step(from t: Int, to s: Int, after visited: [Int], on path: any GaussianPath) -> StepWeights
}

extension Solver {
    /// None.
    public var history: Int { 0 }
}

/// The weights of a reverse step:
///
///     x_s = noisy x_t + sum over i of estimates[i] x_0(i) + source y + noise eps
///
/// where x_0(0) is the estimate at t, x_0(1) that of the step before, and so on.
public struct StepWeights: Hashable, Sendable {
    /// Weight of x_t.
    public var noisy: Double

    /// Weights of the estimates of x_0, that of this step first; at least one, at most 1 + ``Solver/history``.
    public var estimates: [Double]

    /// Weight of the source y.
    public var source: Double

    /// Weight of fresh noise eps.
    public var noise: Double

    /// The weights of a step.
    public init(noisy: Double, estimates: [Double], source: Double, noise: Double = 0) {
        precondition(!estimates.isEmpty, "a step uses at least its own estimate")
        (self.noisy, self.estimates, self.source, self.noise) = (noisy, estimates, source, noise)
    }

    /// The step that keeps a share of the noise in x_t and adds fresh noise:
    ///
    ///     x_s = a_s x_0 + b_s y + sqrt(kept / s_t²) (x_t - a_t x_0 - b_t y) + noise eps
    ///
    /// - Parameters:
    ///   - t: the timestep of x_t.
    ///   - s: the timestep to arrive at, below t.
    ///   - path: the process.
    ///   - kept: the variance that the noise of x_t keeps; negative values count as 0.
    ///   - noise: the standard deviation of fresh noise.
    public init(from t: Int, to s: Int, on path: any GaussianPath, keeping kept: Double, noise: Double) {
        let (now, next) = (path.coefficients(at: t), path.coefficients(at: s))
        let direction = (max(0, kept) / now.variance).squareRoot()
        self.init(
            noisy: direction, estimates: [next.target - direction * now.target],
            source: next.source - direction * now.source, noise: noise)
    }
}
