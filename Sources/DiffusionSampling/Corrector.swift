public import BridgeDiffusion

/// Moves x_t towards its path's mean after a reverse step. It only returns gains, so it works on any storage.
///
/// Each correction evaluates the denoiser once more, on the x_t that the step (or the correction before) left, and then
/// moves each group, a slice for example, against its residual r = x_t - a_t x_0 - b_t y:
///
///     x_t <- x_t - gain r
///
/// A gain of 1 lands on the path's mean; above 2 the group is farther from it than before.
public protocol Corrector: Sendable {
    /// M: how many corrections follow the step that arrives at a timestep.
    func iterations(at timestep: Int) -> Int

    /// How far a group is moved.
    ///
    /// - Parameters:
    ///   - squaredResidual: ||r||², above zero.
    ///   - count: d, the number of values in the group.
    ///   - timestep: t.
    ///   - path: the process.
    func gain(squaredResidual: Double, count: Int, at timestep: Int, on path: any GaussianPath) -> Double
}

/// The corrector of inter-slice trajectory alignment (arXiv 2407.05059, algorithm 1): a step along the score S of the
/// co-predicted estimate,
///
///     x_t <- x_t + lambda delta_{t|t-1} (n / ||S||²) S,      S = -r / s_t²
///
/// with n = sqrt(d) as in the public implementation, whose code made the published tables, or n = d as in the paper.
/// In terms of the residual the gain is lambda delta_{t|t-1} n s_t² / ||r||².
///
/// The step is sized for x_t with noise of variance s_t², and a deterministic run has far less. Measured on the
/// demonstration model, at the first correction of 25 steps, the paper's form has a median gain of 63 and one of 2030 at
/// most, where a gain of 1 lands on the mean. So gains are bounded by 1 and n is sqrt(d) unless set otherwise.
public struct ScoreCorrector: Corrector {
    /// The numerator n of the step's size.
    public enum Scaling: String, CaseIterable, Codable, Sendable {
        /// d, as in the paper's equation.
        case paper
        /// sqrt(d), as in the public implementation: sqrt(d) times smaller.
        case reference
    }

    /// How many corrections are made after a step, and how large.
    public struct Rule: Hashable, Sendable {
        /// M: number of corrections.
        public var steps: Int

        /// lambda: 0.5 was published for CT to MRI, 0.05 for FLAIR to T1.
        public var stepSize: Double

        /// A number of corrections, and their size.
        public init(steps: Int, stepSize: Double) { (self.steps, self.stepSize) = (steps, stepSize) }
    }

    /// The numerator of the step's size.
    public var scaling: Scaling

    /// Whether no step goes past the path's mean: gains are at most 1.
    public var isBounded: Bool

    private let rule: @Sendable (_ timestep: Int) -> Rule

    /// A corrector that does the same after every step.
    ///
    /// - Parameters:
    ///   - steps: M, at least zero.
    ///   - stepSize: lambda: 0.5 was published for CT to MRI, 0.05 for FLAIR to T1.
    ///   - scaling: the numerator of the step's size.
    ///   - isBounded: whether no step goes past the path's mean.
    public init(
        steps: Int = 1, stepSize: Double = 0.5, scaling: Scaling = .reference, isBounded: Bool = true
    ) {
        precondition(steps >= 0, "the number of corrections cannot be negative")
        self.init(scaling: scaling, isBounded: isBounded) { _ in Rule(steps: steps, stepSize: stepSize) }
    }

    /// A corrector with a rule for each timestep.
    ///
    /// ```swift
    /// let late = ScoreCorrector { timestep in .init(steps: timestep < 500 ? 2 : 0, stepSize: 0.2) }
    /// ```
    ///
    /// - Parameters:
    ///   - scaling: the numerator of the step's size.
    ///   - isBounded: whether no step goes past the path's mean.
    ///   - rule: what to do after the step that arrives at a timestep.
    public init(
        scaling: Scaling = .reference, isBounded: Bool = true,
        rule: @escaping @Sendable (_ timestep: Int) -> Rule
    ) {
        (self.scaling, self.isBounded, self.rule) = (scaling, isBounded, rule)
    }

    /// M, after the step that arrives at a timestep.
    public func iterations(at timestep: Int) -> Int { rule(timestep).steps }

    /// lambda delta_{t|t-1} n s_t² / ||r||², at most 1 where the corrector is bounded.
    public func gain(
        squaredResidual: Double, count: Int, at timestep: Int, on path: any GaussianPath
    ) -> Double {
        let numerator = scaling == .paper ? Double(count) : Double(count).squareRoot()
        let gain =
            rule(timestep).stepSize * path.transitionVariance(at: timestep) * numerator
            * path.coefficients(at: timestep).variance / squaredResidual
        return isBounded ? min(gain, 1) : gain
    }
}
