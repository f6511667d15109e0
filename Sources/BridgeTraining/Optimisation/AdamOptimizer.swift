import Foundation

/// Adam and AdamW: updates scaled by running moments of the gradient.
///
///     m <- m + (1 - beta1) (g - m)        v <- beta2 v + (1 - beta2) g²
///     p <- p - rate / (1 - beta1^k)  m / (sqrt(v) / sqrt(1 - beta2^k) + epsilon)        at step k from 1
///
/// in single precision and in PyTorch's order of operations. Kingma, Ba: *Adam*, arXiv 1412.6980; Loshchilov,
/// Hutter: *Decoupled Weight Decay Regularization*, arXiv 1711.05101.
public struct AdamOptimizer: Equatable, Sendable {
    /// beta1, beta2, epsilon and the weight decay.
    public let settings: OptimizerSettings

    /// m.
    public internal(set) var firstMoment: ParameterSet

    /// v.
    public internal(set) var secondMoment: ParameterSet

    /// Number of steps taken, k.
    public internal(set) var steps = 0

    /// An optimiser before its first step.
    public init(_ settings: OptimizerSettings, for parameters: ParameterSet) {
        self.settings = settings
        firstMoment = ParameterSet(parameters.parameters)
        secondMoment = firstMoment
    }

    /// Takes a step. O(n).
    ///
    /// - Parameters:
    ///   - parameters: the parameters to update.
    ///   - gradients: the gradients of the loss with respect to them.
    ///   - rate: the learning rate.
    public mutating func step(
        _ parameters: inout ParameterSet, against gradients: ParameterSet, rate: Double
    ) {
        steps += 1
        let beta1 = settings.beta1, beta2 = settings.beta2
        let stepSize = Float(rate / (1 - pow(beta1, Double(steps))))
        let correction = Float((1 - pow(beta2, Double(steps))).squareRoot())
        let (share, keep, add) = (Float(1 - beta1), Float(beta2), Float(1 - beta2))
        let epsilon = Float(settings.epsilon)
        // Adam adds the decay to the gradient; AdamW shrinks the parameter.
        let coupled = settings.kind == .adam ? Float(settings.weightDecay) : 0
        let shrink = settings.kind == .adamW ? Float(1 - rate * settings.weightDecay) : 1
        parameters.update(&firstMoment, &secondMoment, by: gradients) { range, p, m, v, g in
            for i in range {
                let parameter = p[i] * shrink
                let gradient = g[i] + coupled * parameter
                let mean = m[i] + share * (gradient - m[i])
                let square = keep * v[i] + add * gradient * gradient
                m[i] = mean
                v[i] = square
                p[i] = parameter - stepSize * (mean / (square.squareRoot() / correction + epsilon))
            }
        }
    }
}
