public import BridgeTraining
public import Foundation
import LatentTranslation
public import NetworkEngine
import Networks
import TensorFiles
public import VolumeFigures
import VoxelSupport

/// The training of a latent translator in a folder, stage after stage.
///
/// ```swift
/// let run = try LatentTrainingRun(
///     configuration: configuration, training: data.training, validation: data.validation, folder: "run")
/// try await run.train(LatentStage.allCases, resumes: true) { stage, event in print(stage, event) }
/// ```
///
/// Each stage has a folder of its own in the run's, with its log, checkpoints, models and samples as `TrainingRun` has
/// them, and starts from the model of the stage before it. `model.safetensors` in the run's folder is the model of the stage
/// that was trained last. A run that is killed at any moment and resumed gives bit-identical weights.
public struct LatentTrainingRun: Sendable {
    /// Every setting.
    public let configuration: LatentTrainingConfiguration

    private let training: ModalityDataset
    private let validation: ModalityDataset?
    let folder: URL
    private let cache: URL
    private let options: ComputeOptions
    private let engine: NetworkGradients
    private let features: (any FeatureNetwork)?
    private let lock: FolderLock
    private let executor = ComputeExecutor()

    /// A run in a folder, which may hold stages that have been trained.
    ///
    /// - Parameters:
    ///   - configuration: every setting.
    ///   - training: the training data.
    ///   - validation: the validation data; nil for no validation.
    ///   - folder: the folder of this run only; it is created if necessary.
    ///   - cache: the folder for latents of networks that are no longer trained; nil for `cache` in the run's folder.
    ///   - options: threads and memory. Results do not depend on them.
    ///   - recomputesActivations: whether to save memory by evaluating layers twice. Results do not depend on it.
    ///   - features: the network of the perceptual loss.
    /// - Throws: `TrainingError.locked` if another run is active in the folder; `TrainingConfigurationError` if the
    ///   configuration is not valid for the data; the system's error if files cannot be written.
    public init(
        configuration: LatentTrainingConfiguration, training: ModalityDataset, validation: ModalityDataset?,
        folder: URL, cache: URL? = nil, options: ComputeOptions = ComputeOptions(),
        recomputesActivations: Bool = false, features: (any FeatureNetwork)? = nil
    ) throws {
        try configuration.validate()
        (self.configuration, self.training, self.validation) = (configuration, training, validation)
        (self.folder, self.options, self.features) = (folder, options, features)
        self.cache = cache ?? folder.appending(path: "cache")
        engine = NetworkGradients(options: options, recomputesActivations: recomputesActivations)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        lock = try FolderLock(folder)
        AtomicFile.removeLeftovers(in: folder.path)
    }

    /// A run in the folder at a path; see ``init(configuration:training:validation:folder:cache:options:recomputesActivations:features:)-(_,_,_,URL,_,_,_,_)``.
    public init(
        configuration: LatentTrainingConfiguration, training: ModalityDataset, validation: ModalityDataset?,
        folder: String, cache: String? = nil, options: ComputeOptions = ComputeOptions(),
        recomputesActivations: Bool = false, features: (any FeatureNetwork)? = nil
    ) throws {
        func url(_ path: String) -> URL { URL(filePath: path, directoryHint: .isDirectory) }
        try self.init(
            configuration: configuration, training: training, validation: validation, folder: url(folder),
            cache: cache.map(url), options: options, recomputesActivations: recomputesActivations,
            features: features)
    }

    /// The configuration of the run in a folder given by its path, or nil if there is none.
    ///
    /// - Throws: `TrainingConfigurationError` if the configuration is invalid.
    public static func configuration(ofRunIn folder: String) throws -> LatentTrainingConfiguration? {
        try configuration(ofRunIn: URL(filePath: folder, directoryHint: .isDirectory))
    }

    /// The configuration of the run in a folder, or nil if there is none.
    ///
    /// - Throws: `TrainingConfigurationError` if the configuration is invalid.
    public static func configuration(ofRunIn folder: URL) throws -> LatentTrainingConfiguration? {
        let file = configurationFile(in: folder)
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        return try LatentTrainingConfiguration(contentsOf: file)
    }

    private static func configurationFile(in folder: URL) -> URL {
        folder.appending(path: "configuration.json")
    }

    /// The model of the stage that was trained last.
    public var model: URL { folder.appending(path: "model.safetensors") }

