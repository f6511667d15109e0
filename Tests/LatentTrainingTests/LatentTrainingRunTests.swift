import Foundation
import TensorFiles
import TestSupport
import Testing

@testable import LatentTraining

/// Stages in a folder: what they leave, and that they can be stopped anywhere.
struct LatentTrainingRunTests {
    /// A run that is given up, as if killed there.
    private struct Kill: Error {}

    private func run(
        _ folder: URL, data: URL, configuration: LatentTrainingConfiguration? = nil, threads: Int = 2,
        recomputes: Bool = false
    ) throws -> LatentTrainingRun {
        let configuration = try configuration ?? SmallCohort.configuration()
        let manifest = try ModalityManifest(contentsOf: data.appending(path: "subjects.csv"))
        let prepared = try ModalityDataset.prepare(
            manifest, cache: folder.appending(path: "cache"), configuration: configuration)
        return try LatentTrainingRun(
            configuration: configuration, training: prepared.training, validation: prepared.validation,
            folder: folder, options: ComputeOptions(threads: threads), recomputesActivations: recomputes)
    }

    /// The bytes of all that a run leaves, without the speed and pictures.
    private func results(_ folder: URL) throws -> [String: Data] {
        var results: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        where !name.hasPrefix("cache") && !name.hasSuffix(".png") {
            guard var data = try? Data(contentsOf: folder.appending(path: name)) else { continue }
            if name.hasSuffix(".jsonl") {
                let text = String(decoding: data, as: UTF8.self)
                data = Data(text.replacing(/"examples_per_second":[^,}]*/, with: "").utf8)
            }
            results[name] = data
        }
        return results
    }

    private func expectEqual(_ first: [String: Data], _ second: [String: Data]) throws {
        #expect(first.keys.sorted() == second.keys.sorted())
        let different = first.keys.filter { first[$0] != second[$0] }.sorted()
        try #require(different.isEmpty, "\(different) differ")
    }

    @Test func stagesThatAreStoppedAnywhereEndTheSame() async throws {
        try await withTemporaryFolder { folder in
            _ = try SmallCohort.write(to: folder)
            let whole = folder.appending(path: "whole")
            #expect(try await run(whole, data: folder).train(resumes: false))
            let expected = try results(whole)
            await checkLaw(cases: 4) { generator in
                let broken = folder.appending(path: "broken-\(generator.next())")
                var isComplete = false
                while !isComplete {
                    var last: (LatentStage, Int)?
                    var eventsLeft = generator.size(in: 3...30)
                    let part = try run(broken, data: folder, threads: generator.size(in: 1...3))
                    do {
                        isComplete = try await part.train(resumes: true) { stage, event in
                            if case .step(let progress) = event { last = (stage, progress.step) }
                            eventsLeft -= 1
                            // Beyond the first checkpoint, or the run would never end.
                            if eventsLeft < 0, let last, last.1 > 2 { throw Kill() }
                        }
                    } catch is Kill {}
                }
                try expectEqual(expected, results(broken))
            }
        }
    }

    @Test func stagesHaveTheSameBytesOneByOneOnAnyThreadsAndRecomputed() async throws {
        try await withTemporaryFolder { folder in
            _ = try SmallCohort.write(to: folder)
            let (together, single) = (folder.appending(path: "together"), folder.appending(path: "single"))
            try await run(together, data: folder, threads: 1).train(resumes: false)
            for stage in LatentStage.allCases {
                try await run(single, data: folder, threads: 3, recomputes: true).train([stage], resumes: false)
            }
            try expectEqual(results(together), results(single))
            // In a folder of its own, from the other's.
            let other = folder.appending(path: "other")
            try await run(other, data: folder).train([.denoiser], from: together, resumes: false)
            let (first, second) = (try results(together), try results(other))
            #expect(first["denoiser/model.safetensors"] == second["denoiser/model.safetensors"])
            #expect(first["model.safetensors"] == first["denoiser/model.safetensors"])
        }
    }

    @Test func aFolderHoldsAllOfTheRun() async throws {
        try await withTemporaryFolder { folder in
            _ = try SmallCohort.write(to: folder)
            let output = folder.appending(path: "run")
            let run = try run(output, data: folder)
            try await run.train(resumes: false)
            let configuration = try #require(try LatentTrainingRun.configuration(ofRunIn: output))
            #expect(try configuration == SmallCohort.configuration())
            let samples = try FileManager.default.contentsOfDirectory(
                atPath: output.appending(path: "denoiser/samples/step-000000009").path)
            #expect(samples.sorted() == ["d-t1-to-flair.nii.gz", "d-t1-to-t2.nii.gz"])
            for stage in LatentStage.allCases {
                let log = try String(
                    contentsOf: output.appending(path: "\(stage.rawValue)/log.jsonl"), encoding: .utf8)
                #expect(log.contains("validation_loss"))
                #expect(log.contains("discriminator") == (stage != .denoiser))
                let stageFolder = output.appending(path: stage.rawValue)
                for name in ["loss.png", "samples/step-000000005.png", "best.safetensors"] {
                    #expect(
                        FileManager.default.fileExists(atPath: stageFolder.appending(path: name).path),
                        "\(stage) \(name)")
                }
            }
            // The model translates: sizes, targets and preparation are in its file.
            let model = try LatentModel(contentsOf: run.model)
            #expect(model.targets == SmallCohort.modalities)
            var generator = SeededGenerator(seed: 4)
            let source = SmallCohort.volume(&generator)
            let translated = try await LatentVolumeTranslator(model, steps: 2).translate(source, to: "flair")
            #expect(translated.grid == source.grid)
            #expect(try run.report(title: "run").pictures.count == 3)
        }
    }

    @Test func aRunThatIsRefusedLeavesTheOtherOnesSettings() async throws {
        try await withTemporaryFolder { folder in
            _ = try SmallCohort.write(to: folder)
            let output = folder.appending(path: "run")
            try await run(output, data: folder).train([.autoencoder], resumes: false)
            var other = try SmallCohort.configuration()
            other.autoencoder.steps = 5
            let error = await #expect(throws: TrainingError.self) {
                try await run(output, data: folder, configuration: other).train([.autoencoder], resumes: true)
            }
            #expect(error?.description.contains("configuration") == true, "\(error!)")
            #expect(
                try LatentTrainingRun.configuration(ofRunIn: output.path) == SmallCohort.configuration())
        }
    }

    @Test func aStageNeedsTheOneBeforeItAndIsNotOverwritten() async throws {
        try await withTemporaryFolder { folder in
            _ = try SmallCohort.write(to: folder)
            let output = folder.appending(path: "run")
            let run = try run(output, data: folder)
            await #expect(throws: LatentTrainingError.noStart(.translator, folder: output.path)) {
                try await run.train([.translator], resumes: false)
            }
            try await run.train([.autoencoder], resumes: false)
            await #expect(throws: TrainingError.self) { try await run.train([.autoencoder], resumes: false) }
            // Settings of a later stage may change; those of one that has been trained may not.
            var configuration = try SmallCohort.configuration()
            configuration.translator.steps = 4
            let other = folder.appending(path: "other")
            try await self.run(other, data: folder, configuration: configuration).train(
                [.translator], from: output, resumes: false)
            configuration.model.firstStage.translatorHidden = 4
            let changed = try self.run(
                folder.appending(path: "changed"), data: folder, configuration: configuration)
            let error = await #expect(throws: LatentTrainingError.self) {
                try await changed.train([.translator], from: output, resumes: false)
            }
            #expect(error?.description.contains("model.first_stage.translator_hidden") == true)
        }
    }

    @Test func aDeadlineStopsWithACheckpoint() async throws {
        try await withTemporaryFolder { folder in
            _ = try SmallCohort.write(to: folder)
            let run = try run(folder.appending(path: "run"), data: folder)
            var saved: [String] = []
            let isComplete = try await run.train(resumes: true, until: .now) { _, event in
                if case .saved(let file) = event { saved.append(file.lastPathComponent) }
            }
            #expect(!isComplete && saved == ["step-000000000.safetensors"])
            #expect(try await run.train(resumes: true))
        }
    }

    @Test func discriminatorsThatDoNotFitAreRefused() async throws {
        try await withTemporaryFolder { folder in
            _ = try SmallCohort.write(to: folder)
            var configuration = try SmallCohort.configuration()
            configuration.autoencoder.losses.adversarial.layers = 4
            let run = try run(folder.appending(path: "run"), data: folder, configuration: configuration)
            let error = await #expect(throws: TrainingConfigurationError.self) {
                try await run.train(resumes: false)
            }
            #expect(error?.field == "autoencoder.losses.adversarial.layers")
        }
    }
}
