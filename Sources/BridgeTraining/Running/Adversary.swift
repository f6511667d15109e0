import BridgeDiffusion
import NetworkEngine
import Networks
import TensorFiles

/// Judges a network's estimates of x_0 with a discriminator of patches that sees the source beside them.
struct Adversary: Sendable {
    /// The settings.
    let settings: AdversarialSettings
    private let discriminator: PatchDiscriminator
    private let engine: NetworkGradients
    private let path: any GaussianPath
    private let predictionType: PredictionType

    /// A judge of windows of slices; nil if the configuration has none.
    ///
    /// - Throws: `TrainingConfigurationError` if slices of this size are too small for the discriminator.
    init?(
        _ configuration: TrainingConfiguration, path: any GaussianPath, dataset: any TrainingDataset,
        options: ComputeOptions
    ) throws(TrainingConfigurationError) {
        guard let settings = configuration.adversarial else { return nil }
        self.settings = settings
        discriminator = PatchDiscriminator(settings, radius: dataset.radius)
        guard discriminator.patches(of: [dataset.rows, dataset.columns]) != nil else {
            throw TrainingConfigurationError(
                field: "adversarial.layers", found: "\(settings.layers)",
                expected: "fewer, since slices of \(dataset.columns) x \(dataset.rows) voxels leave no patch")
        }
        engine = NetworkGradients(options: options)
        (self.path, predictionType) = (path, configuration.predictionType)
    }

    /// The discriminator's parameters before the first step.
    func initialParameters(seed: UInt64) -> ParameterSet {
        // Other numbers than the network's.
        ParameterSet(initial: discriminator.parameters, seed: ~seed)
    }

    /// What the discriminator says of a batch.
    struct Judgement: Sendable {
        /// The loss of the network, without its weight.
        let loss: Double
        /// The gradient of that loss with respect to the network's output.
        let gradient: Tensor
        /// The loss of the discriminator: the mean of those of targets and estimates.
        let discriminatorLoss: Double
        /// The gradients of that loss with respect to the discriminator's parameters.
        let discriminatorGradients: [String: Tensor]
    }

    /// Judges a batch.
    ///
    /// - Parameters:
    ///   - output: the network's output.
    ///   - target: its training target, of the same shape.
    ///   - batch: its input.
    ///   - parameters: those of the discriminator, by name.
    func judge(
        _ output: Tensor, target: Tensor, of batch: WindowBatch, parameters: [String: Tensor]
    ) throws -> Judgement {
        let fake = pair(output, of: batch)
        // The network: only the gradient of the estimate.
        let frozen = engine.tape(parameters) { _ in false }
        let image = frozen.input(fake, wantsGradient: true)
        let logits = try frozen.evaluate(discriminator, images: [image])
        let (loss, slope) = settings.loss(frozen.tensor(logits), .deception)
        try frozen.differentiate([(logits, slope)])
        // The discriminator: only the gradients of its parameters.
        let learned = engine.tape(parameters)
        var seeds: [(GradientTape.Value, Tensor)] = []
        var discriminatorLoss = 0.0
        for (image, goal) in [(pair(target, of: batch), AdversarialLoss.Goal.real), (fake, .fake)] {
            let logits = try learned.evaluate(discriminator, images: [learned.input(image)])
            var (value, slope) = settings.loss(learned.tensor(logits), goal)
            discriminatorLoss += value / 2
            for index in slope.values.indices { slope.values[index] /= 2 }
            seeds.append((logits, slope))
        }
        try learned.differentiate(seeds)
        return Judgement(
            loss: loss, gradient: outputGradient(of: frozen.gradient(of: image), batch),
            discriminatorLoss: discriminatorLoss, discriminatorGradients: learned.gradients)
    }

    /// The source with the estimate of x_0 beside it, `[batch, 2 (2N + 1), rows, columns]`.
    private func pair(_ output: Tensor, of batch: WindowBatch) -> Tensor {
        var estimate = output
        let length = output.count / batch.timesteps.count
        for (item, timestep) in batch.timesteps.enumerated() {
            let range = item * length..<(item + 1) * length
            let weights = path.estimate(from: predictionType, at: Int(timestep))
            let values = weights(
                noisy: Array(batch.noisy.values[range]), target: Array(output.values[range]),
                source: Array(batch.source.values[range]))
            estimate.values.replaceSubrange(range, with: values)
        }
        return .concatenated([batch.source, estimate], axis: 1)
    }

    /// The gradient with respect to the network's output, from that of a pair.
    private func outputGradient(of pair: Tensor, _ batch: WindowBatch) -> Tensor {
        let slices = pair.shape[1] / 2
        var gradient = pair.slice(axis: 1, slices..<2 * slices)
        let length = gradient.count / batch.timesteps.count
        for (item, timestep) in batch.timesteps.enumerated() {
            let weight = Float(path.estimate(from: predictionType, at: Int(timestep)).target)
            for index in item * length..<(item + 1) * length { gradient.values[index] *= weight }
        }
        return gradient
    }
}

extension PatchDiscriminator {
    /// A discriminator of windows of source slices with the same number of slices of an image beside them.
    init(_ settings: AdversarialSettings, radius: Int) {
        self.init(
            "discriminator.main", axes: 2, inputs: 2 * (2 * radius + 1), width: settings.width,
            layers: settings.layers, groups: settings.groups)
    }
}

extension Tensor {
    /// Adds a tensor of the same shape times a factor.
    mutating func add(_ other: Tensor, weight: Float) {
        for index in values.indices { values[index] += weight * other.values[index] }
    }
}
