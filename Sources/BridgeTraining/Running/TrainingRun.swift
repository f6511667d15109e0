public import Foundation
public import BridgeDiffusion
import NetworkEngine
import TensorFiles
public import VolumeFigures
import VoxelSupport

/// A training run with a folder for its log, checkpoints, models and pictures.
///
/// ```swift
/// var run = try TrainingRun(
///     TrainableUNet(configuration.network), configuration: configuration, training: data.training,
///     validation: data.validation, folder: "run", resumes: true)
/// try await run.run { event in print(event) }
/// ```
///
/// A run that is killed at any moment and resumed gives bit-identical weights.
public struct TrainingRun<Network: TrainableNetwork> {
    /// The network, the configuration and the state.
    public private(set) var trainer: Trainer<Network>

    private let validation: Validation?
    private let files: RunFolder
    private let lock: FolderLock
    private let executor = ComputeExecutor()
    private let dataChecksum: String
    private var log: TrainingLog

    /// Creates a run in a folder, or resumes the one it contains.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - configuration: every setting.
    ///   - training: the training data.
    ///   - validation: the validation data; nil for no validation.
    ///   - folder: the folder of this run only; it is created if necessary.
    ///   - resumes: whether to continue from the last checkpoint in the folder, if there is one.
    /// - Throws: `TrainingError` if the folder contains a run that differs from this one or is not to be resumed, or
    ///   if another run is active in it; the system's error if files cannot be written.
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

    /// Creates or resumes a run in a folder given by its path.
    public init(
        _ network: Network, configuration: TrainingConfiguration, training: any TrainingDataset,
        validation: (any TrainingDataset)?, folder: String, resumes: Bool
    ) throws {
        try self.init(
            network, configuration: configuration, training: training, validation: validation,
            folder: URL(filePath: folder, directoryHint: .isDirectory), resumes: resumes)
    }

    /// Whether the folder contains no run, or one with this configuration.
    private static func holdsNoOther(_ folder: URL, than configuration: TrainingConfiguration) throws -> Bool {
        do {
            let paths = [type(of: try configuration.process.path())]
            return try self.configuration(ofRunIn: folder, paths: paths).map { $0 == configuration } ?? true
        } catch let error as TrainingConfigurationError where error.field == "process.kind" {
            // The run's path is of a type that this caller does not know.
            return false
        }
    }

    /// The configuration of the run in a folder, or nil if there is none.
    ///
    /// - Parameters:
    ///   - folder: the run's folder.
    ///   - paths: path types that the field `process` may name, in addition to the package's.
    /// - Throws: `TrainingConfigurationError` if the configuration is invalid.
    public static func configuration(
        ofRunIn folder: URL, paths: [any StorablePath.Type] = []
    ) throws -> TrainingConfiguration? {
        let files = RunFolder(url: folder)
        return files.holdsRun ? try TrainingConfiguration(contentsOf: files.configuration, paths: paths) : nil
    }

    /// The configuration of the run in a folder given by its path, or nil if there is none.
    public static func configuration(
        ofRunIn folder: String, paths: [any StorablePath.Type] = []
    ) throws -> TrainingConfiguration? {
        try configuration(ofRunIn: URL(filePath: folder, directoryHint: .isDirectory), paths: paths)
    }

    /// An event of a run.
    public enum Event: Sendable {
        /// A step was taken.
        case step(TrainingProgress)
        /// The moving average of the weights was validated.
        case validated(step: Int, loss: Double, isBest: Bool)
        /// A picture of sampled slices was written.
        case sampled(URL)
        /// A checkpoint was written.
        case saved(URL)
    }

    /// Trains until the last step or until a deadline, on its own threads. A step that is not done by then is not taken, and
    /// a validation that is not done is made when the run is resumed.
    ///
    /// - Parameters:
    ///   - deadline: when to write a checkpoint and stop; nil for no deadline.
    ///   - report: called with each event. If it throws, the run stops without a checkpoint.
    /// - Returns: whether the last step was taken.
    /// - Throws: `TrainingError.diverged`; `CancellationError` after the task is cancelled and a checkpoint written;
    ///   errors of `report`, the data set, the network and the system.
    @discardableResult
    public mutating func run(
        until deadline: ContinuousClock.Instant? = nil, report: (Event) throws -> Void = { _ in }
    ) async throws -> Bool {
        try await withTaskExecutorPreference(executor) {
            try await TimeLimit.$end.withValue(deadline) { try await train(report) }
        }
    }

