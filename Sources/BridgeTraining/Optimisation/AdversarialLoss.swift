import Foundation
import TensorFiles

/// The losses of a discriminator, whose logits say how real a patch is, and of the network that is to deceive it.
public enum AdversarialLoss: String, CaseIterable, Codable, Sendable {
    /// Binary cross-entropy, -log sigma(l) for what should pass as real (Goodfellow et al., arXiv 1406.2661, in the form that
    /// does not saturate).
    case crossEntropy = "cross_entropy"
    /// max(0, 1 - l) and max(0, 1 + l), and -l for the network (Lim, Ye, arXiv 1705.02894).
    case hinge
    /// (l - 1)² and l² (Mao et al., arXiv 1611.04076).
    case leastSquares = "least_squares"

    /// What a logit is to say.
    package enum Goal: Sendable {
        /// The discriminator's, of the target.
        case real
        /// The discriminator's, of an estimate.
        case fake
        /// The network's, of its own estimate.
        case deception
    }

    /// The mean loss of logits, and its gradient with respect to them. O(n).
    package func callAsFunction(_ logits: Tensor, _ goal: Goal) -> (value: Double, gradient: Tensor) {
        var gradient = logits
        var sum = 0.0
        let share = 1 / Double(logits.count)
        for index in logits.values.indices {
            let (value, slope) = term(Double(logits.values[index]), goal)
            sum += value
            gradient.values[index] = Float(share * slope)
        }
        return (share * sum, gradient)
    }

    private func term(_ logit: Double, _ goal: Goal) -> (value: Double, slope: Double) {
        let sign: Double = goal == .fake ? 1 : -1
        switch self {
        case .crossEntropy:
            // log(1 + e^x) without overflow.
            let x = sign * logit
            return (max(x, 0) + log1p(exp(-abs(x))), sign / (1 + exp(-x)))
        case .hinge:
            if goal == .deception { return (-logit, -1) }
            let margin = 1 + sign * logit
            return margin > 0 ? (margin, sign) : (0, 0)
        case .leastSquares:
            let difference = goal == .fake ? logit : logit - 1
            return (difference * difference, 2 * difference)
        }
    }
}
