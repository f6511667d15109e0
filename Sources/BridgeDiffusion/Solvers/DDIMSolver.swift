/// The reverse step that keeps the path's marginals at every eta: x_s ~ N(a_s x_0 + b_s y, s_s² I).
///
/// For a diffusion it is DDIM (arXiv 2010.02502, eq. 12), and with eta = 1 the ancestral step of DDPM
/// (arXiv 2006.11239, eq. 7); for bridges DBIM (arXiv 2405.15885); for a rectified flow with eta = 0 Euler's step.
public struct DDIMSolver: Solver {
    /// The share of the posterior deviation that is fresh noise: 0, a deterministic step, to 1, ancestral sampling.
    public let eta: Double

    /// The step that keeps the marginals.
    ///
    /// - Parameter eta: from 0 to 1.
    public init(eta: Double = 0) {
        precondition((0...1).contains(eta), "eta must lie between 0 and 1")
        self.eta = eta
    }

    /// The weights, with s_s² - eta² delta~ of the noise kept.
    public func step(from t: Int, to s: Int, after visited: [Int], on path: any GaussianPath) -> StepWeights {
        let posterior = path.posteriorVariance(of: s, from: t)
        return StepWeights(
            from: t, to: s, on: path, keeping: path.coefficients(at: s).variance - eta * eta * posterior,
            noise: eta * posterior.squareRoot())
    }
}

extension Solver where Self == DDIMSolver {
    /// The step that keeps the path's marginals.
    public static func ddim(eta: Double = 0) -> DDIMSolver { DDIMSolver(eta: eta) }

    /// The same with eta = 1: each step draws from the posterior, as DDPM does.
    public static var ancestral: DDIMSolver { DDIMSolver(eta: 1) }
}
