import Foundation
import TensorFiles

extension Tensor {
    /// The sigmoid linear unit, `x / (1 + e^-x)`. O(n).
    ///
    /// Elfwing, Uchibe, Doya: *Sigmoid-Weighted Linear Units*, 2018.
    public func silu() -> Tensor {
        var result = self
        result.values.withUnsafeMutableBufferPointer { values in
            values.transformInPlace { x in
                let decay = exponentialOfNonPositive(-x.magnitudes)
                let sigmoid = Lanes(repeating: 1).replacing(with: decay, where: x .< 0) / (1 + decay)
                return x * sigmoid
            }
        }
        return result
    }

    /// The Gaussian error linear unit, exactly: `x/2 (1 + erf(x / sqrt 2))`. O(n).
    ///
    /// Hendrycks, Gimpel: *Gaussian Error Linear Units*, arXiv 1606.08415.
    public func gelu() -> Tensor {
        let root = Float(0.5).squareRoot()
        return Tensor(shape: shape, values: values.map { 0.5 * $0 * (1 + erf($0 * root)) })
    }
}

extension Lanes {
    /// The absolute value of each number.
    @inline(__always)
    var magnitudes: Lanes { replacing(with: -self, where: self .< 0) }
}
