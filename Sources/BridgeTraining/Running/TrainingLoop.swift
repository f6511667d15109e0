public import Foundation
import Networks
import VolumeFigures
import VolumeIO
import Volumes
import VoxelSupport

/// What a ``TrainingLoop`` trains: it takes steps, and evaluates and writes what it has learned.
package protocol TrainingTask: Sendable {
    /// Every setting that the task's results depend on.
    associatedtype Configuration: Codable & Equatable

    var configuration: Configuration { get }
    var schedule: TrainingSchedule { get }
    var state: TrainingState { get set }

    /// Takes a step, which depends only on the state, the configuration and the data.
    mutating func step() throws -> TrainingStepReport

    /// The evaluation of the averaged parameters; nil without validation data.
    func evaluation() throws -> (any TrainingEvaluation)?

    /// Writes the averaged parameters as a model.
    func writeModel(to file: URL) throws
}

/// The evaluation of what has been learned on the validation data, always with the same examples and random numbers.
package protocol TrainingEvaluation {
    /// nil if it is not wanted.
    func loss() throws -> Double?
    /// nil if they are not wanted.
    func samples() async throws -> TrainingSamples?
}

/// What has been sampled of validation data.
package struct TrainingSamples {
    package let picture: GreyImage
    /// Whole volumes, by the names of their files.
    package let volumes: [(name: String, volume: Volume)]

    package init(picture: GreyImage, volumes: [(name: String, volume: Volume)] = []) {
        (self.picture, self.volumes) = (picture, volumes)
    }
}

/// The length of a run, and what happens in its course.
package struct TrainingSchedule: Sendable {
    package let steps: Int
    /// Examples that a step trains on.
    package let examplesPerStep: Int
    package let intervals: IntervalSettings

    package init(steps: Int, examplesPerStep: Int, intervals: IntervalSettings) {
        (self.steps, self.examplesPerStep, self.intervals) = (steps, examplesPerStep, intervals)
    }
}

/// An event of a run.
public enum TrainingEvent: Sendable {
    /// A step was taken.
    case step(TrainingProgress)
    /// The moving average of the weights was validated.
    case validated(step: Int, loss: Double, isBest: Bool)
    /// A picture of sampled slices was written.
    case sampled(URL)
    /// A checkpoint was written.
    case saved(URL)
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
    /// Training examples per second, without validation.
    public let examplesPerSecond: Double
    /// The time to the end at this speed, without validation.
    public let remaining: Duration
}

