public import Foundation
public import BridgeDiffusion
public import NetworkEngine
import Networks
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
    private var loop: TrainingLoop<SliceTraining<Network>>
    private let executor = ComputeExecutor()

    /// The network, the configuration and the state.
    public var trainer: Trainer<Network> { loop.task.trainer }

    /// Creates a run in a folder, or resumes the one it contains.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - configuration: every setting.
    ///   - training: the training data.
    ///   - validation: the validation data; nil for no validation.
    ///   - folder: the folder of this run only; it is created if necessary.
    ///   - resumes: whether to continue from the last checkpoint in the folder, if there is one.
    ///   - options: threads of the discriminator, if the configuration has one. Results do not depend on them.
    /// - Throws: `TrainingError` if the folder contains a run that differs from this one or is not to be resumed, or
    ///   if another run is active in it; the system's error if files cannot be written.
    public init(
        _ network: Network, configuration: TrainingConfiguration, training: any TrainingDataset,
        validation: (any TrainingDataset)?, folder: URL, resumes: Bool,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        let dataChecksum =
            (["train", training.fingerprint]
            + (validation.map { ["validation", $0.fingerprint] } ?? [])).joined(separator: "\n")
        loop = try TrainingLoop(
            folder: folder, resumes: resumes, configuration: configuration, json: configuration.json,
            holdsOther: { _ in try Self.holdsOther(folder, than: configuration) }, dataChecksum: dataChecksum,
            layout: .init(
                network.parameters,
                discriminator: configuration.adversarial.map {
                    PatchDiscriminator($0, radius: training.radius).parameters
                }, settings: .init(configuration))
        ) { state in
            try SliceTraining(
                trainer: Trainer(
                    network, configuration: configuration, dataset: training, state: state,
                    options: options),
                validation: validation.map { try Validation(dataset: $0, configuration: configuration) })
        }
    }

    /// Creates or resumes a run in a folder given by its path.
    public init(
        _ network: Network, configuration: TrainingConfiguration, training: any TrainingDataset,
        validation: (any TrainingDataset)?, folder: String, resumes: Bool,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(
            network, configuration: configuration, training: training, validation: validation,
            folder: URL(filePath: folder, directoryHint: .isDirectory), resumes: resumes, options: options)
    }

    /// Whether the folder contains a run with another configuration.
    private static func holdsOther(_ folder: URL, than configuration: TrainingConfiguration) throws -> Bool {
        do {
            let paths = [type(of: try configuration.process.path())]
            return try self.configuration(ofRunIn: folder, paths: paths).map { $0 != configuration } ?? false
        } catch let error as TrainingConfigurationError where error.field == "process.kind" {
            // The run's path is of a type that this caller does not know.
            return true
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
        until deadline: ContinuousClock.Instant? = nil, report: (TrainingEvent) throws -> Void = { _ in }
    ) async throws -> Bool {
        try await withTaskExecutorPreference(executor) { try await loop.run(until: deadline, report: report) }
    }

    /// A page about the run: its losses, the last picture of sampled slices and its settings.
    ///
    /// - Parameter title: the heading.
    public func report(title: String) -> HTMLReport {
        var page = HTMLReport(title: title)
        let configuration = trainer.configuration
        page.summary = "Step \(trainer.state.step) of \(configuration.steps)"
        page.charts = loop.log.entries.isEmpty ? [] : [loop.log.plot]
        if let picture = loop.files.newestSamples, let png = try? Data(contentsOf: picture) {
            page.pictures = [("Sampled validation slices: source, sampled, target", png)]
        }
        page.facts = [
            ("settings", (try? configuration.json).map { String(decoding: $0, as: UTF8.self) } ?? "")
        ]
        return page
    }
}

/// The training of a network of slices, as a loop's task.
private struct SliceTraining<Network: TrainableNetwork>: TrainingTask {
    var trainer: Trainer<Network>
    let validation: Validation?

    var configuration: TrainingConfiguration { trainer.configuration }
    var schedule: TrainingSchedule {
        TrainingSchedule(
            steps: configuration.steps, examplesPerStep: configuration.batch * configuration.accumulation,
            intervals: configuration.intervals)
    }
    var state: TrainingState {
        get { trainer.state }
        _modify { yield &trainer.state }
    }

    mutating func step() throws -> TrainingStepReport { try trainer.step() }

    func evaluation() throws -> (any TrainingEvaluation)? {
        try validation.map {
            SliceEvaluation(
                validation: $0,
                network: try trainer.network.evaluator(of: trainer.state.averagedParameters.tensors))
        }
    }

    /// Writes the averaged weights, with the network's configuration and the translation settings.
    func writeModel(to file: URL) throws {
        let metadata = try trainer.network.metadata.merging(configuration.translation.metadata) { $1 }
        try Safetensors.write(trainer.state.averagedParameters.tensors, metadata: metadata, to: file)
    }
}

/// A network of slices on the validation data.
private struct SliceEvaluation: TrainingEvaluation {
    let validation: Validation
    let network: @Sendable (WindowBatch) throws -> Tensor

    func loss() throws -> Double? {
        validation.configuration.validation.windows > 0 ? try validation.loss(of: network) : nil
    }

    func samples() async throws -> TrainingSamples? {
        guard validation.configuration.validation.samples > 0 else { return nil }
        return TrainingSamples(picture: try await validation.picture(by: network))
    }
}
