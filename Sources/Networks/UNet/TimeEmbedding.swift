import Foundation
import TensorFiles

/// Tells the network how far along the path it is: `[batch, width]` sinusoids to `[batch, 4 width]`.
struct TimeEmbedding: Layer {
    let width: Int
    let first, second: Linear

    /// Parameters `path.0` and `path.2`.
    init(_ path: String, width: Int) {
        self.width = width
        first = Linear("\(path).0", inputs: width, outputs: 4 * width)
        second = Linear("\(path).2", inputs: 4 * width, outputs: 4 * width)
    }

    var parameters: [Parameter] { first.parameters + second.parameters }

    /// `[batch, width]` from `sinusoids(of:)` to `[batch, 4 width]`.
    func callAsFunction<A: LayerArithmetic>(_ sinusoids: A.Value, with arithmetic: A) -> A.Value {
        second(arithmetic.silu(first(sinusoids, with: arithmetic)), with: arithmetic)
    }

    /// `cos(f_k t)` for each of width / 2 frequencies, then `sin(f_k t)`: `[batch, width]`.
    ///
    /// `f_k = 10000^(-k / (width / 2))` and the angles are rounded to `Float`, as they were when the weights were
    /// trained: at t = 1000 a finer angle would be a different input.
    ///
    /// Vaswani et al.: *Attention Is All You Need*, arXiv 1706.03762, section 3.5.
    func sinusoids(of timesteps: [Float]) -> Tensor {
        let half = width / 2
        let frequencies = (0..<half).map { exp(Float(-log(10_000.0)) * Float($0) / Float(half)) }
        let values = timesteps.flatMap { time in
            let angles = frequencies.map { time * $0 }
            return angles.map { cos($0) } + angles.map { sin($0) }
        }
        return Tensor(shape: [timesteps.count, width], values: values)
    }
}
