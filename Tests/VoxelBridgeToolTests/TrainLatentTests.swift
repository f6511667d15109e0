import Foundation
import TestSupport
import Testing
import VoxelBridge

/// The command `train --model latent` with small networks and small volumes.
struct TrainLatentTests {
    private static let settings = """
        { "model": {
            "first_stage": { "ch": 4, "ch_mult": [1, 1], "num_groups": 2, "z_channels": 2, "embed_dim": 2, "n_embed": 16,
                             "translator_width": 4, "translator_hidden": 2 },
            "denoiser": { "model_channels": 4, "channel_mult": [1], "num_groups": 2, "num_head_channels": 4,
                          "attention_resolutions": [], "in_channels": 6, "out_channels": 2 },
            "preparation": { "shape": [12, 12, 12], "spacing": 8 } },
          "autoencoder": { "steps": 3, "batch": 1, STAGE, "losses": { "adversarial": { "weight": 0 } } },
          "translator": { "steps": 3, "batch": 1, STAGE, "losses": { "adversarial": { "weight": 0 } } },
          "denoiser": { "steps": 3, "batch": 1, STAGE } }
        """.replacingOccurrences(
            of: "STAGE",
            with: """
                "intervals": { "log": 1, "validation": 2, "samples": 3, "checkpoint": 1 },
                "validation": { "examples": 2, "sampling_steps": 2 }
                """)

    /// A folder with three subjects in two contrasts, their table and settings.
    private func withFolder(_ settings: String = settings, _ body: (URL) async throws -> Void) async throws {
        try await TrainingPairs.withFolder(settings) { folder in
            try Data(
                """
                subject,split,ct,t1
                anna,train,anna-ct.nii.gz,anna-t1.nii.gz
                ben,train,ben-ct.nii.gz,ben-t1.nii.gz
                carl,validation,carl-ct.nii.gz,carl-t1.nii.gz
                """.utf8
            ).write(to: folder.appending(path: "subjects.csv"))
            try await body(folder)
        }
    }

    private func train(_ folder: URL, _ run: String, _ options: String...) async throws -> Tool.Outcome {
        try await Tool.run(
            [
                "train", "--model", "latent", "--data", folder.appending(path: "subjects.csv").path, "--config",
                folder.appending(path: "config.json").path, "--output", folder.appending(path: run).path,
            ] + options)
    }

    @Test func stagesAreTrainedOneByOneOrTogetherAndTranslate() async throws {
        try await withFolder { folder in
            let together = try await train(folder, "together")
            try #require(together.status == 0, "\(together.messages)")
            #expect(together.messages.contains("2 training subjects with 4 volumes of ct, t1"))
            #expect(together.messages.contains("Trained autoencoder, translator, denoiser"))
            for stage in ["autoencoder", "translator", "denoiser"] {
                let single = try await train(folder, "single", "--stage", stage, "--threads", "1")
                try #require(single.status == 0, "\(single.messages)")
            }
            let models = try ["together", "single"].map {
                try Data(contentsOf: folder.appending(path: "\($0)/model.safetensors"))
            }
            #expect(models[0] == models[1])
            let samples = folder.appending(path: "together/denoiser/samples")
            #expect(try samples.files == ["step-000000003", "step-000000003.png"])
            #expect(
                try samples.appending(path: "step-000000003").files
                    == ["carl-ct-to-t1.nii.gz"])
            let result = folder.appending(path: "out.nii.gz")
            try await Tool.succeed(
                "translate", folder.appending(path: "carl-ct.nii.gz").path, result.path, "--model",
                folder.appending(path: "together/model.safetensors").path, "--target", "t1", "--steps", "2")
            #expect(try Volume(contentsOf: result).grid.shape == [14, 16, 12])
        }
    }

    @Test func aStageNeedsTheOneBeforeIt() async throws {
        try await withFolder { folder in
            let outcome = try await train(folder, "run", "--stage", "denoiser")
            #expect(
                outcome.status == 1 && outcome.messages.contains("train the stage translator first"),
                "\(outcome.messages)")
        }
    }

    /// What does not fit is refused before anything is made.
    @Test func memoryIsBounded() async throws {
        let large = Self.settings.replacingOccurrences(of: "[12, 12, 12]", with: "[4096, 4096, 4096]")
        try await withFolder(large) { folder in
            let outcome = try await train(folder, "run")
            #expect(outcome.status == 1)
            #expect(
                outcome.messages.contains(
                    "model.preparation.shape: found 4096 x 4096 x 4096, with which the autoencoder needs"),
                "\(outcome.messages)")
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "run").path))
        }
    }
}
