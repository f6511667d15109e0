extension GaussianPathScheduler {
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
