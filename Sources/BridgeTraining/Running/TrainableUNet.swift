import Foundation
public import NetworkEngine
public import Networks
import ReferenceUNet
public import TensorFiles

/// A U-Net to be trained.
public struct TrainableUNet: TrainableNetwork {
    /// The sizes of the network.
    public let configuration: UNetConfiguration

    private let architecture: UNetArchitecture
    private let differentiated: NetworkGradients
    private let options: ComputeOptions

    /// A network of these sizes.
    ///
    /// - Parameters:
    ///   - configuration: a valid one.
    ///   - options: how much of the machine to take. No result depends on it.
    ///   - recomputesActivations: whether memory is saved by evaluating layers twice, which takes 27 % more time. No
    ///     result depends on it either.
    public init(
        _ configuration: UNetConfiguration, options: ComputeOptions = ComputeOptions(),
        recomputesActivations: Bool = false
    ) {
        self.configuration = configuration
        self.options = options
        architecture = UNetArchitecture(configuration)
        differentiated = NetworkGradients(
            architecture, options: options, recomputesActivations: recomputesActivations)
    }

    /// Every parameter, under its published name without prefix.
    public var parameters: [Parameter] { architecture.parameters }

    /// The network's configuration, and that the weights are a moving average: a file that has this is a whole model.
    public var metadata: [String: String] {
        get throws { try configuration.metadata(of: .ema) }
    }

    /// Random weights; see `ParameterSet.init(initial:seed:)`.
    public func initialParameters(seed: UInt64) -> ParameterSet {
        ParameterSet(initial: parameters, seed: seed)
    }

    /// The loss of a batch and its gradients, by `NetworkGradients`.
    public func gradients(
        of parameters: [String: Tensor], on batch: WindowBatch,
        loss: (Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor]) {
        try differentiated(
            parameters: parameters, images: [batch.noisy, batch.source],
            shared: [architecture.sinusoids(of: batch.timesteps)]
                + (configuration.contextWidth == nil ? [] : [batch.keys]), loss: loss)
    }

    /// The compiled network with these parameters, which evaluates the windows of a batch one after another.
    public func evaluator(of parameters: [String: Tensor]) throws -> @Sendable (WindowBatch) throws -> Tensor {
        let size = max(1, 160 / configuration.sizeMultiple) * configuration.sizeMultiple
        let network = try CompiledNetwork(architecture, planned: (size, size), options: options) { parameter in
            guard let tensor = parameters[parameter.name] else { preconditionFailure("no \(parameter.name)") }
            return tensor
        }
        return { [architecture, takesKey = configuration.contextWidth != nil] batch in
            let outputs = try batch.timesteps.indices.map { item in
                func part(_ tensor: Tensor) -> Tensor { tensor.slice(axis: 0, item..<item + 1) }
                return try network(
                    images: [part(batch.noisy), part(batch.source)],
                    shared: [architecture.sinusoids(of: [batch.timesteps[item]])]
                        + (takesKey ? [part(batch.keys)] : []))
            }
            return .concatenated(outputs, axis: 0)
        }
    }
}