    private mutating func train(_ report: (Event) throws -> Void) async throws -> Bool {
        let configuration = trainer.configuration
        let clock = ContinuousClock()
        if trainer.state.owesValidation {
            try await validate(report)
            if !trainer.state.owesValidation { try save(report) }
            try Task.checkCancellation()
        }
        var pace = Pace(clock.now)
        while trainer.state.step < configuration.steps, !trainer.state.owesValidation {
            let made: Trainer<Network>.StepReport
            do { made = try trainer.step() } catch  where error is TimeIsUp || error is CancellationError {
                try save(report)
                try Task.checkCancellation()
                return false
            }
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
            try await validate(report)
            if isLast || trainer.state.owesValidation || step % configuration.intervals.checkpoint == 0 {
                try save(report)
            }
            try Task.checkCancellation()
            pace.mark = clock.now
        }
        // A run that was killed after its last checkpoint may lack the model.
        let isComplete = trainer.state.step == configuration.steps && !trainer.state.owesValidation
        if isComplete { try writeModel(to: files.model) }
        return isComplete
    }

    private mutating func write(_ made: Trainer<Network>.StepReport, _ windowsPerSecond: Double) throws {
        try log.append(
            TrainingLog.Entry(
                step: trainer.state.step, loss: trainer.state.lossSum / Double(trainer.state.lossCount),
                learningRate: made.learningRate, gradientNorm: made.gradientNorm,
                windowsPerSecond: windowsPerSecond))
        (trainer.state.lossSum, trainer.state.lossCount) = (0, 0)
    }

    /// Validates, unless the time is over first.
    private mutating func validate(_ report: (Event) throws -> Void) async throws {
        trainer.state.owesValidation = true
        do {
            try await validateIfDue(report)
            trainer.state.owesValidation = false
        } catch  where error is TimeIsUp || error is CancellationError {}
    }

    /// Validates and writes pictures at the configured intervals.
    private mutating func validateIfDue(_ report: (Event) throws -> Void) async throws {
        let isLast = trainer.state.step == trainer.configuration.steps
        let (step, intervals) = (trainer.state.step, trainer.configuration.intervals)
        let isDue = isLast || step % intervals.validation == 0
        let isPictureDue = isLast || step % intervals.samples == 0
        if let validation, isDue || isPictureDue {
            let network = try trainer.network.evaluator(of: trainer.state.averagedParameters.tensors)
            // A validation that was broken off may have got as far as this.
            let isKnown = log.entries.contains { $0.step == step && $0.validationLoss != nil }
            if isDue, !isKnown, trainer.configuration.validation.windows > 0 {
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

    /// A page about the run: its losses, the last picture of sampled slices and its settings.
    ///
    /// - Parameter title: the heading.
    public func report(title: String) -> HTMLReport {
        var page = HTMLReport(title: title)
        page.summary = "Step \(trainer.state.step) of \(trainer.configuration.steps)"
        page.charts = log.entries.isEmpty ? [] : [log.plot]
        if let picture = files.newestSamples, let png = try? Data(contentsOf: picture) {
            page.pictures = [("Sampled validation slices: source, sampled, target", png)]
        }
        page.facts = [
            ("settings", (try? trainer.configuration.json).map { String(decoding: $0, as: UTF8.self) } ?? "")
        ]
        return page
    }

    private func save(_ report: (Event) throws -> Void) throws {
        let file = files.checkpoint(trainer.state.step)
        try trainer.state.write(to: file, configuration: trainer.configuration, dataChecksum: dataChecksum)
        try writeModel(to: files.model)
        try files.removeOldCheckpoints()
        try report(.saved(file))
    }

    /// Writes the averaged weights, with the network's configuration and the translation settings.
    private func writeModel(to file: URL) throws {
        let metadata = try trainer.network.metadata.merging(trainer.configuration.translation.metadata) { $1 }
        try Safetensors.write(trainer.state.averagedParameters.tensors, metadata: metadata, to: file)
    }
}

/// The progress of a run.
public struct TrainingProgress: Sendable {
    /// Number of steps taken.
    public let step: Int
    /// Number of steps of the whole run.
    public let steps: Int
    /// The loss of the step.
    public let loss: Double
    /// The learning rate of the step.
    public let learningRate: Double
    /// Training windows per second, without validation.
    public let windowsPerSecond: Double
    /// The time to the end at this speed, without validation.
    public let remaining: Duration
}

/// The speed of a run.
private struct Pace {
    var mark: ContinuousClock.Instant
    var training = Duration.zero
    var windows = 0
    var steps = 0

    init(_ start: ContinuousClock.Instant) { mark = start }

    var perStep: Duration { training / Double(steps) }
    var windowsPerSecond: Double { Double(windows) / max(1e-9, training / .seconds(1)) }
}
