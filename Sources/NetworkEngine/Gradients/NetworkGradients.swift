import Networks
import Synchronization
import TensorFiles

/// Gradients of losses of networks with respect to parameters and inputs.
///
/// One network and one loss:
///
/// ```swift
/// let gradients = NetworkGradients()
/// let (loss, slopes) = try gradients(network, parameters: weights, images: [x, y], shared: [time, key]) { output in
///     let differences = zip(output.values, target.values).map { $0 - $1 }
///     let loss = differences.reduce(0) { $0 + Double($1 * $1) } / Double(output.count)
///     return (loss, Tensor(shape: output.shape, values: differences.map { 2 * $0 / Float(output.count) }))
/// }
/// ```
///
/// Several networks, several losses, or frozen parameters: a `tape(_:trains:)`.
///
/// Runs on the same kernels as `CompiledNetwork`: convolutions of 3 x 3 and 3 x 3 x 3 and both their gradients in
/// Winograd's form. The gradients have the same bits on any number of threads.
package final class NetworkGradients: Sendable {
    private let workers: WorkerPool
    private let recomputes: Bool
    private let memory = BufferPool()
    private let spares = SpareGradients()

    /// - Parameters:
    ///   - options: the threads to keep busy.
    ///   - recomputesActivations: whether each layer is evaluated a second time in the backward pass, rather than
    ///     all activations kept: slower, for a fraction of the memory. The gradients are bit-identical.
    package init(options: ComputeOptions = ComputeOptions(), recomputesActivations: Bool = false) {
        recomputes = recomputesActivations
        workers = WorkerPool(threads: options.threads)
    }

    /// An empty tape.
    ///
    /// Memory is kept from tape to tape, except for what the last one did not need.
    ///
    /// - Parameters:
    ///   - parameters: every parameter of the networks that it will evaluate, by name.
    ///   - trains: whether a parameter's gradient is wanted, by its name. The others cost nothing.
    package func tape(
        _ parameters: [String: Tensor], trains: @escaping (String) -> Bool = { _ in true }
    ) -> GradientTape {
        memory.releaseUnused()
        return GradientTape(
            parameters: parameters, trains: trains, memory: memory, spares: spares, workers: workers,
            recomputes: recomputes)
    }

    /// Evaluates a network on a batch, forwards and backwards.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - parameters: every parameter of the network, by name.
    ///   - images: `[batch, channels, ...]`, one for each of the network's images.
    ///   - shared: one for each of the network's shared inputs, `[batch, ...]`.
    ///   - loss: given the output, `[batch, channels, ...]`, its loss and the loss's gradient with respect to it.
    /// - Returns: the loss, and its gradient with respect to each parameter, by name, in the parameter's shape;
    ///   zeros where the loss does not depend on it.
    /// - Throws: `UnsupportedOperation` naming an operation that has no gradient here.
    package func callAsFunction(
        _ network: some Network, parameters: [String: Tensor], images: [Tensor], shared: [Tensor] = [],
        loss: (_ output: Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor]) {
        let tape = tape(parameters)
        let output = try tape.evaluate(network, images: images.map { tape.input($0) }, shared: shared)
        let (value, slope) = loss(tape.tensor(output))
        try tape.differentiate([(output, slope)])
        let gradients = parameters.map { ($0, tape.gradient(of: Parameter($0, $1.shape))) }
        return (value, Dictionary(uniqueKeysWithValues: gradients))
    }
}

/// Arrays of gradients that are no longer used, by the name of their parameter, for the next tape: fresh memory for all of
/// them in every step would cost more than writing them.
final class SpareGradients: Sendable {
    private let arrays = Mutex<[String: [Float]]>([:])

    /// An array for a parameter, whose numbers are to be written.
    func take(_ name: String, count: Int) -> [Float] {
        if let known = arrays.withLock({ $0.removeValue(forKey: name) }), known.count == count { return known }
        return [Float](unsafeUninitializedCapacity: count) { $1 = count }
    }

    func give(_ gradients: [String: [Float]]) {
        arrays.withLock { $0.merge(gradients) { known, _ in known } }
    }
}
