import Foundation
import TensorFiles

/// Functions of each number.
extension Tensor {
    /// The sigmoid linear unit, `x / (1 + e^-x)`. O(n).
    ///
    /// Elfwing, Uchibe, Doya: *Sigmoid-Weighted Linear Units*, 2018.
    func silu() -> Tensor {
        var result = self
        result.values.withUnsafeMutableBufferPointer { values in
            values.transformInPlace { x in
                let magnitude = x.replacing(with: -x, where: x .< 0)
                let decay = exponentialOfNonPositive(-magnitude)
                let sigmoid = SIMD8<Float>(repeating: 1).replacing(with: decay, where: x .< 0) / (1 + decay)
                return x * sigmoid
            }
        }
        return result
    }

    /// The Gaussian error linear unit, exactly: `x/2 (1 + erf(x / sqrt 2))`. O(n).
    ///
    /// Hendrycks, Gimpel: *Gaussian Error Linear Units*, arXiv 1606.08415.
    func gelu() -> Tensor {
        let root = Float(0.5).squareRoot()
        return Tensor(shape: shape, values: values.map { 0.5 * $0 * (1 + erf($0 * root)) })
    }

    /// The leaky rectified linear unit: x, or `slope x` where x is negative; with a slope of 0 the rectified linear
    /// unit. O(n).
    func leakyReLU(slope: Float) -> Tensor {
        Tensor(shape: shape, values: values.map { $0 < 0 ? slope * $0 : $0 })
    }
}

/// Functions of each number and another.
extension Tensor {
    /// The sum, number by number, of two tensors of one shape. O(n).
    static func + (a: Tensor, b: Tensor) -> Tensor { a.combined(with: b, +) }

    /// The product, number by number, of two tensors of one shape. O(n).
    static func * (a: Tensor, b: Tensor) -> Tensor { a.combined(with: b, *) }

    /// `x + shift`, one shift for each channel. O(n).
    ///
    /// - Parameter shift: `[batch, channels]`, for a tensor of `[batch, channels, ...]`.
    func shifted(by shift: Tensor) -> Tensor { channelwise(shift, shift) { x, _, shift in x + shift } }

    /// `x (1 + scale) + shift`, one scale and shift for each channel, or for each number. O(n).
    ///
    /// - Parameters:
    ///   - scale: `[batch, channels]`, for a tensor of `[batch, channels, ...]`, or of the tensor's shape.
    ///   - shift: of the same shape as `scale`.
    func modulated(scale: Tensor, shift: Tensor) -> Tensor {
        if scale.shape == shape { return combined(with: scale) { x, scale in x * (1 + scale) } + shift }
        return channelwise(scale, shift) { x, scale, shift in x * (1 + scale) + shift }
    }

    /// Each element's channels replaced by the nearest entry of a codebook, the first of those equally near.
    /// O(elements * entries * width).
    ///
    /// - Parameter codebook: `[entries, width]`, for a tensor of `[batch, width, ...]`.
    package func nearest(in codebook: Tensor) -> Tensor {
        let (width, inner) = (codebook.shape[1], shape[2...].reduce(1, *))
        let entries = nearestEntries(of: codebook)
        return Tensor(shape: shape) { result in
            codebook.values.withUnsafeBufferPointer { codes in
                for (element, entry) in entries.enumerated() {
                    let first = element / inner * width * inner + element % inner
                    for channel in 0..<width {
                        result[first + channel * inner] = codes[entry * width + channel]
                    }
                }
            }
        }
    }

    /// For each element the index of the nearest entry of a codebook, the first of those equally near; `[batch, ...]`,
    /// last axis fastest. Distances are computed in double precision. O(elements * entries * width).
    ///
    /// - Parameter codebook: `[entries, width]`, for a tensor of `[batch, width, ...]`.
    package func nearestEntries(of codebook: Tensor) -> [Int] {
        let (entries, width) = (codebook.shape[0], codebook.shape[1])
        precondition(entries > 0 && shape[1] == width, "entries \(codebook.shape) do not fit \(shape)")
        let inner = shape[2...].reduce(1, *)
        // Channel by channel, so that the innermost loop runs over neighbouring entries.
        let codes = codebook.transposed().values.map(Double.init)
        var distances = [Double](repeating: 0, count: entries)
        return values.withUnsafeBufferPointer { values in
            codes.withUnsafeBufferPointer { codes in
                distances.withUnsafeMutableBufferPointer { distances in
                    (0..<shape[0] * inner).map { element in
                        let first = element / inner * width * inner + element % inner
                        distances.update(repeating: 0)
                        for channel in 0..<width {
                            let (value, row) = (Double(values[first + channel * inner]), channel * entries)
                            for entry in 0..<entries {
                                let gap = value - codes[row + entry]
                                distances[entry] += gap * gap
                            }
                        }
                        var best = 0
                        for entry in distances.indices.dropFirst() where distances[entry] < distances[best] {
                            best = entry
                        }
                        return best
                    }
                }
            }
        }
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
