public import Foundation
public import BridgeDiffusion
import NetworkEngine
import TensorFiles
import VolumeFigures
import VoxelSupport

/// A training run with a folder: it logs, validates, draws, and keeps checkpoints to go on from.
///
/// ```swift
/// var run = try TrainingRun(
///     TrainableUNet(configuration.network), configuration: configuration, training: data.training,
///     validation: data.validation, folder: folder, resumes: true)
/// try await run.run { event in print(event) }
/// ```
///
/// A run that was killed at any moment and is resumed ends with the same weights, to the byte, as one that was not.
public struct TrainingRun<Network: TrainableNetwork> {
    /// The training as it stands.
    public private(set) var trainer: Trainer<Network>

    private let validation: Validation?
    private let files: RunFolder
    /// Nobody else trains in the folder while the run lives.
    private let lock: FolderLock
    private let executor = ComputeExecutor()
    private let dataChecksum: String
    private var log: TrainingLog

    /// Begins a run in a folder, or goes on with the one that is there.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - configuration: every setting.
    ///   - training: what the network learns from.
    ///   - validation: what it is judged by; nil for nothing.
    ///   - folder: the run's own, which is made where it is not there.
    ///   - resumes: whether to go on with the run in the folder, from its last checkpoint. Where there is none, the
    ///     run begins.
    /// - Throws: `TrainingError` where the folder's run is not this one, where there is one and it is not to be
    ///   resumed, or where another run, of this process or of another, is at work in the folder; the system's error
    ///   where files cannot be written.
    public init(
        _ network: Network, configuration: TrainingConfiguration, training: any TrainingDataset,
        validation: (any TrainingDataset)?, folder: URL, resumes: Bool
    ) throws {
        let files = RunFolder(url: folder)
        self.files = files
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        lock = try FolderLock(folder)
        if files.holdsRun, !resumes { throw TrainingError.runExists(folder: folder.path) }
        guard try Self.holdsNoOther(folder, than: configuration) else {
            throw TrainingError.otherConfiguration(folder: folder.path)
        }
        let dataChecksum =
            (["train", training.fingerprint]
            + (validation.map { ["validation", $0.fingerprint] } ?? [])).joined(separator: "\n")
        self.dataChecksum = dataChecksum
        try files.prepare()
        let state = try files.checkpoints.first.map {
            try TrainingState(
                contentsOf: $0, parameters: network.parameters, configuration: configuration,
                dataChecksum: dataChecksum)
        }
        try AtomicFile.write(Data((dataChecksum + "\n").utf8), to: files.data)
        try AtomicFile.write(configuration.json, to: files.configuration)
        trainer = try Trainer(network, configuration: configuration, dataset: training, state: state)
        self.validation = try validation.map { try Validation(dataset: $0, configuration: configuration) }
        log = try TrainingLog(files.log, upTo: trainer.state.step)
    }

    /// Whether the folder holds no run, or one of this configuration.
    private static func holdsNoOther(_ folder: URL, than configuration: TrainingConfiguration) throws -> Bool {
        do {
            let paths = [type(of: try configuration.process.path())]
            return try self.configuration(ofRunIn: folder, paths: paths).map { $0 == configuration } ?? true
        } catch let error as TrainingConfigurationError where error.field == "process.kind" {
            // A path of another caller's own.
            return false
        }
    }

    /// The configuration of the run in a folder, or nil where there is none.
    ///
    /// - Parameters:
    ///   - folder: the run's folder.
    ///   - paths: types of a caller's own paths, which the field `process` may name.
    /// - Throws: `TrainingConfigurationError` where the file is no configuration.
    public static func configuration(
        ofRunIn folder: URL, paths: [any StorablePath.Type] = []
    ) throws -> TrainingConfiguration? {
        let files = RunFolder(url: folder)
        return files.holdsRun ? try TrainingConfiguration(contentsOf: files.configuration, paths: paths) : nil
    }

    /// What happens in a run.
    public enum Event: Sendable {
        /// A step was made.
        case step(TrainingProgress)
        /// The moving average of the weights was validated.
        case validated(step: Int, loss: Double, isBest: Bool)
        /// Slices were sampled and drawn.
        case sampled(URL)
        /// A checkpoint was written.
        case saved(URL)
    }

    /// Trains to the last step, or to the first one after a deadline, on threads of its own.
    ///
    /// - Parameters:
    ///   - deadline: when to stop, with a checkpoint; nil for never.
    ///   - report: told what happens; where it throws, the run is given up as if it had been killed.
    /// - Returns: whether the last step was made.
    /// - Throws: `TrainingError.diverged`; `CancellationError` at the first step after the task's cancellation, when
    ///   a checkpoint has been written; what `report`, the data set, the network or the system throws.
    @discardableResult
    public mutating func run(
        until deadline: ContinuousClock.Instant? = nil, report: (Event) throws -> Void = { _ in }
    ) async throws -> Bool {
        try await withTaskExecutorPreference(executor) { try await train(until: deadline, report) }
    }

