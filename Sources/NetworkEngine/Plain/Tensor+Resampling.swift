import TensorFiles

extension Tensor {
    /// Half the resolution: each spatial axis of `[batch, channels, ...]` averaged in pairs. O(n).
    ///
    /// - Precondition: every spatial extent is even.
    func averagePooled() -> Tensor {
        (2..<shape.count).reversed().reduce(self) { tensor, axis in
            precondition(shape[axis] % 2 == 0, "axis \(axis) of \(shape) is not even")
            return tensor.resampled(axis: axis, extent: shape[axis] / 2) { source, run, inner in
                (source[2 * run * inner] + source[(2 * run + 1) * inner]) * 0.5
            }
        }
    }

    /// Twice the resolution: each element of `[batch, channels, ...]` repeated along every spatial axis. O(n).
    func upsampled() -> Tensor {
        (2..<shape.count).reduce(self) { tensor, axis in
            tensor.resampled(axis: axis, extent: shape[axis] * 2) { source, run, inner in
                source[run / 2 * inner]
            }
        }
    }

    /// A tensor of another extent along `axis`. `number` computes the number at index `run` along all axes up to that
    /// one; `source` points to the numbers at the same index along the axes after it, and they are `inner` apart.
    @inline(__always)
    private func resampled(
        axis: Int, extent: Int, _ number: (_ source: UnsafePointer<Float>, _ run: Int, _ inner: Int) -> Float
    ) -> Tensor {
        let (outer, inner) = extents(around: axis)
        var other = shape
        other[axis] = extent
        return Tensor(shape: other) { result in
            values.withUnsafeBufferPointer { source in
                guard let start = source.baseAddress else { return }
                for run in 0..<outer * extent {
                    for index in 0..<inner { result[run * inner + index] = number(start + index, run, inner) }
                }
            }
        }
    }
}
