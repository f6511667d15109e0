import Foundation
import Networks
import TensorFiles
import TestSupport
import Synchronization
import Testing
import VoxelSupport

@testable import BridgeTraining

/// Runs in a folder: what they leave, and that they can be stopped anywhere.
struct TrainingRunTests {
    private let training = TinyDataset()
    private let validation = TinyDataset(count: 5, seed: 9)

    /// A run that is given up after some steps, as if killed there.
    private struct Kill: Error {}

    /// The bytes of what a run has learned, and its log without the speed.
    private func results(_ folder: URL) throws -> [String: Data] {
        var results: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
            let file = folder.appending(path: name)
            guard !name.hasSuffix(".png"), var data = try? Data(contentsOf: file) else { continue }
            if name.hasSuffix(".jsonl") {
                let text = String(decoding: data, as: UTF8.self)
                data = Data(text.replacing(/"examples_per_second":[^,}]*,?/, with: "").utf8)
            }
            results[name] = data
        }
        return results
    }

    @Test func aRunThatIsStoppedAnywhereEndsTheSame() async {
        await checkLaw(cases: 12) { generator in
            let configuration = TrainingConfiguration.tiny(&generator)
            try await withTemporaryFolder { folder in
                let (whole, broken) = (folder.appending(path: "whole"), folder.appending(path: "broken"))
                var uninterrupted = try TrainingRun(
                    TinyNetwork(), configuration: configuration, training: training,
                    validation: validation, folder: whole, resumes: false)
                try #require(try await uninterrupted.run())

                var isComplete = false
                while !isComplete {
                    var part = try TrainingRun(
                        TinyNetwork(), configuration: configuration, training: training,
                        validation: validation, folder: broken, resumes: true)
                    // Each part must get beyond its first checkpoint, or the run would never end.
                    let begin = part.trainer.state.step
                    let end = begin + configuration.intervals.checkpoint + generator.size(in: 1...7)
                    var eventsLeft = generator.size(in: 0...3)
                    var isAtEnd = false
                    do {
                        isComplete = try await part.run { event in
                            if case .step(let progress) = event { isAtEnd = progress.step >= end }
                            guard isAtEnd else { return }
                            // Where a step ends, or after some of what follows it.
                            eventsLeft -= 1
                            if eventsLeft < 0 { throw Kill() }
                        }
                    } catch is Kill {}
                }
                let (first, second) = (try results(whole), try results(broken))
                try #require(first["model.safetensors"] == second["model.safetensors"])
                try #require(first["best.safetensors"] == second["best.safetensors"])
                try #require(first["log.jsonl"] == second["log.jsonl"])
                let last =
                    "checkpoints/" + RunFolder(url: whole).checkpoint(configuration.steps).lastPathComponent
                try #require(first[last] != nil && first[last] == second[last])
            }
        }
    }

    @Test func aFolderHoldsAllOfTheRun() async throws {
        var generator = SeededGenerator(seed: 5)
        var configuration = TrainingConfiguration.tiny(&generator)
        configuration.steps = 9
        configuration.intervals.checkpoint = 2
        try await withTemporaryFolder { folder in
            var run = try TrainingRun(
                TinyNetwork(), configuration: configuration, training: training, validation: validation,
                folder: folder, resumes: false)
            var saved: [String] = []
            try await run.run { event in
                if case .saved(let file) = event { saved.append(file.lastPathComponent) }
            }
            #expect(
                saved == [2, 4, 6, 8, 9].map { "step-00000000\($0).safetensors" })
            let kept = try FileManager.default.contentsOfDirectory(
                atPath: folder.appending(path: "checkpoints").path)
            #expect(kept.sorted() == Array(saved.suffix(3)))
            #expect(
                try TrainingConfiguration(contentsOf: folder.appending(path: "configuration.json"))
                    == configuration)
            let model = try Safetensors(contentsOf: folder.appending(path: "model.safetensors"))
            #expect(model.names == TinyNetwork().parameters.map(\.name).sorted())
            #expect(model.metadata["network"] == "tiny")
            let settings = try #require(model.metadata["voxelbridge_translation"])
            #expect(
                try JSONDecoder().decode(TranslationSettings.self, from: Data(settings.utf8))
                    == configuration.translation)
            for parameter in run.trainer.state.averagedParameters.tensors {
                #expect(try model.tensor(parameter.key) == parameter.value)
            }
            for picture in ["loss.png", "samples/step-000000009.png"] {
                #expect(FileManager.default.fileExists(atPath: folder.appending(path: picture).path))
            }
            let lines = try String(contentsOf: folder.appending(path: "log.jsonl"), encoding: .utf8)
                .split(separator: "\n")
            let entries = try lines.map {
                try JSONDecoder().decode(TrainingLog.Entry.self, from: Data($0.utf8))
            }
            #expect(entries.last?.step == 9 && entries.contains { $0.validationLoss != nil })
        }
    }

    @Test func aDeadlineStopsWithACheckpoint() async throws {
        var generator = SeededGenerator(seed: 6)
        var configuration = TrainingConfiguration.tiny(&generator)
        (configuration.steps, configuration.intervals.checkpoint) = (20, 100)
        try await withTemporaryFolder { folder in
            for _ in 1...3 {
                var run = try TrainingRun(
                    TinyNetwork(), configuration: configuration, training: training, validation: nil,
                    folder: folder, resumes: true)
                #expect(try await !run.run(until: .now))
                #expect(run.trainer.state.step == 0)
            }
            #expect(FileManager.default.fileExists(atPath: RunFolder(url: folder).checkpoint(0).path))
        }
    }

    /// The time may be over within a step or a validation: the step is not taken, the validation made later.
    @Test func aRunWhoseTimeIsOverAnywhereEndsTheSame() async {
        await checkLaw(cases: 12) { generator in
            let configuration = TrainingConfiguration.tiny(&generator)
            try await withTemporaryFolder { folder in
                let (whole, broken) = (folder.appending(path: "whole"), folder.appending(path: "broken"))
                var uninterrupted = try TrainingRun(
                    TinyNetwork(), configuration: configuration, training: training,
                    validation: validation, folder: whole, resumes: false)
                try #require(try await uninterrupted.run())
                var (isComplete, parts) = (false, 0)
                while !isComplete {
                    // Enough for a step and a whole validation.
                    let network = TimedNetwork(evaluations: Int.random(in: 15...30, using: &generator))
                    var part = try TrainingRun(
                        network, configuration: configuration, training: training,
                        validation: validation, folder: broken, resumes: true)
                    isComplete = try await part.run()
                    parts += 1
                    try #require(parts < 1000)
                }
                let (first, second) = (try results(whole), try results(broken))
                let last =
                    "checkpoints/" + RunFolder(url: whole).checkpoint(configuration.steps).lastPathComponent
                for name in ["model.safetensors", "best.safetensors", "log.jsonl", last] {
                    let isEqual = first[name] == second[name]
                    try #require(isEqual, "\(name) after \(parts) parts")
                }
            }
        }
    }

    @Test func twoRunsCannotBeInOneFolder() async throws {
        var generator = SeededGenerator(seed: 8)
        let configuration = TrainingConfiguration.tiny(&generator)
        try await withTemporaryFolder { folder in
            func begin() throws -> TrainingRun<TinyNetwork> {
                try TrainingRun(
                    TinyNetwork(), configuration: configuration, training: training, validation: nil,
                    folder: folder, resumes: true)
            }
            var first: TrainingRun<TinyNetwork>? = try begin()
            for _ in 0..<2 {
                #expect(throws: TrainingError.locked(folder: folder.path)) { _ = try begin() }
            }
            try await first?.run()
            first = nil
            _ = try begin()
        }
    }

    @Test func aRunIsNotOverwrittenNorResumedAsAnother() async throws {
        var generator = SeededGenerator(seed: 7)
        var configuration = TrainingConfiguration.tiny(&generator)
        configuration.steps = 4
        try await withTemporaryFolder { folder in
            do {
                var run = try TrainingRun(
                    TinyNetwork(), configuration: configuration, training: training, validation: validation,
                    folder: folder, resumes: false)
                try await run.run()
            }
            func begin(_ configuration: TrainingConfiguration, data: TinyDataset, resumes: Bool) throws {
                _ = try TrainingRun(
                    TinyNetwork(), configuration: configuration, training: data, validation: validation,
                    folder: folder, resumes: resumes)
            }
            let before = try results(folder)
            #expect(throws: TrainingError.runExists(folder: folder.path)) {
                try begin(configuration, data: training, resumes: false)
            }
            var other = configuration
            other.seed &+= 1
            #expect(throws: TrainingError.otherConfiguration(folder: folder.path)) {
                try begin(other, data: training, resumes: true)
            }
            #expect(throws: TrainingError.otherData(folder: folder.path)) {
                try begin(configuration, data: TinyDataset(seed: 2), resumes: true)
            }
            #expect(try results(folder) == before)
            let checkpoint = RunFolder(url: folder).checkpoint(4)
            try Data(contentsOf: checkpoint).dropLast(9).write(to: checkpoint)
            let error = #expect(throws: TrainingError.self) {
                try begin(configuration, data: training, resumes: true)
            }
            #expect(error?.description.contains(checkpoint.path) == true)
        }
    }
}

/// A network whose time is over after a number of evaluations.
private struct TimedNetwork: TrainableNetwork {
    private final class Count: Sendable {
        let left: Mutex<Int>
        init(_ left: Int) { self.left = Mutex(left) }

        func use() throws {
            let isOver = left.withLock { left in
                left -= 1
                return left < 0
            }
            if isOver { throw TimeIsUp() }
        }
    }

    private let network = TinyNetwork()
    private let count: Count

    init(evaluations: Int) { count = Count(evaluations) }

    var parameters: [Parameter] { network.parameters }
    var metadata: [String: String] { network.metadata }
    func initialParameters(seed: UInt64) -> ParameterSet { network.initialParameters(seed: seed) }

    func gradients(
        of parameters: [String: Tensor], on batch: WindowBatch,
        loss: (Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor]) {
        try count.use()
        return try network.gradients(of: parameters, on: batch, loss: loss)
    }

    func evaluator(of parameters: [String: Tensor]) throws -> @Sendable (WindowBatch) throws -> Tensor {
        let evaluate = try network.evaluator(of: parameters)
        return { [count] batch in
            try count.use()
            return try evaluate(batch)
        }
    }
}
