import Networks
import TensorFiles

/// The loss of a network on a batch, and its gradient with respect to every parameter.
///
/// ```swift
/// let gradients = NetworkGradients(architecture)
/// let (loss, slopes) = try gradients(parameters: weights, images: [x, y], shared: [time, key]) { output in
///     let differences = zip(output.values, target.values).map { $0 - $1 }
///     let loss = differences.reduce(0) { $0 + Double($1 * $1) } / Double(output.count)
///     return (loss, Tensor(shape: output.shape, values: differences.map { 2 * $0 / Float(output.count) }))
/// }
/// ```
///
/// Runs on the same kernels as `CompiledNetwork`: 3 x 3 convolutions and both their gradients in Winograd's form.
/// The gradients have the same bits on any number of threads.
package final class NetworkGradients: Sendable {
    private let network: any Network
    private let workers: WorkerPool
    private let recomputes: Bool
    /// The graph of the last shapes of inputs, and the memory of their batches.
    private let prepared = RecentValues<[[Int]], Prepared>(capacity: 1)

    private struct Prepared: Sendable {
        let graph: Graph
        let memory = BufferPool()
    }

    /// - Parameters:
    ///   - network: the network.
    ///   - options: the threads to keep busy.
    ///   - recomputesActivations: whether each layer is evaluated a second time in the backward pass, rather than
    ///     all activations kept: 27 % more time, for a fraction of the memory. The gradients are bit-identical.
    package init(
        _ network: any Network, options: ComputeOptions = ComputeOptions(), recomputesActivations: Bool = false
    ) {
        self.network = network
        recomputes = recomputesActivations
        workers = WorkerPool(threads: options.threads)
    }

    /// Evaluates the network on a batch, forwards and backwards.
    ///
    /// - Parameters:
    ///   - parameters: every parameter of the network, by name.
    ///   - images: `[batch, channels, rows, columns]`, one for each of the network's images.
    ///   - shared: one for each of the network's shared inputs, `[batch, ...]`.
    ///   - loss: given the output, `[batch, channels, rows, columns]`, its loss and the loss's gradient with
    ///     respect to it.
    /// - Returns: the loss, and its gradient with respect to each parameter, by name, in the parameter's shape;
    ///   zeros where the loss does not depend on it.
    /// - Throws: `UnsupportedOperation` naming an operation that has no gradient here.
    package func callAsFunction(
        parameters: [String: Tensor], images: [Tensor], shared: [Tensor],
        loss: (_ output: Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor]) {
        let shapes = (images + shared).map(\.shape)
        let prepared = prepared.value(of: shapes) {
            Prepared(graph: network.graph(batch: shapes[0][0], size: Array(shapes[0][2...])))
        }
        precondition(
            prepared.graph.imageShapes + prepared.graph.sharedShapes == shapes,
            "inputs of \(shapes) are not those of the network")
        let tape = GradientTape(
            parameters: parameters, memory: prepared.memory, workers: workers, recomputes: recomputes)
        let output = try tape.evaluate(prepared.graph, images: images, shared: shared)
        let (value, slope) = loss(tape.tensor(output))
        try tape.differentiate(output, gradient: slope)
        let gradients = parameters.map { name, parameter in
            let gradient = tape.gradients[name].map { Tensor(shape: parameter.shape, values: $0) }
            return (name, gradient ?? Tensor(shape: parameter.shape))
        }
        return (value, Dictionary(uniqueKeysWithValues: gradients))
    }
}
