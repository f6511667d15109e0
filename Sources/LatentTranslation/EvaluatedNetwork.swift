import NetworkEngine
import Networks
import TensorFiles

/// One network of a model with its weights: evaluates items of a batch one after another, so that each has the same bits in
/// any batch.
struct EvaluatedNetwork: Sendable {
    private let compiled: CompiledNetwork

    /// Reads a network's weights.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - size: the spatial extents of the images expected, by which an engine may plan. Others work too.
    ///   - options: the part of the machine that an engine may use.
    ///   - read: reads a parameter, in any order.
    /// - Throws: what `read` throws.
    init(
        _ network: any Network, planned size: [Int], options: ComputeOptions,
        read: @Sendable (Parameter) throws -> Tensor
    ) throws {
        compiled = try CompiledNetwork(network, planned: size, options: options, read: read)
    }

    /// A fingerprint of the weights.
    var fingerprint: UInt64 { compiled.fingerprint }

    /// The result for images `[batch, channels, ...]` and shared inputs `[batch, ...]`.
    ///
    /// - Throws: `CancellationError`; `UnsupportedOperation`.
    func callAsFunction(_ images: [Tensor], shared: [Tensor] = []) throws -> Tensor {
        let results = try (0..<images[0].shape[0]).map { item in
            try Task.checkCancellation()
            return try compiled(
                images: images.map { $0.slice(axis: 0, item..<item + 1) },
                shared: shared.map { $0.slice(axis: 0, item..<item + 1) })
        }
        return .concatenated(results, axis: 0)
    }
}
