/// What a denoising network was trained to predict.
public enum Parameterization: String, CaseIterable, Codable, Sendable {
    /// x_t - x_0, the published method's target.
    case gradient
    /// The noise eps.
    case noise
    /// y - x_0.
    case difference
    /// x_0 itself.
    case sample
}

extension GaussianPathScheduler {
    /// What a network of this parameterisation should predict: `target` x_0, `source` y and `noise` eps.
    public func trainingTarget(of parameterization: Parameterization, at t: Int) -> PathCombination {
        switch parameterization {
        case .gradient:
            var combination = forwardSample(at: t)
            combination.target -= 1
            return combination
        case .noise: return PathCombination(noise: 1)
        case .difference: return PathCombination(target: -1, source: 1)
        case .sample: return PathCombination(target: 1)
        }
    }

    /// The estimate of x_0: `noisy` x_t, `source` y and, as `target`, the network's output.
    ///
    /// The parameterisation `noise` divides by a_t: an error in the output, rounding included, reaches the
    /// estimate s_t / a_t times as large.
    public func estimate(from parameterization: Parameterization, at t: Int) -> PathCombination {
        switch parameterization {
        case .gradient: return PathCombination(noisy: 1, target: -1)
        case .noise:
            let path = coefficients(at: t)
            return PathCombination(
                noisy: 1 / path.target, target: -path.variance.squareRoot() / path.target,
                source: -path.source / path.target)
        case .difference: return PathCombination(target: -1, source: 1)
        case .sample: return PathCombination(target: 1)
        }
    }
}
