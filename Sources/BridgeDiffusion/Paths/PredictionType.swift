/// What a denoising network was trained to predict.
public enum PredictionType: String, CaseIterable, Codable, Sendable {
    /// x_t - x_0, the published method's target.
    case gradient
    /// The noise eps.
    case noise
    /// y - x_0.
    case difference
    /// x_0 itself.
    case sample
    /// The velocity of the path in the process's own time: eps - x_0 for rectified flow, and
    /// sqrt(alphabar_t) eps - sqrt(1 - alphabar_t) x_0 for a diffusion (arXiv 2202.00512, "v-prediction").
    case velocity
}

extension PredictionType {
    /// What to predict instead where a path cannot be sampled from this; nil where it can.
    ///
    /// - Parameter kind: the name of the path, for the text.
    package func replacement(on path: any GaussianPath, kind: String) -> String? {
        let end = path.coefficients(at: path.trainingTimesteps - 1)
        if end.variance == 0, self == .noise || self == .velocity {
            return "sample, gradient or difference, since \(kind) has no noise"
        }
        if end.target == 0, self == .noise {
            return
                "another one, since \(kind) begins with pure noise, which carries no information about the sample"
        }
        return nil
    }
}

extension GaussianPath {
    /// What a network of this prediction type is trained to predict: `target` x_0, `source` y and `noise` eps.
    public func trainingTarget(of predictionType: PredictionType, at t: Int) -> PathCombination {
        switch predictionType {
        case .gradient:
            var combination = forwardSample(at: t)
            combination.target -= 1
            return combination
        case .noise: return PathCombination(noise: 1)
        case .difference: return PathCombination(target: -1, source: 1)
        case .sample: return PathCombination(target: 1)
        case .velocity: return velocity(at: t)
        }
    }

    /// The estimate of x_0: `noisy` x_t, `source` y and, as `target`, the network's output.
    ///
    /// The prediction type `noise` divides by a_t: an error in the output, rounding included, reaches the
    /// estimate s_t / a_t times as large.
    ///
    /// - Precondition: a_t > 0 where the prediction type is `noise`. A process that starts at a_t = 0 (rectified
    ///   flow) can be sampled in every other one.
    public func estimate(from predictionType: PredictionType, at t: Int) -> PathCombination {
        switch predictionType {
        case .gradient: return PathCombination(noisy: 1, target: -1)
        case .noise:
            let path = coefficients(at: t)
            precondition(
                path.target > 0,
                "x_\(t) is pure noise and carries no information about x_0: predict something other than noise")
            return PathCombination(
                noisy: 1 / path.target, target: -path.variance.squareRoot() / path.target,
                source: -path.source / path.target)
        case .difference: return PathCombination(target: -1, source: 1)
        case .sample: return PathCombination(target: 1)
        case .velocity:
            // eps eliminated from x_t = a x_0 + b y + s eps and v = a' x_0 + b' y + s' eps.
            let (path, velocity) = (coefficients(at: t), velocity(at: t))
            let deviation = path.variance.squareRoot()
            let determinant = velocity.noise * path.target - deviation * velocity.target
            return PathCombination(
                noisy: velocity.noise / determinant, target: -deviation / determinant,
                source: (deviation * velocity.source - velocity.noise * path.source) / determinant)
        }
    }
}