    private mutating func train(
        until deadline: ContinuousClock.Instant?, _ report: (Event) throws -> Void
    ) async throws -> Bool {
        let configuration = trainer.configuration
        let clock = ContinuousClock()
        var pace = Pace(clock.now)
        while trainer.state.step < configuration.steps {
            let made = try trainer.step()
            let step = trainer.state.step
            pace.windows += configuration.batch * configuration.accumulation
            pace.steps += 1
            pace.training += clock.now - pace.mark
            try report(
                .step(
                    TrainingProgress(
                        step: step, steps: configuration.steps, loss: made.loss,
                        learningRate: made.learningRate, windowsPerSecond: pace.windowsPerSecond,
                        remaining: pace.perStep * Double(configuration.steps - step))))
            let isLast = step == configuration.steps
            if isLast || step % configuration.intervals.log == 0 { try write(made, pace.windowsPerSecond) }
            try await validate(isLast: isLast, report)
            let isOver = deadline.map { clock.now >= $0 } ?? false || Task.isCancelled
            if isLast || isOver || step % configuration.intervals.checkpoint == 0 { try save(report) }
            try Task.checkCancellation()
            if isOver { break }
            pace.mark = clock.now
        }
        // A run that was killed at its end may lack what follows its last checkpoint.
        if trainer.state.step == configuration.steps { try writeModel(to: files.model) }
        return trainer.state.step == configuration.steps
    }

    private mutating func write(_ made: Trainer<Network>.StepReport, _ windowsPerSecond: Double) throws {
        try log.append(
            TrainingLog.Entry(
                step: trainer.state.step, loss: trainer.state.lossSum / Double(trainer.state.lossCount),
                learningRate: made.learningRate, gradientNorm: made.gradientNorm,
                windowsPerSecond: windowsPerSecond))
        (trainer.state.lossSum, trainer.state.lossCount) = (0, 0)
    }

    /// Validates and draws, where the step is one for it.
    private mutating func validate(isLast: Bool, _ report: (Event) throws -> Void) async throws {
        let (step, intervals) = (trainer.state.step, trainer.configuration.intervals)
        let isDue = isLast || step % intervals.validation == 0
        let isPictureDue = isLast || step % intervals.samples == 0
        if let validation, isDue || isPictureDue {
            let network = try trainer.network.evaluator(of: trainer.state.averagedParameters.tensors)
            if isDue, trainer.configuration.validation.windows > 0 {
                let loss = try validation.loss(of: network)
                let isBest = trainer.state.bestValidationLoss.map { loss < $0 } ?? true
                if isBest {
                    trainer.state.bestValidationLoss = loss
                    try writeModel(to: files.best)
                }
                try log.append(TrainingLog.Entry(step: step, validationLoss: loss))
                try report(.validated(step: step, loss: loss, isBest: isBest))
            }
            if isPictureDue, trainer.configuration.validation.samples > 0 {
                try await validation.picture(by: network).write(to: files.samples(step))
                try report(.sampled(files.samples(step)))
            }
        }
        if isDue, !log.entries.isEmpty { try log.plot.image().write(to: files.losses) }
    }

    private func save(_ report: (Event) throws -> Void) throws {
        let file = files.checkpoint(trainer.state.step)
        try trainer.state.write(to: file, configuration: trainer.configuration, dataChecksum: dataChecksum)
        try writeModel(to: files.model)
        try files.removeOldCheckpoints()
        try report(.saved(file))
    }

    /// Writes the moving average of the weights, with the network's configuration and what it was trained for.
    private func writeModel(to file: URL) throws {
        let metadata = try trainer.network.metadata.merging(trainer.configuration.translation.metadata) { $1 }
        try Safetensors.write(trainer.state.averagedParameters.tensors, metadata: metadata, to: file)
    }
}

/// How far a run has come.
public struct TrainingProgress: Sendable {
    /// Steps made.
    public let step: Int
    /// Steps of the whole run.
    public let steps: Int
    /// The loss of the step.
    public let loss: Double
    /// The learning rate of the step.
    public let learningRate: Double
    /// Training windows a second, validation apart.
    public let windowsPerSecond: Double
    /// How long the rest takes at this pace, validation apart.
    public let remaining: Duration
}

/// How fast a run goes.
private struct Pace {
    var mark: ContinuousClock.Instant
    var training = Duration.zero
    var windows = 0
    var steps = 0

    init(_ start: ContinuousClock.Instant) { mark = start }

    var perStep: Duration { training / Double(steps) }
    var windowsPerSecond: Double { Double(windows) / max(1e-9, training / .seconds(1)) }
}

extension TrainingLog {
    /// The curves of both losses.
    fileprivate var plot: LinePlot {
        func curve(_ label: String, _ loss: (Entry) -> Double?) -> LinePlot.Curve {
            LinePlot.Curve(
                label: label,
                points: entries.compactMap { entry in
                    loss(entry).map { SIMD2(Double(entry.step), $0) }
                })
        }
        let curves = [curve("training", \.loss), curve("validation", \.validationLoss)]
        return LinePlot(
            title: "loss", horizontal: "step", curves: curves.filter { !$0.points.isEmpty })
    }
}