    func files(of stage: LatentStage) -> RunFolder {
        RunFolder(url: folder.appending(path: stage.rawValue))
    }

    /// Whether the folder holds a part of a stage's training.
    public func holds(_ stage: LatentStage) -> Bool { files(of: stage).holdsRun }

    /// Trains stages, each until its last step, on its own threads.
    ///
    /// - Parameters:
    ///   - stages: the stages, in their order.
    ///   - start: a model's file, or a run's folder, that the first of them starts from; nil for the stage before it in
    ///     this folder, or for new networks in the first stage. A stage that is resumed keeps its start.
    ///   - resumes: whether a stage continues from its last checkpoint, if there is one.
    ///   - deadline: when to write a checkpoint and stop; nil for no deadline.
    ///   - report: called with each event. If it throws, the run stops without a checkpoint.
    /// - Returns: whether the last step of the last stage was taken.
    /// - Throws: `TrainingError`; `LatentTrainingError` where a stage has nothing to start from; `CancellationError` after
    ///   the task is cancelled and a checkpoint written; errors of `report`, the networks and the system.
    @discardableResult
    public func train(
        _ stages: [LatentStage] = LatentStage.allCases, from start: URL? = nil, resumes: Bool,
        until deadline: ContinuousClock.Instant? = nil,
        report: (LatentStage, TrainingEvent) throws -> Void = { _, _ in }
    ) async throws -> Bool {
        for (index, stage) in stages.enumerated() {
            let networks = try self.start(of: stage, from: index == 0 ? start : nil, resumes: resumes)
            let isComplete = try await withTaskExecutorPreference(executor) {
                switch stage {
                case .autoencoder:
                    try await trainAutoencoder(networks, resumes, deadline) { try report(stage, $0) }
                case .translator:
                    try await trainTranslator(networks, resumes, deadline) { try report(stage, $0) }
                case .denoiser: try await trainDenoiser(networks, resumes, deadline) { try report(stage, $0) }
                }
            }
            guard isComplete else { return false }
        }
        return true
    }

    /// Trains stages, the first of them from a model's file or a run's folder at a path; see
    /// ``train(_:from:resumes:until:report:)-([LatentStage],URL?,_,_,_)``.
    ///
    /// - Throws: as that does.
    @discardableResult
    public func train(
        _ stages: [LatentStage] = LatentStage.allCases, from start: String, resumes: Bool,
        until deadline: ContinuousClock.Instant? = nil,
        report: (LatentStage, TrainingEvent) throws -> Void = { _, _ in }
    ) async throws -> Bool {
        try await train(
            stages, from: URL(filePath: start), resumes: resumes, until: deadline, report: report)
    }

    /// A page about the run: the losses of each stage, its last samples, and the settings.
    ///
    /// - Throws: the system's error where a log cannot be read.
    public func report(title: String) throws -> HTMLReport {
        var page = HTMLReport(title: title)
        for stage in LatentStage.allCases where holds(stage) {
            let files = files(of: stage)
            let log = try TrainingLog(reading: files.log)
            if !log.entries.isEmpty {
                page.charts.append(log.plot(title: "\(stage.rawValue): loss"))
            }
            if let parts = log.plotOfParts(title: "\(stage.rawValue): parts of the loss") {
                page.charts.append(parts)
            }
            if let picture = files.newestSamples, let png = try? Data(contentsOf: picture) {
                page.pictures.append(("\(stage.rawValue): sampled validation volumes", png))
            }
            page.summary +=
                (page.summary.isEmpty ? "" : "; ") + "\(stage.rawValue): step \(log.entries.last?.step ?? 0)"
        }
        page.facts = [("settings", String(decoding: try configuration.json, as: UTF8.self))]
        return page
    }
}

/// Stages.
extension LatentTrainingRun {
    private typealias Report = (TrainingEvent) throws -> Void

    private func trainAutoencoder(
        _ start: LatentParameters, _ resumes: Bool, _ deadline: ContinuousClock.Instant?, _ report: Report
    ) async throws -> Bool {
        let settings = configuration.autoencoder
        if settings.losses.perceptual > 0, features == nil {
            throw TrainingConfigurationError(
                file: nil, field: "autoencoder.losses.perceptual", found: "\(settings.losses.perceptual)",
                expected: "0, as no feature network is given (--features)")
        }
        let objective = AutoencoderObjective(
            configuration.model.firstStage, losses: settings.losses, features: features)
        try check(settings.losses.adversarial, settings.steps, of: .autoencoder, latents: false)
        return try await train(
            LatentStagePlan(
                .autoencoder, settings, adversarialStart: settings.losses.adversarial.start,
                quantizationStart: settings.losses.quantizationStart, of: configuration),
            objective, start: start, initial: start.firstStage, needsPairs: false, resumes, deadline, report,
            load: { example, data in
                AutoencoderObjective.Example(
                    volume: try data.volume(example.subject, example.source, flips: example.flips),
                    source: example.source, target: example.target)
            }, merge: { $0.replacing(firstStage: $1) })
    }

