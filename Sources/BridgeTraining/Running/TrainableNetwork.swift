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
    ///   - recomputesActivations: whether to save memory by evaluating layers twice, which makes a step slower.
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
        let kept = architecture.graph(batch: 1, size: [rows, columns])
            .numbersKept(recomputing: recomputesActivations)
        return bytes(
            toTrain: architecture.parameters, activations: Double(configuration.batch) * kept)
    }
}

/// The bytes of parameters with their gradients, moments and average, and of so many other numbers; at most `Int.max`.
package func bytes(toTrain parameters: [Parameter], activations: Double) -> Int {
    let numbers = parameters.reduce(0.0) { sum, parameter in
        sum + parameter.shape.reduce(1) { $0 * Double($1) }
    }
    return Int(exactly: (4 * (activations + 5 * numbers)).rounded()) ?? .max
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
        self.init(initial: parameters, seed: seed) { Self.isLastOfBlock($0) ? .zero : nil }
    }

    /// Whether a layer is the last convolution of a residual block, of an attention or of the network, by its name.
    package static func isLastOfBlock(_ path: String) -> Bool {
        path == "out.2" || path.hasSuffix(".out_layers.3") || path.hasSuffix(".proj_out")
    }

    /// The numbers that a layer's parameters start with.
    package enum InitialValues {
        case zero
        /// Uniform on plus or minus the bound; the bias as PyTorch's default.
        case uniform(bound: Float)
        /// Normal with this deviation; the bias as PyTorch's default.
        case normal(deviation: Float)
    }

    /// The initial parameters of a network, a function of the seed.
    ///
    /// - Parameters:
    ///   - parameters: those of the network, with names that end in `weight` and `bias`.
    ///   - seed: the seed of the random numbers.
    ///   - exception: given the name of a layer, how it starts; nil for PyTorch's default.
    package init(
        initial parameters: [Parameter], seed: UInt64, exception: (_ path: String) -> InitialValues?
    ) {
        let shapes = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.shape) })
        let randomness = Randomness(seed: seed)
        let arrays = parameters.enumerated().map { index, parameter -> [Float] in
            let count = parameter.shape.reduce(1, *)
            let path = parameter.name.split(separator: ".").dropLast().joined(separator: ".")
            guard let weight = shapes["\(path).weight"], weight.count > 1 else {
                return [Float](repeating: parameter.name.hasSuffix(".weight") ? 1 : 0, count: count)
            }
            var bound = 1 / Float(weight[1...].reduce(1, *)).squareRoot()
            let isWeight = parameter.name.hasSuffix(".weight")
            switch exception(path) {
            case .zero: return [Float](repeating: 0, count: count)
            case .uniform(let stated) where isWeight: bound = stated
            case .normal(let deviation) where isWeight:
                return randomness.normal(count, of: UInt32(index)).map { deviation * $0 }
            default: break
            }
            return randomness.uniform(count, of: UInt32(index)).map { bound * $0 }
        }
        self.init(parameters, arrays: arrays)
    }
}
