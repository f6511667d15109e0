import BridgeTraining
import LatentTranslation
import NetworkEngine
import Networks
import TensorFiles

/// The losses of the second stage: the mean absolute difference of latents, a discriminator that tells their modality, and
/// the way to a target and back. All but the translator is frozen.
struct TranslatorObjective: Sendable {
    /// The latents of one subject's two modalities, `[1, z channels, ...]`, and their classes.
    struct Example {
        let latent, targetLatent: Tensor
        let source, target: Int
        /// The source itself, `[1, 1, z, y, x]`, for the way back in the space of volumes.
        let volume: Tensor?
    }

    let sizes: AutoencoderConfiguration
    let losses: TranslatorLosses
    /// nil where it has no weight.
    let discriminator: PatchDiscriminator?
    /// What is trained, without the discriminator.
    let trained: [Parameter]

    private let names: Set<String>

    init(_ sizes: AutoencoderConfiguration, losses: TranslatorLosses) {
        (self.sizes, self.losses) = (sizes, losses)
        discriminator =
            losses.adversarial.weight > 0
            ? PatchDiscriminator(
                losses.adversarial, inputs: sizes.latentChannels, outputs: sizes.classes + 1) : nil
        trained = sizes.translatorParameters
        names = Set(trained.map(\.name))
    }

    /// Whether examples need their volumes.
    var needsVolumes: Bool { losses.cycle.weight > 0 && losses.cycle.space == .volume }

    /// The discriminator's class of translated latents.
    private var fakeClass: Int { losses.fakeClass ?? sizes.classes }

    /// The loss of a batch and its gradient; as of ``AutoencoderObjective``.
    func callAsFunction(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult {
        var result = ObjectiveResult(trained)
        let share = 1 / Double(examples.count)
        for example in examples {
            let tape = engine.tape(parameters, trains: names.contains)
            let there = try tape.evaluate(
                SpadeTranslator(sizes, target: example.target), images: [tape.input(example.latent)])
            let like = tape.tensor(there)
            let l1 = TrainingLoss.l1(like, target: example.targetLatent)
            result.add(share * l1.value, weight: 1, to: "reconstruction")
            var slopes: [Slope] = [(there, l1.gradient.scaled(by: share))]
            if losses.cycle.weight > 0 {
                let (value, slope) = try cycle(tape, there, example)
                result.add(share * value, weight: losses.cycle.weight, to: "cycle")
                slopes.append((slope.value, slope.gradient.scaled(by: share * losses.cycle.weight)))
            }
            if phase.isAdversarial, let discriminator {
                let weight = losses.adversarial.weight
                let judge = engine.tape(parameters) { _ in false }
                let input = judge.input(like, wantsGradient: true)
                let logits = try judge.evaluate(discriminator, images: [input])
                let (value, gradient) = classLoss(judge.tensor(logits), label: example.target)
                result.add(share * value, weight: weight, to: "generator")
                try judge.differentiate([(logits, gradient.scaled(by: share * weight))])
                slopes.append((there, judge.gradient(of: input)))
            }
            try tape.differentiate(slopes)
            try result.add(tape.gradients)
        }
        return result
    }

    private func cycle(
        _ tape: GradientTape, _ there: GradientTape.Value, _ example: Example
    ) throws -> (value: Double, slope: Slope) {
        guard losses.cycle.space == .volume, let volume = example.volume else {
            let translator = SpadeTranslator(sizes, target: example.source)
            let back = try tape.evaluate(translator, images: [there])
            let l1 = TrainingLoss.l1(tape.tensor(back), target: example.latent)
            return (l1.value, (back, l1.gradient))
        }
        return try tape.cycleInVolume(from: there, to: example.source, volume: volume, sizes)
    }

    /// The loss of the discriminator, 0.5 (CE(D(z_y), k) + CE(D(z'), fake)), and its gradient.
    func ofDiscriminator(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult? {
        guard let discriminator else { return nil }
        var result = ObjectiveResult(discriminator.parameters)
        let names = Set(discriminator.parameters.map(\.name))
        let share = 0.5 / Double(examples.count)
        for example in examples {
            let tape = engine.tape(parameters, trains: names.contains)
            let fake = try tape.evaluate(
                SpadeTranslator(sizes, target: example.target), images: [tape.input(example.latent)])
            var slopes: [Slope] = []
            for (latent, label) in [(tape.input(example.targetLatent), example.target), (fake, fakeClass)] {
                let logits = try tape.evaluate(discriminator, images: [latent])
                let (value, gradient) = classLoss(tape.tensor(logits), label: label)
                result.add(share * value, weight: 1, to: "discriminator")
                slopes.append((logits, gradient.scaled(by: share)))
            }
            try tape.differentiate(slopes)
            try result.add(tape.gradients)
        }
        return result
    }
}

extension TranslatorObjective: LatentObjective {
    /// The mean absolute difference of latents.
    func loss(of example: Example, by model: LatentModel, in phase: LatentPhase) throws -> Double {
        let like = try model.translate(example.latent, to: [example.target])
        return TrainingLoss.l1(like, target: example.targetLatent).value
    }
}
