import Networks
import TensorFiles

/// The loss of a network on a batch, and how it changes with every parameter.
///
/// ```swift
/// let gradients = NetworkGradients(architecture)
/// let (loss, slopes) = gradients(parameters: weights, images: [x, y], shared: [time, key]) { output in
///     meanAbsolute(output - target)
/// }
/// ```
///
/// Runs on the same kernels as `CompiledNetwork`: 3 x 3 convolutions and both their gradients in Winograd's form.
/// The gradients have the same bits on any number of threads.
public final class NetworkGradients: Sendable {
    private let network: any CompilableNetwork
    private let workers: WorkerPool
    private let recomputes: Bool
    private let memory = BufferPool()

    /// - Parameters:
    ///   - network: the network.
    ///   - options: the threads to keep busy.
    ///   - recomputesActivations: whether each layer is evaluated a second time on the way back, rather than
    ///     everything that it computed kept: a third more time, for a fraction of the memory. The gradients are
    ///     the same to the bit.
    public init(
        _ network: any CompilableNetwork, options: ComputeOptions = ComputeOptions(),
        recomputesActivations: Bool = false
    ) {
        self.network = network
        recomputes = recomputesActivations
        workers = WorkerPool(threads: options.threads)
    }

    /// Evaluates the network on a batch, and goes back through it.
    ///
    /// - Parameters:
    ///   - parameters: every parameter of the network, by name.
    ///   - images: `[batch, channels, rows, columns]`, one for each of the network's images.
    ///   - shared: one for each of the network's shared inputs, with a first axis of `batch` in place of 1.
    ///   - loss: given the output, `[batch, channels, rows, columns]`, its loss and the loss's gradient with
    ///     respect to it.
    /// - Returns: the loss, and its gradient with respect to each parameter, by name.
    public func callAsFunction(
        parameters: [String: Tensor], images: [Tensor], shared: [Tensor],
        loss: (_ output: Tensor) -> (value: Double, gradient: Tensor)
    ) -> (loss: Double, gradients: [String: Tensor]) {
        let tape = GradientTape(
            parameters: parameters, memory: memory, workers: workers, recomputes: recomputes)
        let output = network(
            images: images.map { tape.input($0, isTokens: false) },
            shared: shared.map { tape.input($0, isTokens: $0.shape.count == 3) }, with: tape)
        let (value, slope) = loss(tape.tensor(output))
        tape.differentiate(output, gradient: slope)
        return (value, tape.tensors)
    }
}

extension GradientTape {
    /// The gradient of each parameter, in its shape; zeros where the loss does not depend on it.
    fileprivate var tensors: [String: Tensor] {
        parameters.reduce(into: [:]) { tensors, parameter in
            tensors[parameter.key] =
                gradients[parameter.key].map { Tensor(shape: parameter.value.shape, values: $0) }
                ?? Tensor(shape: parameter.value.shape)
        }
    }
}
