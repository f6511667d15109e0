extension GaussianPathScheduler {
    /// The forward sample x_t = a_t x_0 + b_t y + s_t eps: `target` x_0, `source` y and `noise` eps.
    public func forwardSample(at t: Int) -> PathCombination {
        let path = coefficients(at: t)
        return PathCombination(target: path.target, source: path.source, noise: path.variance.squareRoot())
    }

    /// One reverse step from x_t to x_s: `noisy` x_t, `target` the estimate of x_0, `source` y and, where
    /// eta > 0, fresh `noise`.
    ///
    ///     x_s = a_s x_0 + b_s y + sqrt(kept / s_t²) (x_t - a_t x_0 - b_t y) + eta sqrt(delta~) eps
    ///
    /// where `kept` is s_s² less the share of the posterior variance delta~ that ``stepRule`` takes out.
    ///
    /// - Parameters:
    ///   - t: the timestep of x_t.
    ///   - s: the timestep to arrive at, below t.
    ///   - eta: 0 for a deterministic step, 1 for ancestral sampling.
    public func reverseStep(from t: Int, to s: Int, eta: Double = 0) -> PathCombination {
        let (now, next) = (coefficients(at: t), coefficients(at: s))
        let posterior = posteriorVariance(of: s, from: t)
        let takenOut = stepRule == .reference ? posterior : eta * eta * posterior
        let direction = (max(0, next.variance - takenOut) / now.variance).squareRoot()
        return PathCombination(
            noisy: direction,
            target: next.target - direction * now.target,
            source: next.source - direction * now.source,
            noise: eta * posterior.squareRoot())
    }

    /// The score of x_t, S = -(x_t - a_t x_0 - b_t y) / s_t²: `noisy` x_t, `target` the estimate of x_0 and
    /// `source` y (arXiv 2407.05059, inter-slice trajectory alignment).
    public func score(at t: Int) -> PathCombination {
        let path = coefficients(at: t)
        return PathCombination(
            noisy: -1 / path.variance, target: path.target / path.variance,
            source: path.source / path.variance)
    }
}