    private func trainTranslator(
        _ start: LatentParameters, _ resumes: Bool, _ deadline: ContinuousClock.Instant?, _ report: Report
    ) async throws -> Bool {
        let settings = configuration.translator
        let objective = TranslatorObjective(configuration.model.firstStage, losses: settings.losses)
        try check(settings.losses.adversarial, settings.steps, of: .translator, latents: true)
        let latents = try latents(start)
        return try await train(
            LatentStagePlan(
                .translator, settings, adversarialStart: settings.losses.adversarial.start, of: configuration),
            objective, start: start, initial: start.firstStage, needsPairs: true, resumes, deadline, report,
            load: { example, data in
                func latent(_ modality: Int) throws -> Tensor {
                    try latents.latent(data, example.subject, modality, flips: example.flips)
                }
                return TranslatorObjective.Example(
                    latent: try latent(example.source), targetLatent: try latent(example.target),
                    source: example.source, target: example.target,
                    volume: objective.needsVolumes
                        ? try data.volume(example.subject, example.source, flips: example.flips) : nil)
            }, merge: { $0.replacing(firstStage: $1) })
    }

    private func trainDenoiser(
        _ start: LatentParameters, _ resumes: Bool, _ deadline: ContinuousClock.Instant?, _ report: Report
    ) async throws -> Bool {
        guard let sizes = configuration.model.denoiser else { return true }
        let path = try configuration.model.path()
        let objective = DenoiserObjective(
            sizes, path: path, predicting: configuration.model.predictionType,
            losses: configuration.denoiser.losses)
        let latents = try latents(start)
        let scale = configuration.model.scale
        let initial =
            start.denoiser.isEmpty
            ? ParameterSet(ofDenoiser: sizes, seed: seed(of: .denoiser)).tensors : start.denoiser
        let model = configuration.model
        return try await train(
            LatentStagePlan(.denoiser, configuration.denoiser, of: configuration), objective, start: start,
            initial: initial, needsPairs: true, resumes, deadline, report,
            load: { example, data in
                func latent(_ modality: Int) throws -> Tensor {
                    try latents.latent(data, example.subject, modality, flips: example.flips)
                }
                let like = try latents.translated(
                    data, example.subject, example.source, to: example.target, flips: example.flips)
                let conditioningLatents =
                    sizes.takesSource
                    ? Tensor.concatenated([try latent(example.source), like], axis: 1) : like
                let target = try latent(example.target).scaled(by: scale)
                var noise = Tensor(shape: target.shape)
                noise.addNoise(example.noise, timestep: 0, weight: 1)
                return DenoiserObjective.Example(
                    target: target, conditioningLatents: conditioningLatents.scaled(by: scale), noise: noise,
                    timestep: Int(example.place * Double(path.trainingTimesteps)), targetClass: example.target)
            }, merge: { $0.with(denoiser: $1, of: model) })
    }

