import Foundation
import LatentTranslation
import NetworkEngine
import Networks
import TensorFiles
import TestSupport
import Testing

@testable import LatentTraining

/// Losses and their gradients agree with those of other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct ObjectiveReferenceTests {
    private let engine = NetworkGradients()

    private static let smallVolumeDiscriminator: LatentAdversarialSettings = {
        var settings = LatentAdversarialSettings()
        (settings.width, settings.layers, settings.groups) = (4, 2, 2)
        return settings
    }()

    /// Requires the gradients to be a weighted sum of the file's, in the parameters that `isStored` takes.
    private func check(
        _ result: ObjectiveResult, _ expected: [String: [Double]], limit: Double,
        where isStored: (String) -> Bool = { _ in true }
    ) {
        var worst = (error: 0.0, name: "")
        for (parameter, found) in zip(result.gradients.parameters, result.gradients.arrays)
        where isStored(parameter.name) {
            let other = expected[parameter.name]!.map { Float($0) }
            if other.allSatisfy({ $0 == 0 }) {
                #expect(found.allSatisfy { abs($0) < 1e-7 }, "\(parameter.name) is not 0")
                continue
            }
            let error = relativeL2(
                withoutKeys(parameter.name, found), withoutKeys(parameter.name, other))
            if error > worst.error { worst = (error, parameter.name) }
        }
        print("worst gradient: \(worst.name) \(worst.error)")
        #expect(worst.error < limit, "\(worst.name)")
    }

    private func autoencoder(
        _ part: String, weight: Double
    ) throws -> (objective: AutoencoderObjective, isAdversarial: Bool) {
        var losses = AutoencoderLosses()
        (losses.codebook, losses.adversarial) = (0, Self.smallVolumeDiscriminator)
        losses.adversarial.weight = part == "generator" ? weight : 1
        switch part {
        case "codebook": losses.codebook = weight
        case "perceptual": losses.perceptual = weight
        case "cycle_volume": (losses.cycle.weight, losses.cycle.space) = (weight, .volume)
        case "cycle_latent": (losses.cycle.weight, losses.cycle.space) = (weight, .latent)
        default: break
        }
        let file = try ReferenceNumbers("stage1_autoencoder").file
        let features = try Dictionary(
            uniqueKeysWithValues: file.names.filter { $0.hasPrefix("features.") }.map {
                ($0, try file.tensor($0))
            })
        let sizes = try ReferenceNumbers.start().configuration.firstStage
        return (
            AutoencoderObjective(
                sizes, losses: losses,
                features: try ConvolutionFeatures(features, file: "features", options: ComputeOptions())),
            part == "generator"
        )
    }

    private func autoencoderInputs(
        _ objective: AutoencoderObjective
    ) throws -> (parameters: [String: Tensor], examples: [AutoencoderObjective.Example]) {
        let numbers = try ReferenceNumbers("stage1_autoencoder")
        let parameters = try ReferenceNumbers.start().firstStage.merging(
            numbers.parameters(objective.discriminator?.parameters ?? [])
        ) { $1 }
        let (sources, targets) = (try numbers.integers("source"), try numbers.integers("target"))
        let examples = try numbers.items("x").enumerated().map {
            AutoencoderObjective.Example(volume: $1, source: sources[$0], target: targets[$0])
        }
        return (parameters, examples)
    }

    @Test(arguments: ["reconstruction", "codebook", "generator", "perceptual", "cycle_volume", "cycle_latent"])
    func eachLossOfTheAutoencoder(part: String) throws {
        let numbers = try ReferenceNumbers("stage1_autoencoder")
        let all = try autoencoder("cycle_volume", weight: 1).objective.trained
        // The part's gradient is as large as that of the reconstruction, which is always there.
        let weight =
            part == "reconstruction"
            ? 0
            : try numbers.gradientNorm(all, "reconstruction") / numbers.gradientNorm(all, part)
        let (objective, isAdversarial) = try autoencoder(part, weight: weight)
        let (parameters, examples) = try autoencoderInputs(objective)
        let result = try objective(
            parameters, examples, in: LatentPhase(isAdversarial: isAdversarial), engine: engine)
        let weights = ["reconstruction": 1].merging(part == "reconstruction" ? [:] : [part: weight]) { $1 }
        let loss = try weights.reduce(0) { try $0 + $1.value * numbers.number("loss.\($1.key)") }
        #expect(abs(result.loss - loss) < 1e-4 * abs(loss))
        let name = part.hasPrefix("cycle") ? "cycle" : part
        let value = try #require(result.parts[name])
        #expect(try abs(value - numbers.number("loss.\(part)")) < 1e-4 * abs(value))
        try check(
            result, numbers.gradients(objective.trained, weights),
            limit: part.hasPrefix("cycle") ? 1e-3 : 1e-4
        ) { name in
            switch part {
            case "perceptual": name.hasPrefix("decoder.")
            case "cycle_latent": name.hasPrefix("spade.")
            default: true
            }
        }
    }

    @Test func theAdaptiveWeight() throws {
        let numbers = try ReferenceNumbers("stage1_autoencoder")
        let sizes = try ReferenceNumbers.start().configuration.firstStage
        for isAdaptive in [false, true] {
            var losses = AutoencoderLosses()
            (losses.adversarial, losses.isAdaptive) = (Self.smallVolumeDiscriminator, isAdaptive)
            let objective = AutoencoderObjective(sizes, losses: losses)
            let (parameters, examples) = try autoencoderInputs(objective)
            let result = try objective(
                parameters, examples, in: LatentPhase(isAdversarial: true), engine: engine)
            let loss = try numbers.number(isAdaptive ? "loss.total_adaptive" : "loss.total")
            #expect(abs(result.loss - loss) < 1e-4 * abs(loss))
            let weight = isAdaptive ? try numbers.number("adaptive_weight") : 1
            try check(
                result,
                numbers.gradients(
                    objective.trained, ["reconstruction": 1, "codebook": 1, "generator": weight]), limit: 1e-4)
        }
    }

    @Test func theDiscriminatorOfVolumes() throws {
        let numbers = try ReferenceNumbers("stage1_autoencoder")
        let objective = try autoencoder("generator", weight: 1).objective
        let (parameters, examples) = try autoencoderInputs(objective)
        let result = try #require(
            try objective.ofDiscriminator(
                parameters, examples, in: LatentPhase(isAdversarial: true), engine: engine))
        let loss = try numbers.number("loss.discriminator_step")
        #expect(abs(result.loss - loss) < 1e-4 * loss)
        try check(
            result, numbers.gradients(result.gradients.parameters, ["discriminator_step": 1]), limit: 1e-4)
    }

    @Test(arguments: [0, 4, nil])
    func theTranslator(fakeClass: Int?) throws {
        let numbers = try ReferenceNumbers("stage1_translator")
        let sizes = try ReferenceNumbers.start().configuration.firstStage
        var losses = TranslatorLosses()
        (losses.adversarial.width, losses.adversarial.layers, losses.adversarial.groups) = (8, 1, 4)
        losses.fakeClass = fakeClass
        let objective = TranslatorObjective(sizes, losses: losses)
        let parameters = try ReferenceNumbers.start().firstStage.merging(
            numbers.parameters(try #require(objective.discriminator).parameters)
        ) { $1 }
        let (latents, others) = (try numbers.items("z"), try numbers.items("z_target"))
        let targets = try numbers.integers("target")
        let examples = latents.indices.map {
            TranslatorObjective.Example(
                latent: latents[$0], targetLatent: others[$0], source: 0, target: targets[$0], volume: nil)
        }
        let result = try objective(parameters, examples, in: LatentPhase(isAdversarial: true), engine: engine)
        for (part, value) in result.parts {
            #expect(try abs(value - numbers.number("loss.\(part)")) < 1e-4 * value)
        }
        #expect(try abs(result.loss - numbers.number("loss.total")) < 1e-4 * result.loss)
        try check(
            result, numbers.gradients(objective.trained, ["reconstruction": 1, "generator": 1]), limit: 1e-4)
        let own = try #require(
            try objective.ofDiscriminator(
                parameters, examples, in: LatentPhase(isAdversarial: true), engine: engine))
        let name = "discriminator_step.fake\(fakeClass ?? 4)"
        #expect(try abs(own.loss - numbers.number("loss.\(name)")) < 1e-4 * own.loss)
        try check(own, numbers.gradients(own.gradients.parameters, [name: 1]), limit: 1e-4)
    }

    @Test func theDenoiser() throws {
        let numbers = try ReferenceNumbers("stage2")
        let start = try ReferenceNumbers.start()
        let objective = DenoiserObjective(
            try #require(start.configuration.denoiser), path: try start.configuration.path(),
            predicting: .noise,
            losses: DenoiserLosses())
        let examples = try ReferenceNumbers.denoiserExamples()
        for (example, noisy) in zip(examples, try numbers.items("noisy")) {
            #expect(relativeL2(objective.noisy(example).values, noisy.values) < 1e-6)
        }
        let result = try objective(start.denoiser, examples, engine: engine)
        #expect(try abs(result.loss - numbers.number("loss")) < 1e-4 * result.loss)
        let expected = try objective.trained.map { parameter in
            (
                parameter.name,
                try numbers.parameter(parameter, "grad.")?.values.map { Double($0) }
                    ?? [Double](
                        repeating: 0, count: parameter.shape.reduce(1, *))
            )
        }
        check(result, Dictionary(uniqueKeysWithValues: expected), limit: 1e-4)
    }
}

extension ReferenceNumbers {
    static func denoiserExamples() throws -> [DenoiserObjective.Example] {
        let numbers = try ReferenceNumbers("stage2")
        let (latents, conditioningLatents) = (try numbers.items("z_target"), try numbers.items("conditioning"))
        let (noises, times) = (try numbers.items("eps"), try numbers.integers("t"))
        let targets = try numbers.integers("target")
        return latents.indices.map {
            DenoiserObjective.Example(
                target: latents[$0], conditioningLatents: conditioningLatents[$0], noise: noises[$0],
                timestep: times[$0],
                targetClass: targets[$0])
        }
    }
}
