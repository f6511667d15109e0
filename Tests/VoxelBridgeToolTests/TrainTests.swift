import Foundation
import TestSupport
import Testing
import VoxelBridge

/// The command `train` with a small network and small volumes.
struct TrainTests {
    @Test func aNetworkIsTrainedAndTranslates() async throws {
        try await TrainingPairs.withFolder { folder in
            let outcome = try await Tool.run(TrainingPairs.arguments(folder, run: "run"))
            try #require(outcome.status == 0, "\(outcome.messages)")
            #expect(outcome.messages.contains("2 training subjects"))
            #expect(outcome.messages.contains("validation loss"))
            #expect(outcome.messages.contains("Trained 10 steps"))
            let run = folder.appending(path: "run")
            #expect(
                try Set(run.files) == [
                    "best.safetensors", "cache", "checkpoints", "configuration.json", "data.txt",
                    "lock", "log.jsonl", "loss.png", "manifest.csv", "model.safetensors", "report.html",
                    "samples",
                    "style.json",
                ])
            #expect(
                try run.appending(path: "samples").files == ["step-000000005.png", "step-000000010.png"])
            let result = folder.appending(path: "out.nii.gz")
            try await Tool.succeed(
                "translate", folder.appending(path: "carl-ct.nii.gz").path, result.path, "--model",
                run.appending(path: "model.safetensors").path, "--style",
                run.appending(path: "style.json").path, "--steps", "3")
            #expect(FileManager.default.fileExists(atPath: result.path))
            // The folder holds all that is needed to repeat the run.
            try await Tool.succeed(
                "train", "--data", run.appending(path: "manifest.csv").path, "--config",
                run.appending(path: "configuration.json").path, "--output",
                folder.appending(path: "again").path, "--quiet")
            let models = try ["run", "again"].map {
                try Data(contentsOf: folder.appending(path: "\($0)/model.safetensors"))
            }
            let isRepeated = models[0] == models[1]
            #expect(isRepeated)
        }
    }

    /// A regression: one evaluation of the network, which is the mapping from the source.
    @Test func aRegressionIsTrainedAndTranslatesInOneStep() async throws {
        let settings = TrainingPairs.settings(
            network: "\"use_spatial_transformer\": false",
            ", \"process\": { \"kind\": \"direct\" }, \"objective\": \"sample\"")
        try await TrainingPairs.withFolder(settings) { folder in
            let outcome = try await Tool.run(TrainingPairs.arguments(folder, run: "run"))
            try #require(outcome.status == 0, "\(outcome.messages)")
            let (run, source) = (folder.appending(path: "run"), folder.appending(path: "carl-ct.nii.gz"))
            func translate(_ name: String, _ options: String...) async throws -> [Float] {
                let result = folder.appending(path: name)
                let outcome = try await Tool.run(
                    [
                        "translate", source.path, result.path, "--model",
                        run.appending(path: "model.safetensors").path, "--quiet",
                    ] + options)
                try #require(outcome.status == 0, "\(outcome.messages)")
                return try Volume(contentsOf: result).voxels
            }
            let result = try await translate("a.nii")
            #expect(try await translate("b.nii", "--steps", "1", "--mode", "co-predict") == result)
            #expect(try await translate("c.nii", "--mode", "independent") != result)
            let many = try await Tool.run(
                [
                    "translate", source.path, folder.appending(path: "d.nii").path, "--model",
                    run.appending(path: "model.safetensors").path, "--steps", "9",
                ])
            #expect(many.status != 0 && many.messages.contains("--steps must be 1 for a network that maps"))
        }
    }

    /// The style of a run is the average key of its training targets only.
    @Test func theStyleIsTheAverageOfTheTrainingSubjects() async throws {
        try await TrainingPairs.withFolder { folder in
            let key = folder.appending(path: "key.json")
            try await Tool.succeed(
                "key", folder.appending(path: "anna-t1.nii.gz").path,
                folder.appending(path: "ben-t1.nii.gz").path, "--bins", "16", "--spacing", "8", "--output",
                key.path)
            let outcome = try await Tool.run(TrainingPairs.arguments(folder, run: "run"))
            try #require(outcome.status == 0, "\(outcome.messages)")
            let style = try Data(contentsOf: folder.appending(path: "run/style.json"))
            #expect(try style == Data(contentsOf: key))
        }
    }

    /// A run killed at twenty random moments, and resumed each time, gives the same bytes as an uninterrupted one.
    @Test func aRunThatIsKilledEndsTheSame() async throws {
        let settings = TrainingPairs.settings().replacing("\"steps\": 10", with: "\"steps\": 60")
        try await TrainingPairs.withFolder(settings) { folder in
            let whole = try await Tool.run(TrainingPairs.arguments(folder, run: "whole") + ["--threads", "1"])
            try #require(whole.status == 0, "\(whole.messages)")
            let checkpoints = folder.appending(path: "broken/checkpoints")
            @Sendable func newest() -> String? { (try? checkpoints.files)?.last { $0.hasPrefix("step-") } }
            var kills = 0
            for _ in 0..<20 {
                let before = newest()
                let (process, ended) = try Tool.start(
                    TrainingPairs.arguments(folder, run: "broken") + ["--resume"], output: folder)
                // Killed after some progress: while it trains, validates, draws or writes.
                kills += await onThreadOfItsOwn {
                    while newest() == before, process.isRunning { usleep(1000) }
                    usleep(.random(in: 0...30_000))
                    return process.isRunning && kill(process.processIdentifier, SIGKILL) == 0 ? 1 : 0
                }
                for await _ in ended {}
            }
            #expect(kills >= 15, "the run had ended too early to be killed more than \(kills) times")
            let last = try await Tool.run(TrainingPairs.arguments(folder, run: "broken") + ["--resume"])
            try #require(last.status == 0, "\(last.messages)")
            for name in ["model.safetensors", "best.safetensors", "checkpoints/step-000000060.safetensors"] {
                let (first, second) = try (
                    Data(contentsOf: folder.appending(path: "whole/\(name)")),
                    Data(contentsOf: folder.appending(path: "broken/\(name)"))
                )
                // Comparing the data in #expect would compute their shortest edit, which takes hours.
                let isEqual = first == second
                #expect(isEqual, "\(name)")
            }
        }
    }

    /// The second of two runs in a folder fails; a killed run does not keep the folder locked.
    @Test func twoDoNotTrainInOneFolder() async throws {
        let settings = TrainingPairs.settings().replacing("\"steps\": 10", with: "\"steps\": 100000")
        try await TrainingPairs.withFolder(settings) { folder in
            let first = TrainingPairs.arguments(folder, run: "run")
            let (process, ended) = try Tool.start(first, output: folder)
            let checkpoints = folder.appending(path: "run/checkpoints")
            while (try? checkpoints.files.contains { $0.hasPrefix("step-") }) != true, process.isRunning {
                try await Task.sleep(for: .milliseconds(2))
            }
            let again = first + ["--resume", "--max-minutes", "0.00001"]
            let second = try await Tool.run(again)
            #expect(second.status == 1)
            #expect(second.messages.contains("another process is training in"))
            #expect(second.messages.contains(folder.appending(path: "run").path))
            #expect(process.isRunning)
            kill(process.processIdentifier, SIGKILL)
            for await _ in ended {}
            let third = try await Tool.run(again)
            #expect(third.status == 0, "\(third.messages)")
        }
    }

    @Test func minutesAreKept() async throws {
        try await TrainingPairs.withFolder { folder in
            func train(_ more: String...) async throws -> Tool.Outcome {
                try await Tool.run(TrainingPairs.arguments(folder, run: "run") + more)
            }
            let unprepared = try await train("--max-minutes", "0.00001")
            #expect(
                unprepared.status == 0 && unprepared.messages.contains("Stopped while volumes were prepared"))
            let cache = folder.appending(path: "cache").path
            _ = try await Tool.run(TrainingPairs.arguments(folder, run: "other") + ["--cache", cache])
            let stopped = try await train("--max-minutes", "0.00001", "--cache", cache)
            #expect(stopped.status == 0 && stopped.messages.contains("Stopped after step 0 of 10"))
            let again = try await train()
            #expect(again.status == 1 && again.messages.contains("--resume"))
            let resumed = try await train("--resume")
            #expect(resumed.status == 0 && resumed.messages.contains("starting at step 0"))
        }
    }

    /// What does not fit is refused before anything is made.
    @Test(arguments: [
        ("\"batch\": 2147483648", "batch: found 2147483648; expected 1 to 65536"),
        ("\"batch\": 65536, \"steps\": 2", "of memory for slices of"),
    ])
    func countsAreBounded(setting: String, message: String) async throws {
        try await TrainingPairs.withFolder("{ \(setting) }") { folder in
            let outcome = try await Tool.run(TrainingPairs.arguments(folder, run: "run"))
            #expect(outcome.status == 1 && outcome.messages.contains(message), "\(outcome.messages)")
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "run").path))
        }
    }

    @Test func everythingWrongWithTheDataIsReported() async throws {
        try await TrainingPairs.withFolder { folder in
            let table = folder.appending(path: "pairs.csv")
            try Data(
                "subject,split,source,target\na,train,no.nii,no.nii\nb,tr,anna-ct.nii.gz,anna-ct.nii.gz\n".utf8
            )
            .write(to: table)
            let outcome = try await Tool.run(TrainingPairs.arguments(folder, run: "run"))
            #expect(outcome.status == 1)
            #expect(outcome.messages.contains("pairs.csv:2: source"))
            #expect(outcome.messages.contains("pairs.csv:3: unknown split 'tr'"))
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "run/log.jsonl").path))
            try Data(#"{"optimizer": {"rate": 1}}"#.utf8).write(to: folder.appending(path: "config.json"))
            let misnamed = try await Tool.run(TrainingPairs.arguments(folder, run: "run"))
            #expect(misnamed.status == 1 && misnamed.messages.contains("config.json: optimizer.rate"))
        }
    }

    @Test func everySettingIsPrinted() async throws {
        let outcome = try await Tool.succeed("train", "--print-config")
        for name in ["\"learning_rate\" : 0.0001", "\"patience\" : 3000", "\"model_channels\" : 128"] {
            #expect(outcome.output.contains(name))
        }
        let missing = try await Tool.run("train", "--data", "pairs.csv")
        #expect(missing.status == 2 && missing.messages.contains("--output"))
    }
}
