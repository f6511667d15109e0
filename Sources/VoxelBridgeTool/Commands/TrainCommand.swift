import ArgumentParser
import BridgeTraining
import Foundation
import LatentTraining
import Logging
import NetworkEngine
import VoxelBridge
import VoxelSupport

struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a network for translation, on pairs of volumes or on subjects in several modalities.",
        discussion: """
            With --model slices, the default, a 2-D network learns to translate one modality to another. \
            The pairs are listed in a table, one subject per line, with paths relative to it:

              subject,split,source,target
              anna,train,anna/ct.nii.gz,anna/t1.nii.gz
              ben,train,ben/ct.nii.gz,ben/t1.nii.gz
              carl,validation,carl/ct.nii.gz,carl/t1.nii.gz

            The splits are train, validation and test (not used). An optional column 'mask' names a volume that \
            is above zero in the region to keep. Source and target must have the same grid, unless they are to be \
            aligned first: with --align each target is moved rigidly onto its source.

              voxelbridge train --data pairs.csv --output run
              voxelbridge train --data pairs.csv --output run --resume

            The folder then contains model.safetensors (the averaged weights) and style.json (the average style \
            of the training subjects), which 'voxelbridge translate' needs, log.jsonl, loss.png, samples/ with \
            sampled validation slices, checkpoints/, and report.html, a page that shows them. A run that is killed at any moment and resumed gives \
            bit-identical weights.

            The default settings are the published ones. A JSON file overrides them, here for a small network:

              { "network": { "model_channels": 32, "num_head_channels": 32,
                             "channel_mult": [1, 2, 4] },
                "data": { "spacing": 2, "source": "window:0,80" }, "batch": 4,
                "steps": 20000, "moving_average": { "start": 500 } }

            Intensities are scaled to [0, 1] by the rules in data.source and data.target, which the model's file \
            states: percentiles:0.1,99.9 (default), window:LOW,HIGH (for CT), min-max, z-score:3, unit. They are \
            measured inside the mask or, without one, in all that is not background.

            With --model latent, a 3-D latent translator learns to translate any modality to any other. Its table \
            has a column for each modality, with empty fields where a subject has no such volume:

              subject,split,t1,t2,flair
              anna,train,anna/t1.nii.gz,anna/t2.nii.gz,anna/flair.nii.gz
              ben,train,ben/t1.nii.gz,,ben/flair.nii.gz
              carl,validation,carl/t1.nii.gz,carl/t2.nii.gz,carl/flair.nii.gz

              voxelbridge train --model latent --data subjects.csv --output run
              voxelbridge train --model latent --data subjects.csv --output run --stage denoiser --resume

            The volumes of a subject must be on one grid, with a background of 0. Three stages are trained in order: \
            autoencoder, translator, denoiser; each starts from the model of the previous one. --stage selects one. \
            Each stage has its own folder in the run's folder, with its checkpoints, log and samples, among them \
            volumes translated to every target. The run's model.safetensors is the model of the stage trained last. \
            A small configuration for volumes of 3 mm:

              { "model": { "first_stage": { "ch": 16, "num_groups": 8, "n_embed": 512, "translator_width": 32,
                                            "translator_hidden": 16 },
                           "denoiser": { "model_channels": 32, "num_head_channels": 16, "num_groups": 8 },
                           "preparation": { "shape": [64, 80, 64], "spacing": 3 } },
                "autoencoder": { "steps": 4000, "batch": 1 }, "translator": { "steps": 4000, "batch": 2 },
                "denoiser": { "steps": 8000, "batch": 4 } }

            --print-config prints every setting.
            """)

    /// The kinds of models.
    enum Model: String, CaseIterable, ExpressibleByArgument {
        case slices, latent
    }

    /// Stages of a latent translator.
    enum Stages: String, CaseIterable, ExpressibleByArgument {
        case autoencoder, translator, denoiser, all

        var stages: [LatentStage] { LatentStage(rawValue: rawValue).map { [$0] } ?? LatentStage.allCases }
    }

    @Option(help: "What to train: a 2-D network of slices, or a 3-D latent translator.")
    var model = Model.slices

    @Option(help: "The stage of a latent translator to train. (default: all)")
    var stage: Stages?

    @Option(
        help:
            "A run's folder, or a model, that the stage starts from. (default: the stage before it in the run)")
    var from: String?

    @Option(help: "The feature network of the autoencoder's perceptual loss (.safetensors).")
    var features: String?

    @Option(help: "The table of subjects (.csv).")
    var data: String?

    @Option(help: "The folder of the run; it is created if necessary.")
    var output: String?

    @Option(help: "The settings that differ from the defaults (.json).")
    var config: String?

    @Flag(
        help: "Align each target with its source first, as 'register' does. (default: the setting data.align)")
    var align = false

    @Flag(help: "Continue the run in the folder, if there is one.")
    var resume = false

    @Option(help: "Write a checkpoint and stop after this number of minutes.")
    var maxMinutes: Double?

    @Option(help: "The folder of prepared volumes. (default: 'cache' in the run's folder)")
    var cache: String?

    @OptionGroup
    var threads: ThreadOptions

    @Flag(
        help: ArgumentHelp(
            "Use less memory by recomputing activations, which makes training slower.",
            discussion: "The result does not depend on it."))
    var saveMemory = false

    @Flag(help: "Print all settings as JSON, including those of --config, and exit.")
    var printConfig = false

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require(
            printConfig || (data != nil && output != nil),
            "give the table of subjects with --data and the run's folder with --output")
        if let maxMinutes, !(maxMinutes > 0 && maxMinutes <= 1e6) {
            throw ValidationError("--max-minutes must be above 0, but is \(maxMinutes)")
        }
        if model == .slices {
            for (option, isGiven) in [
                ("--stage", stage != nil), ("--from", from != nil), ("--features", features != nil),
            ] { try require(!isGiven, "\(option) applies only to --model latent") }
        } else {
            try require(
                !align,
                "--align applies only to --model slices; for a latent translator, align the volumes first with "
                    + "'voxelbridge register'")
        }
    }

    func run() async throws {
        switch model {
        case .slices: try await trainSlices()
        case .latent: try await trainLatent()
        }
    }

    private func trainSlices() async throws {
        let given = try config.map { try TrainingConfiguration(contentsOf: URL(filePath: $0)) }
        guard !printConfig, let data, let output else {
            print(String(decoding: try (given ?? .published).json, as: UTF8.self))
            return
        }
        let start = ContinuousClock.now
        let logger = logging.logger
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        let known = try TrainingRun<TrainableUNet>.configuration(ofRunIn: folder)
        if known != nil, !resume { throw TrainingError.runExists(folder: output) }
        var configuration = given ?? known ?? .published
        if align { configuration.data.align = true }
        try configuration.validate()
        let multiple = configuration.network.sizeMultiple
        try checkMemory(for: configuration, rows: multiple, columns: multiple)

        let cache = cacheFolder(of: folder)
        let manifest = try Manifest(
            contentsOf: URL(filePath: data), requiresOneGrid: !configuration.data.align)
        warn(of: manifest.warnings, in: data, logger: logger)
        let end = deadline(from: start)
        let ready = try beforeTheDeadline(end, logger) {
            try ManifestDataset.prepare(
                manifest, cache: cache, configuration: configuration, progress: preparationProgress)
        }
        guard let prepared = ready else { return }
        let training = prepared.training
        try checkMemory(for: configuration, rows: training.rows, columns: training.columns)
        logger.info(
            """
            \(training.names.count) training subjects, \(training.count) slices of \(training.columns) x \
            \(training.rows); \(prepared.validation?.names.count ?? 0) validation subjects
            """)
        // Subjects may share a file.
        for warning in Set(training.warnings + (prepared.validation?.warnings ?? [])).sorted() {
            logger.warning("\(warning)")
        }
        if prepared.validation == nil {
            logger.warning("\(data): no validation subjects; the run has no validation and no samples")
        }
        var run = try TrainingRun(
            TrainableUNet(configuration.network, options: computeOptions, recomputesActivations: saveMemory),
            configuration: configuration, training: training, validation: prepared.validation, folder: folder,
            resumes: resume, options: computeOptions)
        try manifest.write(to: folder.appending(path: "manifest.csv"))
        if configuration.network.contextWidth != nil {
            try training.averageStyle.write(to: folder.appending(path: "style.json"))
        }
        logger.info(
            "\(inMillions(run.trainer.state.parameters.count)) parameters, starting at step \(run.trainer.state.step)"
        )
        let line = logging.quiet ? nil : TrainingLine()
        let isComplete = try await run.run(until: end) {
            show($0, line: line, logger: logger)
        }
        line?.clear()
        var report = run.report(title: "Training run \(folder.lastPathComponent)")
        report.facts = runFacts + [("data", data)] + report.facts
        try report.write(to: folder.appending(path: "report.html"))
        logger.info(
            isComplete
                ? "Trained \(configuration.steps) steps: \(output)/model.safetensors"
                : "Stopped after step \(run.trainer.state.step) of \(configuration.steps); continue with --resume"
        )
    }

    /// Checks that the machine can hold what a step needs, before anything is made.
    private func checkMemory(for configuration: TrainingConfiguration, rows: Int, columns: Int) throws {
        let needed = TrainableUNet.memory(
            toTrain: configuration, rows: rows, columns: columns, recomputesActivations: saveMemory)
        let available = AvailableMemory.bytes
        guard needed > available else { return }
        throw TrainingConfigurationError(
            field: "batch",
            found:
                "\(configuration.batch), which needs at least \(AvailableMemory.text(needed)) of memory for slices of "
                + "\(columns) x \(rows)",
            expected:
                "a batch, and a network, that fit into \(AvailableMemory.text(available)); use a smaller batch with more "
                + "accumulation" + (saveMemory ? "" : ", or --save-memory"))
    }

    /// A count, in millions if it is large.
    private func inMillions(_ count: Int) -> String {
        count >= 1_000_000 ? String(format: "%.1f M", Double(count) / 1e6) : "\(count)"
    }
}

