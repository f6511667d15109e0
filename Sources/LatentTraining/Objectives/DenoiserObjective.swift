import BridgeDiffusion
import BridgeTraining
import LatentTranslation
import DiffusionSampling
import NetworkEngine
import Networks
import TensorFiles

/// The loss of the third stage: the distance between the network's target, the noise as published, and its prediction.
/// All but the denoiser is frozen.
struct DenoiserObjective: Sendable {
    /// What the denoiser is trained on, latents times the scale, `[1, z channels, ...]`.
    struct Example {
        /// z_0 of the target.
        let target: Tensor
        /// The source's latent and its translation along channels, or the latter alone.
        let conditioningLatents: Tensor
        let noise: Tensor
        let timestep: Int
        let targetClass: Int
    }

    let path: any GaussianPath
    let predictionType: PredictionType
    let losses: DenoiserLosses
    let trained: [Parameter]

    private let network: LatentUNet3D

    init(
        _ sizes: LatentUNetConfiguration, path: any GaussianPath, predicting predictionType: PredictionType,
        losses: DenoiserLosses
    ) {
        (self.path, self.predictionType, self.losses) = (path, predictionType, losses)
        network = LatentUNet3D(sizes)
        trained = network.parameters
    }

    /// The loss of a batch and its gradient.
    func callAsFunction(
        _ parameters: [String: Tensor], _ examples: [Example], engine: NetworkGradients
    ) throws -> ObjectiveResult {
        var result = ObjectiveResult(trained)
        let share = 1 / Double(examples.count)
        for example in examples {
            let tape = engine.tape(parameters)
            let output = try tape.evaluate(
                network, images: [tape.input(noisy(example)), tape.input(example.conditioningLatents)],
                shared: network.sharedInputs(
                    timesteps: [Float(example.timestep)], targets: [example.targetClass]))
            let (value, gradient) = losses.noise(tape.tensor(output), target: target(example))
            result.add(share * value, weight: 1, to: "noise")
            try tape.differentiate([(output, gradient.scaled(by: share))])
            try result.add(tape.gradients)
        }
        return result
    }

    /// x_t.
    func noisy(_ example: Example) -> Tensor {
        combined(path.forwardSample(at: example.timestep), of: example)
    }

    /// What the network is trained to predict.
    func target(_ example: Example) -> Tensor {
        combined(path.trainingTarget(of: predictionType, at: example.timestep), of: example)
    }

    /// The process starts at noise: it has no source, and any values do.
    private func combined(_ combination: PathCombination, of example: Example) -> Tensor {
        Tensor(
            shape: example.target.shape,
            values: combination(
                target: example.target.values, source: example.target.values, noise: example.noise.values))
    }
}

extension DenoiserObjective: LatentObjective {
    var discriminator: PatchDiscriminator? { nil }

    func callAsFunction(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult {
        try self(parameters, examples, engine: engine)
    }

    func ofDiscriminator(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult? { nil }

    /// The distance between the network's target and its prediction.
    func loss(of example: Example, by model: LatentModel, in phase: LatentPhase) throws -> Double {
        let output = try model.predict(
            noisy(example), conditioningLatents: example.conditioningLatents,
            timesteps: [Float(example.timestep)],
            targets: [example.targetClass])
        return losses.noise(output, target: target(example)).value
    }
}
