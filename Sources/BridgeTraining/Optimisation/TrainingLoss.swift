public import TensorFiles

/// The difference between a network's output and its training target.
public enum TrainingLoss: String, CaseIterable, Codable, Sendable {
    /// The mean absolute difference, as published.
    case l1
    /// The mean squared difference.
    case l2

    /// The loss, and its gradient with respect to the output. O(n).
    ///
    /// Where output and target are equal, the gradient of the absolute difference is zero.
    ///
    /// - Parameters:
    ///   - output: the network's output, of any shape.
    ///   - target: the training target, of the same shape.
    public func callAsFunction(_ output: Tensor, target: Tensor) -> (value: Double, gradient: Tensor) {
        precondition(output.shape == target.shape, "\(output.shape) is not \(target.shape)")
        let count = output.count
        var gradient = output
        var sum = 0.0
        let share = 1 / Float(count)
        gradient.values.withUnsafeMutableBufferPointer { gradient in
            target.values.withUnsafeBufferPointer { target in
                switch self {
                case .l1:
                    for i in 0..<count {
                        let difference = gradient[i] - target[i]
                        sum += Double(abs(difference))
                        gradient[i] = difference > 0 ? share : difference < 0 ? -share : difference * 0
                    }
                case .l2:
                    for i in 0..<count {
                        let difference = gradient[i] - target[i]
                        sum += Double(difference) * Double(difference)
                        gradient[i] = 2 * share * difference
                    }
                }
            }
        }
        return (sum / Double(count), gradient)
    }
}
