import Foundation
import Networks
import Synchronization
import TensorFiles
import TestSupport
import Testing
import VoxelSupport

@testable import BridgeTraining
@testable import LatentTraining

/// Three steps of each stage agree with those of other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct StageReferenceTests {
    /// A stage that trains on some examples again and again.
    private func task<Objective: LatentObjective>(
        _ stage: LatentStage, _ objective: Objective, _ examples: [Objective.Example],
        initial: [String: Tensor], discriminator: [String: Tensor] = [:], optimizer: OptimizerSettings,
        average: MovingAverageSettings? = nil, data: ModalityDataset
    ) throws -> LatentStageTask<Objective> where Objective.Example: Sendable {
        var configuration = LatentTrainingConfiguration.published
        configuration.autoencoder.batch = examples.count
        let plan = try LatentStagePlan(
            stage, configuration.autoencoder, adversarialStart: 0, of: configuration)
        let next = Mutex(0)
        let settings = TrainingState.Settings(
            optimizer: optimizer, rateSchedule: configuration.autoencoder.rateSchedule, movingAverage: average)
        return LatentStageTask(
            plan: plan, objective: objective, start: try ReferenceNumbers.start(), training: data,
            validation: nil, options: ComputeOptions(), engine: NetworkGradients(), seed: 0,
            load: { _, _ in
                examples[
                    next.withLock { index in
                        defer { index += 1 }
                        return index % examples.count
                    }]
            }, merge: { start, _ in start },
            state: TrainingState(
                try ParameterSet(objective.trained) { initial[$0] },
                discriminator: try objective.discriminator.map {
                    try ParameterSet($0.parameters) { discriminator[$0] }
                }, settings: settings),
            drawer: ExampleDrawer(data, needsPairs: false, flips: 0, seed: 0), validationDrawer: nil)
    }

    private func data(_ folder: URL) throws -> ModalityDataset {
        try ModalityDataset.prepare(
            SmallCohort.write(to: folder), cache: folder.appending(path: "cache"),
            configuration: SmallCohort.configuration()
        ).training
    }

    private func settings(
        _ kind: OptimizerSettings.Kind, _ beta1: Double, _ beta2: Double, decay: Double = 0
    ) -> OptimizerSettings {
        var settings = OptimizerSettings()
        (settings.kind, settings.learningRate, settings.weightDecay) = (kind, 1e-3, decay)
        (settings.beta1, settings.beta2) = (beta1, beta2)
        return settings
    }

    /// All parameters as one vector agree to 1e-4, and each to 1e-3.
    private func check(
        _ set: ParameterSet, _ numbers: ReferenceNumbers, prefix: String, optional: Bool = false
    ) throws {
        var (all, expected) = ([Float](), [Float]())
        for (parameter, values) in zip(set.parameters, set.arrays) {
            guard let other = try numbers.parameter(parameter, prefix) else {
                #expect(optional, "no \(prefix)\(parameter.name)")
                continue
            }
            let (found, known) = (
                withoutKeys(parameter.name, values), withoutKeys(parameter.name, other.values)
            )
            let error = relativeL2(found, known)
            #expect(error < 1e-3, "\(parameter.name): \(error)")
            all += found
            expected += known
        }
        let error = relativeL2(all, expected)
        print("\(prefix): \(error)")
        #expect(error < 1e-4 && !all.isEmpty)
    }

    @Test func theAutoencoderAndItsDiscriminator() throws {
        try withTemporaryFolder { folder in
            let numbers = try ReferenceNumbers("stage1_autoencoder")
            let start = try ReferenceNumbers.start()
            var losses = AutoencoderLosses()
            (losses.adversarial.width, losses.adversarial.layers, losses.adversarial.groups) = (4, 2, 2)
            let objective = AutoencoderObjective(start.configuration.firstStage, losses: losses)
            let discriminator = try numbers.parameters(objective.discriminator!.parameters)
            let (sources, targets) = (try numbers.integers("source"), try numbers.integers("target"))
            let examples = try numbers.items("x").enumerated().map {
                AutoencoderObjective.Example(volume: $1, source: sources[$0], target: targets[$0])
            }
            var task = try task(
                .autoencoder, objective, examples, initial: start.firstStage, discriminator: discriminator,
                optimizer: settings(.adam, 0.5, 0.9), data: data(folder))
            for step in 0..<3 {
                let loss = try task.step().loss
                #expect(try abs(loss - numbers.number("adam3.loss.\(step)")) < 1e-4 * abs(loss))
                let parts = task.state.takeLosses().parts
                let own = try numbers.number("adam3.loss_discriminator.\(step)")
                #expect(abs(parts["discriminator"]! - own) < 1e-4 * own)
            }
            try check(task.state.parameters, numbers, prefix: "adam3.")
            try check(task.state.discriminator!.parameters, numbers, prefix: "adam3.")
        }
    }

    @Test func theTranslatorAndItsDiscriminator() throws {
        try withTemporaryFolder { folder in
            let numbers = try ReferenceNumbers("stage1_translator")
            let start = try ReferenceNumbers.start()
            var losses = TranslatorLosses()
            (losses.adversarial.width, losses.adversarial.layers, losses.adversarial.groups) = (8, 1, 4)
            losses.fakeClass = 0
            let objective = TranslatorObjective(start.configuration.firstStage, losses: losses)
            let discriminator = try numbers.parameters(objective.discriminator!.parameters)
            let (latents, others) = (try numbers.items("z"), try numbers.items("z_target"))
            let targets = try numbers.integers("target")
            let examples = latents.indices.map {
                TranslatorObjective.Example(
                    latent: latents[$0], targetLatent: others[$0], source: 0, target: targets[$0], volume: nil)
            }
            var task = try task(
                .translator, objective, examples, initial: start.firstStage, discriminator: discriminator,
                optimizer: settings(.adam, 0.5, 0.9), data: data(folder))
            for _ in 0..<3 { _ = try task.step() }
            try check(task.state.parameters, numbers, prefix: "adam3.")
            try check(task.state.discriminator!.parameters, numbers, prefix: "adam3.")
        }
    }

    @Test(arguments: ["adam3", "adamw3"])
    func theDenoiser(name: String) throws {
        try withTemporaryFolder { folder in
            let numbers = try ReferenceNumbers("stage2")
            let start = try ReferenceNumbers.start()
            let objective = DenoiserObjective(
                start.configuration.denoiser!, path: try start.configuration.path(), predicting: .noise,
                losses: DenoiserLosses())
            let kind: OptimizerSettings.Kind = name == "adam3" ? .adam : .adamW
            var task = try task(
                .denoiser, objective, ReferenceNumbers.denoiserExamples(), initial: start.denoiser,
                optimizer: settings(kind, 0.9, 0.999, decay: kind == .adamW ? 0.01 : 0),
                average: .ofDenoiser, data: data(folder))
            for step in 0..<3 {
                let loss = try task.step().loss
                #expect(try abs(loss - numbers.number("\(name).loss.\(step)")) < 1e-4 * loss)
            }
            try check(task.state.parameters, numbers, prefix: "\(name).")
            guard kind == .adamW else { return }
            // The checkpoint holds the moving average of the same three steps.
            let averaged = try LatentParameters(
                LatentWeights(
                    contentsOf: ReferenceNumbers.url("checkpoint_ldm.ckpt"),
                    configurations: [
                        ReferenceNumbers.url("unet_a.json"), ReferenceNumbers.url("autoencoder_a.json"),
                    ], selection: .ema))
            for (parameter, values) in zip(objective.trained, task.state.averagedParameters.arrays) {
                let expected = withoutKeys(parameter.name, averaged.denoiser[parameter.name]!.values)
                #expect(relativeL2(withoutKeys(parameter.name, values), expected) < 1e-4, "\(parameter.name)")
            }
        }
    }
}
