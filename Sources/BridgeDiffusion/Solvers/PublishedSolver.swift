/// The reverse step of the public implementation of the Brownian bridge (BBDM, arXiv 2205.07680, eq. 13 to 15), which
/// made the published results.
///
/// It takes the whole posterior variance delta~ out of the noise of x_t, whatever eta is, and adds eta² times it as
/// fresh noise. At eta < 1 the variance of x_s falls short of s_s².
public struct PublishedSolver: Solver {
    /// The share of the posterior deviation that comes back as fresh noise: 0, a deterministic step, to 1.
    public let eta: Double

    /// The published step.
    ///
    /// - Parameter eta: from 0 to 1.
    public init(eta: Double = 0) {
        precondition((0...1).contains(eta), "eta must lie between 0 and 1")
        self.eta = eta
    }

    /// The weights, with s_s² - delta~ of the noise kept.
    public func step(from t: Int, to s: Int, after visited: [Int], on path: any GaussianPath) -> StepWeights {
        let posterior = path.posteriorVariance(of: s, from: t)
        return StepWeights(
            from: t, to: s, on: path, keeping: path.coefficients(at: s).variance - posterior,
            noise: eta * posterior.squareRoot())
    }
}

extension Solver where Self == PublishedSolver {
    /// The reverse step of the public implementation of the Brownian bridge.
    public static func published(eta: Double = 0) -> PublishedSolver { PublishedSolver(eta: eta) }
}
