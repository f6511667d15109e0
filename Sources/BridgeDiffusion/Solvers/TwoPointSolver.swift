import Foundation

/// A deterministic step of second order: the estimate of x_0 is taken to keep changing as it did since the step before.
///
/// A two-point formula as in DPM-Solver++ (arXiv 2211.01095, algorithm 2), but linear in s_t² / (a_t² + s_t²) where
/// that is linear in the logarithm of a_t / s_t. This variable has zero slope at both ends of the path, which
/// limits extrapolation over the last steps of evenly spaced timesteps, long in the logarithm. It costs no further
/// evaluation.
public struct TwoPointSolver: Solver {
    /// The two-point step.
    public init() {}

    /// The estimate of the step before.
    public var history: Int { 1 }

    /// The weights of a ``DDIMSolver`` with eta = 0 for the extrapolated estimate; for the first step, its weights.
    public func step(from t: Int, to s: Int, after visited: [Int], on path: any GaussianPath) -> StepWeights {
        var weights = DDIMSolver().step(from: t, to: s, after: [], on: path)
        guard let before = visited.first else { return weights }
        let lead = extrapolation(from: before, over: t, to: s, on: path)
        guard lead != 0 else { return weights }
        let weight = weights.estimates[0]
        weights.estimates = [weight * (1 + lead), -weight * lead]
        return weights
    }

    /// How far the estimate is extrapolated, as a share of its change since the step before.
    ///
    /// A deterministic step integrates the estimate over q = a / s. The estimate is taken to be linear in
    /// 1 / (1 + q²), whose integral is the arc tangent.
    private func extrapolation(from before: Int, over t: Int, to s: Int, on path: any GaussianPath) -> Double {
        let q = [before, t, s].map { t in
            let path = path.coefficients(at: t)
            return path.target / path.variance.squareRoot()
        }
        guard q[0] < q[1], q[1] < q[2] else { return 0 }
        let (earlier, now) = (1 / (1 + q[0] * q[0]), 1 / (1 + q[1] * q[1]))
        let onTheWay = (atan(q[2]) - atan(q[1])) / (q[2] - q[1])
        return (now - onTheWay) / (earlier - now)
    }
}

extension Solver where Self == TwoPointSolver {
    /// A deterministic step of second order.
    public static var twoPoint: TwoPointSolver { TwoPointSolver() }
}
