import BridgeTraining
import LatentTranslation
import NetworkEngine
import Networks
import TensorFiles

/// The losses of the first stage: mean absolute difference, codebook, discriminator, features, and the way to a target and
/// back.
///
/// An example is computed on its own, and gradients are summed in their order.
struct AutoencoderObjective: Sendable {
    /// A volume, `[1, 1, z, y, x]`, and the classes of its modality and of another one.
    struct Example {
        let volume: Tensor
        let source, target: Int
    }

    let sizes: AutoencoderConfiguration
    let losses: AutoencoderLosses
    let features: (any FeatureNetwork)?
    /// nil where it has no weight.
    let discriminator: PatchDiscriminator?

    /// What is trained, without the discriminator.
    let trained: [Parameter]

    let encoder: LatentEncoder
    private let decoder: LatentDecoder
    let codebook: Codebook
    private let names: Set<String>

    /// The decoder's last weight, where the adversarial loss is weighed.
    private static let lastWeight = "decoder.conv_out.weight"

    init(_ sizes: AutoencoderConfiguration, losses: AutoencoderLosses, features: (any FeatureNetwork)? = nil) {
        (self.sizes, self.losses, self.features) = (sizes, losses, features)
        (encoder, decoder, codebook) = (LatentEncoder(sizes), LatentDecoder(sizes), Codebook(sizes))
        discriminator =
            losses.adversarial.weight > 0
            ? PatchDiscriminator(losses.adversarial, inputs: sizes.inputChannels, outputs: 1) : nil
        trained =
            encoder.parameters + decoder.parameters + codebook.parameters
            + (losses.cycle.weight > 0 ? sizes.translatorParameters : [])
        names = Set(trained.map(\.name))
    }

    /// An example on its way through the networks, before its backward pass.
    private struct Pass {
        let tape: GradientTape
        let decoded: GradientTape.Value
        /// Of all losses but the adversarial one.
        let slopes: [Slope]
        let reconstruction: Tensor
        let adversarial: Tensor?
    }

