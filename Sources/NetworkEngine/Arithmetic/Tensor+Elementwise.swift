import TensorFiles

extension Tensor {
    /// The sum, number by number, of two tensors of one shape. O(n).
    public static func + (a: Tensor, b: Tensor) -> Tensor { a.combined(with: b, +) }

    /// The product, number by number, of two tensors of one shape. O(n).
    public static func * (a: Tensor, b: Tensor) -> Tensor { a.combined(with: b, *) }

    /// `x + shift`, one shift for each channel. O(n).
    ///
    /// - Parameter shift: `[batch, channels]`, for a tensor of `[batch, channels, ...]`.
    public func shifted(by shift: Tensor) -> Tensor { channelwise(shift, shift) { x, _, shift in x + shift } }

    /// `x (1 + scale) + shift`, one scale and shift for each channel. O(n).
    ///
    /// - Parameters:
    ///   - scale: `[batch, channels]`, for a tensor of `[batch, channels, ...]`.
    ///   - shift: `[batch, channels]`.
    public func modulated(scale: Tensor, shift: Tensor) -> Tensor {
        channelwise(scale, shift) { x, scale, shift in x * (1 + scale) + shift }
    }

    @inline(__always)
    private func combined(with other: Tensor, _ operation: (Float, Float) -> Float) -> Tensor {
        precondition(shape == other.shape, "\(shape) and \(other.shape) differ")
        return Tensor(shape: shape) { result in
            values.withUnsafeBufferPointer { a in
                other.values.withUnsafeBufferPointer { b in
                    for index in 0..<result.count { result[index] = operation(a[index], b[index]) }
                }
            }
        }
    }

    @inline(__always)
    private func channelwise(
        _ first: Tensor, _ second: Tensor, _ operation: (Float, Float, Float) -> Float
    ) -> Tensor {
        precondition(
            first.shape == Array(shape.prefix(2)) && second.shape == first.shape,
            "\(first.shape) and \(second.shape) do not give one number for each channel of \(shape)")
        let inner = shape[2...].reduce(1, *)
        return Tensor(shape: shape) { result in
            values.withUnsafeBufferPointer { source in
                for channel in 0..<first.count {
                    let (a, b) = (first.values[channel], second.values[channel])
                    for index in channel * inner..<(channel + 1) * inner {
                        result[index] = operation(source[index], a, b)
                    }
                }
            }
        }
    }
}