/// Trains a task in a folder, with a log, validation, pictures, models and checkpoints. Killed at any moment and resumed,
/// it gives the same bytes.
package struct TrainingLoop<Task: TrainingTask> {
    package internal(set) var task: Task

    package let files: RunFolder
    package private(set) var log: TrainingLog
    private let lock: FolderLock
    private let dataChecksum: String

    /// Creates a run in a folder, or resumes the one it contains.
    ///
    /// - Parameters:
    ///   - folder: the folder of this run only; it is created if necessary.
    ///   - resumes: whether to continue from the last checkpoint in the folder, if there is one.
    ///   - configuration: the task's, and `json` the same as text.
    ///   - holdsOther: whether the run in the folder has another configuration.
    ///   - dataChecksum: changes whenever the data do.
    ///   - layout: what a saved state consists of.
    ///   - make: the task at a saved state, or before the first step.
    /// - Throws: `TrainingError` if the folder contains a run that differs from this one or is not to be resumed, or
    ///   if another run is active in it; the system's error if files cannot be written.
    package init(
        folder: URL, resumes: Bool, configuration: Task.Configuration, json: Data,
        holdsOther: (RunFolder) throws -> Bool, dataChecksum: String, layout: TrainingState.Layout,
        make: (TrainingState?) throws -> Task
    ) throws {
        files = RunFolder(url: folder)
        self.dataChecksum = dataChecksum
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        lock = try FolderLock(folder)
        if files.holdsRun, !resumes { throw TrainingError.runExists(folder: folder.path) }
        guard try !files.holdsRun || !holdsOther(files) else {
            throw TrainingError.otherConfiguration(folder: folder.path)
        }
        try files.prepare()
        let state = try files.checkpoints.first.map {
            try TrainingState(
                contentsOf: $0, layout: layout, configuration: configuration, dataChecksum: dataChecksum)
        }
        try AtomicFile.write(Data((dataChecksum + "\n").utf8), to: files.data)
        try AtomicFile.write(json, to: files.configuration)
        task = try make(state)
        log = try TrainingLog(files.log, upTo: task.state.step)
    }

    /// Trains until the last step or until a deadline. A step that is not done by then is not taken, and a validation that
    /// is not done is made when the run is resumed.
    ///
    /// - Parameters:
    ///   - deadline: when to write a checkpoint and stop; nil for no deadline.
    ///   - report: called with each event. If it throws, the run stops without a checkpoint.
    /// - Returns: whether the last step was taken.
    /// - Throws: `TrainingError.diverged`; `CancellationError` after the Swift task is cancelled and a checkpoint
    ///   written; errors of `report`, the data set, the network and the system.
    package mutating func run(
        until deadline: ContinuousClock.Instant?, report: (TrainingEvent) throws -> Void
    ) async throws -> Bool {
        try await TimeLimit.$end.withValue(deadline) { try await train(report) }
    }

    private mutating func train(_ report: (TrainingEvent) throws -> Void) async throws -> Bool {
        let schedule = task.schedule
        let clock = ContinuousClock()
        if task.state.owesValidation {
            try await validate(report)
            if !task.state.owesValidation { try save(report) }
            try _Concurrency.Task.checkCancellation()
        }
        var pace = Pace(clock.now)
        while task.state.step < schedule.steps, !task.state.owesValidation {
            let made: TrainingStepReport
            do { made = try task.step() } catch  where error is TimeIsUp || error is CancellationError {
                try save(report)
                try _Concurrency.Task.checkCancellation()
                return false
            }
            let step = task.state.step
            pace.examples += schedule.examplesPerStep
            pace.steps += 1
            pace.training += clock.now - pace.mark
            try report(
                .step(
                    TrainingProgress(
                        step: step, steps: schedule.steps, loss: made.loss,
                        learningRate: made.learningRate, examplesPerSecond: pace.examplesPerSecond,
                        remaining: pace.perStep * Double(schedule.steps - step))))
            let isLast = step == schedule.steps
            if isLast || step % schedule.intervals.log == 0 { try write(made, pace.examplesPerSecond) }
            try await validate(report)
            if isLast || task.state.owesValidation || step % schedule.intervals.checkpoint == 0 {
                try save(report)
            }
            try _Concurrency.Task.checkCancellation()
            pace.mark = clock.now
        }
        // A run that was killed after its last checkpoint may lack the model.
        let isComplete = task.state.step == schedule.steps && !task.state.owesValidation
        if isComplete { try task.writeModel(to: files.model) }
        return isComplete
    }

    private mutating func write(_ made: TrainingStepReport, _ examplesPerSecond: Double) throws {
        let losses = task.state.takeLosses()
        try log.append(
            TrainingLog.Entry(
                step: task.state.step, loss: losses.mean, learningRate: made.learningRate,
                gradientNorm: made.gradientNorm, examplesPerSecond: examplesPerSecond,
                losses: losses.parts.isEmpty ? nil : losses.parts))
    }

    /// Validates, unless the time is over first.
    private mutating func validate(_ report: (TrainingEvent) throws -> Void) async throws {
        task.state.owesValidation = true
        do {
            try await validateIfDue(report)
            task.state.owesValidation = false
        } catch  where error is TimeIsUp || error is CancellationError {}
    }

    /// Validates and writes pictures at the configured intervals.
    private mutating func validateIfDue(_ report: (TrainingEvent) throws -> Void) async throws {
        let (step, intervals) = (task.state.step, task.schedule.intervals)
        let isLast = step == task.schedule.steps
        let isDue = isLast || step % intervals.validation == 0
        let isPictureDue = isLast || step % intervals.samples == 0
        if isDue || isPictureDue, let evaluation = try task.evaluation() {
            // A validation that was broken off may have got as far as this.
            let isKnown = log.entries.contains { $0.step == step && $0.validationLoss != nil }
            if isDue, !isKnown, let loss = try evaluation.loss() {
                let isBest = task.state.bestValidationLoss.map { loss < $0 } ?? true
                if isBest {
                    task.state.bestValidationLoss = loss
                    try task.writeModel(to: files.best)
                }
                try log.append(TrainingLog.Entry(step: step, validationLoss: loss))
                try report(.validated(step: step, loss: loss, isBest: isBest))
            }
            if isPictureDue, let samples = try await evaluation.samples() {
                if !samples.volumes.isEmpty {
                    let folder = files.sampledVolumes(step)
                    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                    AtomicFile.removeLeftovers(in: folder.path)
                    for (name, volume) in samples.volumes { try volume.write(to: folder.appending(path: name)) }
                }
                try samples.picture.write(to: files.samples(step))
                try report(.sampled(files.samples(step)))
            }
        }
        if isDue, !log.entries.isEmpty { try log.plot.image().write(to: files.losses) }
    }

    private func save(_ report: (TrainingEvent) throws -> Void) throws {
        let file = files.checkpoint(task.state.step)
        try task.state.write(to: file, configuration: task.configuration, dataChecksum: dataChecksum)
        try task.writeModel(to: files.model)
        try files.removeOldCheckpoints()
        try report(.saved(file))
    }
}

/// The speed of a run.
private struct Pace {
    var mark: ContinuousClock.Instant
    var training = Duration.zero
    var examples = 0
    var steps = 0

    init(_ start: ContinuousClock.Instant) { mark = start }

    var perStep: Duration { training / Double(steps) }
    var examplesPerSecond: Double { Double(examples) / max(1e-9, training / .seconds(1)) }
}
