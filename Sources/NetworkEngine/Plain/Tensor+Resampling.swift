import TensorFiles

extension Tensor {
    /// Half the resolution: each spatial axis of `[batch, channels, ...]` averaged in pairs. O(n).
    ///
    /// - Precondition: every spatial extent is even.
    func averagePooled() -> Tensor {
        (2..<shape.count).reversed().reduce(self) { tensor, axis in tensor.averagedInPairs(axis: axis) }
    }

    /// Twice the resolution: each element of `[batch, channels, ...]` repeated along every spatial axis. O(n).
    func upsampled() -> Tensor {
        (2..<shape.count).reduce(self) { tensor, axis in tensor.repeatedTwice(axis: axis) }
    }

    private func averagedInPairs(axis: Int) -> Tensor {
        precondition(shape[axis] % 2 == 0, "axis \(axis) of \(shape) has no whole number of pairs")
        let (outer, inner) = extents(around: axis)
        var half = shape
        half[axis] /= 2
        return Tensor(shape: half) { result in
            values.withUnsafeBufferPointer { source in
                for pair in 0..<outer * half[axis] {
                    for index in 0..<inner {
                        let first = pair * 2 * inner + index
                        result[pair * inner + index] = (source[first] + source[first + inner]) * 0.5
                    }
                }
            }
        }
    }

    private func repeatedTwice(axis: Int) -> Tensor {
        let (outer, inner) = extents(around: axis)
        var double = shape
        double[axis] *= 2
        return Tensor(shape: double) { result in
            values.withUnsafeBufferPointer { source in
                for run in 0..<outer * shape[axis] {
                    for index in 0..<inner {
                        let value = source[run * inner + index]
                        result[run * 2 * inner + index] = value
                        result[(run * 2 + 1) * inner + index] = value
                    }
                }
            }
        }
    }
}
