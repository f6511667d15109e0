import BridgeTraining
import LatentTranslation
import NetworkEngine
import Networks
import TensorFiles

extension AutoencoderObjective: LatentObjective {
    /// The mean absolute difference of a volume and its reconstruction.
    func loss(of example: Example, by model: LatentModel, in phase: LatentPhase) throws -> Double {
        TrainingLoss.l1(try model.reconstructed(example.volume, in: phase), target: example.volume).value
    }
}

extension TranslatorObjective: LatentObjective {
    /// The mean absolute difference of latents.
    func loss(of example: Example, by model: LatentModel, in phase: LatentPhase) throws -> Double {
        let like = try model.translate(example.latent, to: [example.target])
        return TrainingLoss.l1(like, target: example.targetLatent).value
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

extension LatentModel {
    /// A volume encoded and decoded.
    func reconstructed(_ volume: Tensor, in phase: LatentPhase) throws -> Tensor {
        try decode(phase.quantises ? encode(volume) : features(of: volume))
    }
}