    /// The loss of a batch and its gradient.
    ///
    /// - Parameters:
    ///   - parameters: all that are needed, by name, with the discriminator's.
    ///   - phase: what takes part.
    func callAsFunction(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult {
        var result = ObjectiveResult(trained)
        let isAdaptive = losses.isAdaptive && phase.isAdversarial && discriminator != nil
        // The adaptive weight is of the whole batch, which is then kept at once.
        let runs = isAdaptive ? [examples[...]] : examples.indices.map { examples[$0...$0] }
        for run in runs {
            let passes = try run.map {
                try forward(
                    parameters, $0, share: 1 / Double(examples.count), phase, engine, &result)
            }
            let weight = try losses.adversarial.weight * (isAdaptive ? adaptiveWeight(passes) : 1)
            if let generator = result.parts["generator"], isAdaptive { result.loss += weight * generator }
            for pass in passes {
                let slope = pass.adversarial.map { [(pass.decoded, $0.scaled(by: weight))] } ?? []
                try pass.tape.differentiate(pass.slopes + slope)
                try result.add(pass.tape.gradients)
            }
        }
        return result
    }

    /// lambda = 0.8 |gradient of L1| / (|gradient of L_g| + 1e-4), at most 1e4, at the decoder's last weight. Esser et al.,
    /// arXiv 2012.09841, equation 7.
    private func adaptiveWeight(_ passes: [Pass]) throws -> Double {
        func norm(_ slope: (Pass) -> Tensor?) throws -> Double {
            var sum: Tensor?
            for pass in passes {
                guard let slope = slope(pass) else { continue }
                let gradients = try pass.tape.gradients(of: [Self.lastWeight], from: [(pass.decoded, slope)])
                guard let gradient = gradients[Self.lastWeight] else { continue }
                guard let known = sum else {
                    sum = gradient
                    continue
                }
                sum = Tensor(shape: known.shape, values: zip(known.values, gradient.values).map { $0 + $1 })
            }
            return sum?.norm ?? 0
        }
        let ratio = try norm(\.reconstruction) / (norm(\.adversarial) + 1e-4)
        return 0.8 * min(max(ratio, 0), 1e4)
    }

    private func forward(
        _ parameters: [String: Tensor], _ example: Example, share: Double, _ phase: LatentPhase,
        _ engine: NetworkGradients, _ result: inout ObjectiveResult
    ) throws -> Pass {
        let tape = engine.tape(parameters, trains: names.contains)
        let features = try tape.evaluate(encoder, images: [tape.input(example.volume)])
        let quantised = phase.quantises ? tape.quantised(features, by: codebook) : nil
        let z = quantised?.quantised ?? features
        let decoded = try tape.evaluate(decoder, images: [z])
        let volume = tape.tensor(decoded)
        var slopes: [Slope] = []
        let l1 = TrainingLoss.l1(volume, target: example.volume)
        result.add(share * l1.value, weight: 1, to: "reconstruction")
        let reconstruction = l1.gradient.scaled(by: share)
        slopes.append((decoded, reconstruction))

        if let codes = quantised?.indices {
            let unused = 1 - Double(Set(codes).count) / Double(sizes.codes)
            result.add(share * unused, weight: 0, to: "unused_codes")
        }
        if losses.codebook > 0, let entries = quantised?.entries {
            // beta weighs the codebook's own term in the public code, and the encoder's in the paper.
            let beta = sizes.commitment
            let (toEncoder, toCodebook) = sizes.weighsCodebookTerm ? (1, beta) : (beta, 1)
            let l2 = TrainingLoss.l2(tape.tensor(features), target: tape.tensor(entries))
            result.add(share * (toEncoder + toCodebook) * l2.value, weight: losses.codebook, to: "codebook")
            slopes.append((features, l2.gradient.scaled(by: share * losses.codebook * toEncoder)))
            slopes.append((entries, l2.gradient.scaled(by: -share * losses.codebook * toCodebook)))
        }
        if losses.perceptual > 0, let network = self.features {
            let (value, gradient) = try network.distance(of: volume, to: example.volume)
            result.add(share * value, weight: losses.perceptual, to: "perceptual")
            slopes.append((decoded, gradient.scaled(by: share * losses.perceptual)))
        }
        if losses.cycle.weight > 0 {
            let there = try tape.evaluate(translator(to: example.target), images: [z])
            let cycle = try cycle(tape, there, z, example)
            result.add(share * cycle.value, weight: losses.cycle.weight, to: "cycle")
            slopes += cycle.slopes.map { ($0.value, $0.gradient.scaled(by: share * losses.cycle.weight)) }
        }
        var adversarial: Tensor?
        if phase.isAdversarial, let discriminator {
            let judge = engine.tape(parameters) { _ in false }
            let input = judge.input(volume, wantsGradient: true)
            let logits = try judge.evaluate(discriminator, images: [input])
            let (value, gradient) = AdversarialLoss.hinge(judge.tensor(logits), .deception)
            result.add(
                share * value, weight: losses.isAdaptive ? 0 : losses.adversarial.weight, to: "generator")
            try judge.differentiate([(logits, gradient.scaled(by: share))])
            adversarial = judge.gradient(of: input)
        }
        return Pass(
            tape: tape, decoded: decoded, slopes: slopes, reconstruction: reconstruction,
            adversarial: adversarial)
    }

    private func translator(to target: Int) -> SpadeTranslator { SpadeTranslator(sizes, target: target) }

    /// |S_a(S_b(z)) - z|, or |D(S_a(q(E(D(S_b(z)))))) - x|, of a source of modality a and a target of modality b.
    private func cycle(
        _ tape: GradientTape, _ there: GradientTape.Value, _ z: GradientTape.Value, _ example: Example
    ) throws -> (value: Double, slopes: [Slope]) {
        switch losses.cycle.space {
        case .latent:
            let back = try tape.evaluate(translator(to: example.source), images: [there])
            let l1 = TrainingLoss.l1(tape.tensor(back), target: tape.tensor(z))
            return (l1.value, [(back, l1.gradient), (z, l1.gradient.scaled(by: -1))])
        case .volume:
            let (value, slope) = try tape.cycleInVolume(
                from: there, to: example.source, volume: example.volume, sizes)
            return (value, [slope])
        }
    }

    /// The loss of the discriminator, 0.5 (mean relu(1 - D(x)) + mean relu(1 + D(xhat))), and its gradient.
    func ofDiscriminator(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult? {
        guard let discriminator else { return nil }
        var result = ObjectiveResult(discriminator.parameters)
        let names = Set(discriminator.parameters.map(\.name))
        for example in examples {
            let tape = engine.tape(parameters, trains: names.contains)
            let real = tape.input(example.volume)
            let features = try tape.evaluate(encoder, images: [real])
            let z =
                phase.quantises ? tape.quantised(features, by: codebook).quantised : features
            let fake = try tape.evaluate(decoder, images: [z])
            let share = 0.5 / Double(examples.count)
            var slopes: [Slope] = []
            for (volume, goal) in [(real, AdversarialLoss.Goal.real), (fake, .fake)] {
                let logits = try tape.evaluate(discriminator, images: [volume])
                let (value, gradient) = AdversarialLoss.hinge(tape.tensor(logits), goal)
                result.add(share * value, weight: 1, to: "discriminator")
                slopes.append((logits, gradient.scaled(by: share)))
            }
            try tape.differentiate(slopes)
            try result.add(tape.gradients)
        }
        return result
    }
}

extension AutoencoderObjective: LatentObjective {
    /// The mean absolute difference of a volume and its reconstruction.
    func loss(of example: Example, by model: LatentModel, in phase: LatentPhase) throws -> Double {
        TrainingLoss.l1(try model.reconstructed(example.volume, in: phase), target: example.volume).value
    }
}

extension LatentModel {
    /// A volume encoded and decoded.
    func reconstructed(_ volume: Tensor, in phase: LatentPhase) throws -> Tensor {
        try decode(phase.quantises ? encode(volume) : features(of: volume))
    }
}