    private func train<Objective: LatentObjective>(
        _ plan: LatentStagePlan, _ objective: Objective, start: LatentParameters, initial: [String: Tensor],
        needsPairs: Bool, _ resumes: Bool, _ deadline: ContinuousClock.Instant?, _ report: Report,
        load: @escaping @Sendable (ExampleDrawer.Example, ModalityDataset) throws -> Objective.Example,
        merge: @escaping @Sendable (LatentParameters, [String: Tensor]) -> LatentParameters
    ) async throws -> Bool {
        let seed = seed(of: plan.stage)
        let sources = plan.stage == .autoencoder ? nil : configuration.data.sources
        func drawer(_ data: ModalityDataset) -> ExampleDrawer {
            ExampleDrawer(
                data, needsPairs: needsPairs, sources: sources, flips: configuration.data.flips, seed: seed)
        }
        guard !drawer(training).subjects.isEmpty else { throw LatentTrainingError.noPairs(plan.stage) }
        let files = files(of: plan.stage)
        var loop = try TrainingLoop<LatentStageTask<Objective>>(
            folder: files.url, resumes: resumes, configuration: plan.record,
            json: plan.record.sortedJSON(prettyPrinted: true),
            holdsOther: { try JSONValue(contentsOf: $0.configuration) != plan.record },
            dataChecksum: dataChecksum(start: start),
            layout: TrainingState.Layout(
                objective.trained, discriminator: objective.discriminator?.parameters, settings: plan.settings)
        ) { state in
            LatentStageTask(
                plan: plan, objective: objective, start: start, training: training,
                validation: validation, options: options, engine: engine, seed: configuration.seed, load: load,
                merge: merge,
                state: try state
                    ?? TrainingState(
                        ParameterSet(objective.trained) { initial[$0] },
                        discriminator: objective.discriminator.map {
                            ParameterSet(ofDiscriminator: $0, seed: seed)
                        }, settings: plan.settings),
                drawer: drawer(training), validationDrawer: validation.map(drawer))
        }
        // The stage has been accepted: it is not another run's.
        try AtomicFile.write(configuration.json, to: Self.configurationFile(in: folder))
        func publish() throws { try AtomicFile.write(Data(contentsOf: files.model), to: model) }
        let isComplete = try await loop.run(until: deadline) { event in
            if case .saved = event { try publish() }
            try report(event)
        }
        try publish()
        return isComplete
    }

    /// A seed of its own for each stage.
    func seed(of stage: LatentStage) -> UInt64 {
        let index = LatentStage.allCases.firstIndex(of: stage) ?? 0
        return configuration.seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
    }

    private func dataChecksum(start: LatentParameters) -> String {
        var lines = ["targets " + training.targets.joined(separator: " "), "start \(start.fingerprint)"]
        if let features { lines.append("features \(features.fingerprint)") }
        lines += ["train", training.fingerprint]
        if let validation { lines += ["validation", validation.fingerprint] }
        return lines.joined(separator: "\n")
    }

    /// The latents of the data by networks that are no longer trained.
    private func latents(_ start: LatentParameters) throws -> LatentCache {
        try LatentCache(
            cache.appending(path: "latents/\(start.fingerprint)"), model: start.model(options: options),
            parameters: start.firstStage)
    }

    /// Checks that a discriminator's patches fit into its inputs.
    private func check(
        _ settings: LatentAdversarialSettings, _ steps: Int, of stage: LatentStage, latents: Bool
    ) throws {
        guard settings.weight > 0, settings.start < steps else { return }
        let factor = latents ? configuration.model.firstStage.factor : 1
        let discriminator = PatchDiscriminator(settings, inputs: 1, outputs: 1)
        for subject in training.subjects {
            let extents = subject.shape.map { $0 / factor }
            guard discriminator.patches(of: extents) == nil else { continue }
            throw TrainingConfigurationError(
                file: nil, field: "\(stage.rawValue).losses.adversarial.layers", found: "\(settings.layers)",
                expected: "fewer, as a patch does not fit into \(latents ? "latents" : "volumes") of "
                    + extents.reversed().map(String.init).joined(separator: " x ")
                    + "; or a weight of 0 for no discriminator")
        }
    }
}

/// Why a stage of a latent translator cannot be trained.
public enum LatentTrainingError: LocalizedError, Equatable, CustomStringConvertible {
    /// There is no model of the stage before it.
    case noStart(LatentStage, folder: String)
    /// The model to start from has other sizes or targets.
    case otherNetwork(file: String, field: String, found: String, expected: String)
    /// No training subject has two modalities.
    case noPairs(LatentStage)

    /// The same as ``description``.
    public var errorDescription: String? { description }

    /// The cause and a remedy.
    public var description: String {
        switch self {
        case .noStart(let stage, let folder):
            let before = stage == .denoiser ? LatentStage.translator : .autoencoder
            return """
                \(folder) has no model that the stage \(stage.rawValue) could start from; train the stage \
                \(before.rawValue) first, or give a run or a model with --from
                """
        case .otherNetwork(let file, let field, let found, let expected):
            return """
                \(file): found \(field) \(found); expected \(expected), as the configuration says; start from a model \
                of these sizes, or change the configuration
                """
        case .noPairs(let stage):
            return """
                no training subject has volumes of two modalities, one of which is a source (data.sources), from which \
                the stage \(stage.rawValue) learns; add subjects with two or more
                """
        }
    }
}
