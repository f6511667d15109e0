import Foundation
import TensorFiles

/// The cross-entropy of the mean logits of a discriminator that tells classes.
///
/// - Parameters:
///   - patches: logits of one example, `[1, classes, ...]`.
///   - label: the class that they are to say.
/// - Returns: the loss, and its gradient with respect to the logits. O(n).
func classLoss(_ patches: Tensor, label: Int) -> (value: Double, gradient: Tensor) {
    let classes = patches.shape[1]
    let length = patches.count / classes
    let means = (0..<classes).map { index in
        patches.values[index * length..<(index + 1) * length].reduce(0) { $0 + Double($1) } / Double(length)
    }
    let largest = means.max() ?? 0
    let total = means.reduce(0) { $0 + exp($1 - largest) }
    let gradient = (0..<classes).flatMap { index in
        let slope = exp(means[index] - largest) / total - (index == label ? 1 : 0)
        return [Float](repeating: Float(slope / Double(length)), count: length)
    }
    return (log(total) + largest - means[label], Tensor(shape: patches.shape, values: gradient))
}