/// What both kinds of training do.
extension TrainCommand {
    var computeOptions: ComputeOptions {
        var options = ComputeOptions()
        if let threads = threads.threads { options.threads = threads }
        return options
    }

    func cacheFolder(of folder: URL) -> URL {
        cache.map { URL(filePath: $0, directoryHint: .isDirectory) } ?? folder.appending(path: "cache")
    }

    func deadline(from start: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        maxMinutes.map { start + .seconds(60 * $0) }
    }

    /// What `prepare` makes of the subjects; nil, with a message, if the time is over before.
    func beforeTheDeadline<Data>(
        _ end: ContinuousClock.Instant?, _ logger: Logger, _ prepare: () throws -> Data
    ) throws -> Data? {
        do { return try TimeLimit.$end.withValue(end) { try prepare() } } catch is TimeIsUp {
            logger.info("Stopped while volumes were prepared; continue with --resume")
            return nil
        }
    }

    func warn(of warnings: [ManifestError.Problem], in data: String, logger: Logger) {
        for warning in warnings {
            logger.warning("\(data):\(warning.line > 0 ? "\(warning.line):" : "") \(warning.text)")
        }
    }

    /// Shows how many subjects have been prepared; nil if it is not to be shown.
    var preparationProgress: (@Sendable (Int, Int) -> Void)? {
        guard !logging.quiet else { return nil }
        let line = ProgressLine(label: "Preparing")
        return { line.show($0, of: $1, detail: "subject \($0) of \($1)") }
    }

    /// Shows an event of a run.
    func show(_ event: TrainingEvent, line: TrainingLine?, logger: Logger) {
        switch event {
        case .step(let progress): line?.show(progress)
        case .validated(let step, let loss, let isBest):
            line?.clear()
            logger.info(
                "Step \(step): validation loss \(String(format: "%.4f", loss))\(isBest ? ", the best" : "")")
        case .sampled(let file):
            line?.clear()
            logger.info("Drew \(file.path)")
        case .saved(let file):
            line?.clear()
            logger.debug("Wrote \(file.path)")
        }
    }
}
