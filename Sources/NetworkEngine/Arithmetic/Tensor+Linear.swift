import TensorFiles

extension Tensor {
    /// `y = x W^T + b` for each row along the last axis.
    ///
    /// O(rows * inputs * outputs).
    ///
    /// - Parameters:
    ///   - weight: W, `[outputs, inputs]`, for a tensor of `[..., inputs]`.
    ///   - bias: b, `[outputs]`.
    /// - Returns: `[..., outputs]`.
    public func linear(weight: Tensor, bias: Tensor? = nil) -> Tensor {
        let inputs = shape[shape.count - 1]
        precondition(
            weight.shape.count == 2 && weight.shape[1] == inputs, "weights \(weight.shape) do not fit \(shape)")
        let outputs = weight.shape[0]
        precondition(bias == nil || bias?.shape == [outputs], "biases do not fit weights \(weight.shape)")
        let rows = shape.dropLast().reduce(1, *)
        return Tensor(shape: shape.dropLast() + [outputs]) { result in
            for row in 0..<rows {
                for output in 0..<outputs { result[row * outputs + output] = bias?.values[output] ?? 0 }
            }
            guard let start = result.baseAddress else { return }
            values.withUnsafeBufferPointer { source in
                weight.values.withUnsafeBufferPointer { weights in
                    guard let x = source.baseAddress, let w = weights.baseAddress else { return }
                    multiply(
                        MatrixView(start: x, stride: inputs),
                        MatrixView(start: w, stride: inputs, transposed: true),
                        into: start, stride: outputs, rows: rows, columns: outputs, inner: inputs,
                        accumulating: true)
                }
            }
        }
    }
}
