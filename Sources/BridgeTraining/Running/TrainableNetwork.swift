public import NetworkEngine
public import Networks
import ReferenceUNet
public import TensorFiles
import VoxelSupport

/// A network that can be trained: its parameters, the gradients of a loss, and its evaluation.
///
/// The package provides ``TrainableUNet``.
///
/// ## Laws that a conformer keeps
/// - Results depend only on the arguments, to the bit: not on threads or earlier calls.
public protocol TrainableNetwork: Sendable {
    /// Names and shapes of the parameters, in the order of weights files.
    var parameters: [Parameter] { get }

    /// The metadata that makes a file of the parameters a complete model.
    var metadata: [String: String] { get throws }

    /// The parameters before the first step, a function of the seed.
    func initialParameters(seed: UInt64) -> ParameterSet

    /// The loss of a batch and its gradients with respect to all parameters.
    ///
    /// - Parameters:
    ///   - parameters: the network's, by name.
    ///   - batch: the inputs.
    ///   - loss: the value of the loss for an output, `[batch, 2N + 1, rows, columns]`, and its gradient.
    func gradients(
        of parameters: [String: Tensor], on batch: WindowBatch,
        loss: (Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor])

    /// The network with these parameters: a function from batches to outputs, `[batch, 2N + 1, rows, columns]`.
    func evaluator(of parameters: [String: Tensor]) throws -> @Sendable (WindowBatch) throws -> Tensor
}

/// The input of a network: windows of noisy slices and their sources.
public struct WindowBatch: Equatable, Sendable {
    /// x_t, `[batch, 2N + 1, rows, columns]`.
    public var noisy: Tensor
    /// y, of the same shape.
    public let source: Tensor
    /// t of each window.
    public var timesteps: [Float]
    /// The style key of each window, `[batch, 3, bins]`.
    public let keys: Tensor

    /// A batch.
    public init(noisy: Tensor, source: Tensor, timesteps: [Float], keys: Tensor) {
        (self.noisy, self.source, self.timesteps, self.keys) = (noisy, source, timesteps, keys)
    }
}

/// A trainable U-Net.
public struct TrainableUNet: TrainableNetwork {
    /// The network's dimensions.
    public let configuration: UNetConfiguration

    private let architecture: UNetArchitecture
    private let differentiated: NetworkGradients
    private let options: ComputeOptions

    /// A network with a valid configuration.
    ///
    /// - Parameters:
    ///   - configuration: the network's dimensions.
    ///   - options: threads and memory. Results do not depend on them.
    ///   - recomputesActivations: whether to save memory by evaluating layers twice, which takes 27 % more time.
    ///     Results do not depend on it.
    public init(
        _ configuration: UNetConfiguration, options: ComputeOptions = ComputeOptions(),
        recomputesActivations: Bool = false
    ) {
        self.configuration = configuration
        self.options = options
        architecture = UNetArchitecture(configuration)
        differentiated = NetworkGradients(options: options, recomputesActivations: recomputesActivations)
    }

    /// Every parameter, under its published name without prefix.
    public var parameters: [Parameter] { architecture.parameters }

    /// The network's configuration, with the weights marked as a moving average.
    public var metadata: [String: String] {
        get throws { try configuration.metadata(of: .ema) }
    }

    /// Random weights; see ``ParameterSet/init(initial:seed:)``.
    public func initialParameters(seed: UInt64) -> ParameterSet {
        ParameterSet(initial: parameters, seed: seed)
    }

    /// The loss of a batch and its gradients, by `NetworkGradients`.
    public func gradients(
        of parameters: [String: Tensor], on batch: WindowBatch,
        loss: (Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor]) {
        try differentiated(
            architecture, parameters: parameters, images: [batch.noisy, batch.source],
            shared: [architecture.sinusoids(of: batch.timesteps)]
                + (configuration.contextWidth == nil ? [] : [batch.keys]), loss: loss)
    }

    /// The compiled network with these parameters, which evaluates a batch window by window.
    public func evaluator(of parameters: [String: Tensor]) throws -> @Sendable (WindowBatch) throws -> Tensor {
        let size = max(1, 160 / configuration.sizeMultiple) * configuration.sizeMultiple
        let network = try CompiledNetwork(architecture, planned: [size, size], options: options) { parameter in
            guard let tensor = parameters[parameter.name] else { preconditionFailure("no \(parameter.name)") }
            return tensor
        }
        return { [architecture, takesKey = configuration.contextWidth != nil] batch in
            let outputs = try batch.timesteps.indices.map { item in
                try TimeLimit.check()
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

extension TrainableUNet {
    /// A lower bound of the bytes of memory that a step needs: the activations of a batch, and the parameters with their
    /// gradients, moments and average.
    package static func memory(
        toTrain configuration: TrainingConfiguration, rows: Int, columns: Int, recomputesActivations: Bool
    ) -> Int {
        let architecture = UNetArchitecture(configuration.network)
        let graph = architecture.graph(batch: 1, size: [rows, columns])
        // Within a segment only its result is kept where it is recomputed.
        let hidden =
            recomputesActivations ? graph.segments.map { $0.nodes.lowerBound..<$0.nodes.upperBound - 1 } : []
        let kept = graph.nodes.indices.filter { node in !hidden.contains { $0.contains(node) } }
            .reduce(0) { $0 + graph.nodes[$1].shape.reduce(1, *) }
        let parameters = architecture.parameters.reduce(0) { $0 + $1.shape.reduce(1, *) }
        let (activations, isBeyond) = kept.multipliedReportingOverflow(by: configuration.batch)
        return isBeyond || activations > .max / 8 ? .max : 4 * (activations + 5 * parameters)
    }
}

extension ParameterSet {
    /// The initial parameters of a U-Net, a function of the seed.
    ///
    /// - Convolutions and linear maps, weights and biases: uniform on [-b, b] with b = 1 / sqrt(fan-in), PyTorch's
    ///   default (He et al., arXiv 1502.01852, with a gain of 1 / sqrt(3)).
    /// - Normalisations: scale 1, shift 0.
    /// - The last convolution of every residual block, of every attention, and of the network: 0, so that each block
    ///   starts as the identity and the network's output as 0 (Dhariwal, Nichol, arXiv 2105.05233).
    ///
    /// - Parameters:
    ///   - parameters: those of the network, with names that end in `weight` and `bias`.
    ///   - seed: the seed of the random numbers.
    public init(initial parameters: [Parameter], seed: UInt64) {
        let shapes = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.shape) })
        var index: UInt32 = 0
        let randomness = Randomness(seed: seed)
        let arrays = parameters.map { parameter -> [Float] in
            defer { index += 1 }
            let count = parameter.shape.reduce(1, *)
            let path = parameter.name.split(separator: ".").dropLast().joined(separator: ".")
            guard let weight = shapes["\(path).weight"], weight.count > 1 else {
                return [Float](repeating: parameter.name.hasSuffix(".weight") ? 1 : 0, count: count)
            }
            if path == "out.2" || path.hasSuffix(".out_layers.3") || path.hasSuffix(".proj_out") {
                return [Float](repeating: 0, count: count)
            }
            let bound = 1 / Float(weight[1...].reduce(1, *)).squareRoot()
            return randomness.uniform(count, of: index).map { bound * $0 }
        }
        self.init(parameters, arrays: arrays)
    }
}
