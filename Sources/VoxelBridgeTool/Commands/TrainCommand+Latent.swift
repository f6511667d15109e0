import BridgeTraining
import Foundation
import LatentTraining
import Logging
import NetworkEngine
import VoxelSupport

/// The training of a 3-D latent translator.
extension TrainCommand {
    func trainLatent() async throws {
        let manifest = try data.map { try ModalityManifest(contentsOf: URL(filePath: $0)) }
        let modalities = manifest?.modalities ?? LatentModelConfiguration.publishedTargets
        let given = try config.map {
            try LatentTrainingConfiguration(contentsOf: URL(filePath: $0), modalities: modalities)
        }
        guard !printConfig, let manifest, let data, let output else {
            let configuration = try given ?? LatentTrainingConfiguration(modalities: modalities)
            print(String(decoding: try configuration.json, as: UTF8.self))
            return
        }
        let start = ContinuousClock.now
        let logger = logging.logger
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        let stages = (stage ?? .all).stages
        let configuration =
            try given ?? LatentTrainingRun.configuration(ofRunIn: folder)
            ?? LatentTrainingConfiguration(modalities: modalities)
        for stage in stages { try checkMemory(of: configuration, stage) }
        warn(of: manifest.warnings, in: data, logger: logger)
        let end = deadline(from: start)
        let ready = try beforeTheDeadline(end, logger) {
            try ModalityDataset.prepare(
                manifest, cache: cacheFolder(of: folder), configuration: configuration,
                progress: preparationProgress)
        }
        guard let prepared = ready else { return }
        let training = prepared.training
        logger.info(
            """
            \(training.names.count) training subjects with \(training.volumeCount) volumes of \
            \(training.targets.joined(separator: ", ")); \(prepared.validation?.names.count ?? 0) validation subjects
            """)
        if prepared.validation == nil {
            logger.warning("\(data): no validation subjects; the run has no validation and no samples")
        }
        let run = try LatentTrainingRun(
            configuration: configuration, training: training, validation: prepared.validation, folder: folder,
            cache: cacheFolder(of: folder), options: computeOptions, recomputesActivations: saveMemory,
            features: features.map { try ConvolutionFeatures(contentsOf: $0, options: computeOptions) })
        let line = logging.quiet ? nil : TrainingLine()
        var current: LatentStage?
        let isComplete = try await run.train(
            stages, from: from.map { URL(filePath: $0) }, resumes: resume, until: end
        ) { stage, event in
            // The run has been accepted: it is not another one's folder.
            if current == nil { try manifest.write(to: folder.appending(path: "manifest.csv")) }
            if stage != current {
                line?.clear()
                logger.info("Training the \(stage.rawValue)")
                current = stage
            }
            show(event, line: line, logger: logger)
        }
        line?.clear()
        var report = try run.report(title: "Training run \(folder.lastPathComponent)")
        report.facts = runFacts + [("data", data)] + report.facts
        try report.write(to: folder.appending(path: "report.html"))
        logger.info(
            isComplete
                ? "Trained \(stages.map(\.rawValue).joined(separator: ", ")): \(output)/model.safetensors"
                : "Stopped in the stage \(current?.rawValue ?? stages[0].rawValue); continue with --resume")
    }

    /// Checks that the machine can hold what a step needs, before anything is made.
    private func checkMemory(of configuration: LatentTrainingConfiguration, _ stage: LatentStage) throws {
        let needed = configuration.memory(toTrain: stage, recomputesActivations: saveMemory)
        let available = AvailableMemory.bytes
        guard needed > available else { return }
        let shape = configuration.model.preparation.shape.map { $0.map(String.init).joined(separator: " x ") }
        throw TrainingConfigurationError(
            field: "model.preparation.shape",
            found:
                "\(shape ?? "null"), with which the \(stage.rawValue) needs at least \(AvailableMemory.text(needed)) of "
                + "memory",
            expected:
                "a shape, and networks, that fit into \(AvailableMemory.text(available)); crop, use a larger spacing or fewer "
                + "channels" + (saveMemory ? "" : ", or --save-memory"))
    }
}
