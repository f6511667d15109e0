import ArgumentParser
import BridgeTraining
import Foundation
import Logging
import NetworkEngine
import VoxelBridge

struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a network to translate, from pairs of volumes.",
        discussion: """
            The pairs stand in a table, one subject a line, with paths relative to it:

              subject,split,source,target
              anna,train,anna/ct.nii.gz,anna/t1.nii.gz
              ben,train,ben/ct.nii.gz,ben/t1.nii.gz
              carl,validation,carl/ct.nii.gz,carl/t1.nii.gz

            The splits are train, validation and test (left alone). A column 'mask' may name a volume that is \
            above zero where both are to be seen. Source and target lie on one grid.

              voxelbridge train --data pairs.csv --output run
              voxelbridge train --data pairs.csv --output run --resume

            The folder then holds model.safetensors (the moving average of the weights), style.json (the \
            average style of the training subjects), log.jsonl, loss.png, samples/ with sampled validation \
            slices, and checkpoints/. A run that is killed at any moment and resumed ends with the same \
            weights, to the byte, as one that is not. Model and style are all that 'voxelbridge translate' \
            needs.

            Settings are the published ones. A JSON file names those that differ; a small network to begin with:

              { "network": { "model_channels": 32, "num_head_channels": 32,
                             "channel_mult": [1, 2, 4] },
                "data": { "spacing": 2 }, "batch": 4, "steps": 20000,
                "moving_average": { "start": 500 } }

            --print-config prints every setting.
            """)

    @Option(help: "The table of subjects (.csv).")
    var data: String?

    @Option(help: "The folder of the run; it is made where it is not there.")
    var output: String?

    @Option(help: "The settings that differ from the published ones (.json).")
    var config: String?

    @Flag(help: "Go on with the run in the folder, if one has begun there.")
    var resume = false

    @Option(help: "Stop after so many minutes, with a checkpoint to go on from.")
    var maxMinutes: Double?

    @Option(help: "The folder for prepared volumes. (default: 'cache' in the run's folder)")
    var cache: String?

    @Option(help: "Threads to compute with. The result does not depend on it. (default: one a core)")
    var threads: Int?

    @Flag(help: "Take less memory, and 27 % more time. The result does not depend on it.")
    var saveMemory = false

    @Flag(help: "Print every setting as JSON, with those of --config, and do nothing else.")
    var printConfig = false

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        guard printConfig || (data != nil && output != nil) else {
            throw ValidationError("give the table of subjects with --data and the run's folder with --output")
        }
        if let maxMinutes, !(maxMinutes > 0 && maxMinutes <= 1e6) {
            throw ValidationError("--max-minutes must be above 0, and is \(maxMinutes)")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be from 1 to 1024, and is \(threads)")
        }
    }

    func run() async throws {
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
        let configuration = given ?? known ?? .published
        try configuration.validate()

        let cache =
            cache.map { URL(filePath: $0, directoryHint: .isDirectory) } ?? folder.appending(path: "cache")
        let manifest = try Manifest(contentsOf: URL(filePath: data))
        let preparing = logging.quiet ? nil : ProgressLine(label: "Preparing")
        let prepared = try ManifestDataset.prepare(manifest, cache: cache, configuration: configuration) {
            preparing?.show($0, of: $1, detail: "subject \($0) of \($1)")
        }
        let training = prepared.training
        logger.info(
            """
            \(training.names.count) training subjects, \(training.count) slices of \(training.columns) x \
            \(training.rows); \(prepared.validation?.names.count ?? 0) validation subjects
            """)
        if prepared.validation == nil {
            logger.warning("\(data): there is no validation subject, so nothing is validated and sampled")
        }
        var options = ComputeOptions()
        if let threads { options.threads = threads }
        var run = try TrainingRun(
            TrainableUNet(configuration.network, options: options, recomputesActivations: saveMemory),
            configuration: configuration, training: training, validation: prepared.validation, folder: folder,
            resumes: resume)
        try manifest.write(to: folder.appending(path: "manifest.csv"))
        if configuration.network.contextWidth != nil {
            try training.averageStyle.write(to: folder.appending(path: "style.json"))
        }
        logger.info(
            "\(numbers(run.trainer.state.parameters.count)) parameters, begins at step \(run.trainer.state.step)"
        )
        let line = logging.quiet ? nil : TrainingLine()
        let isComplete = try await run.run(until: maxMinutes.map { start + .seconds(60 * $0) }) { event in
            switch event {
            case .step(let progress): line?.show(progress)
            case .validated(let step, let loss, let isBest):
                line?.clear()
                logger.info(
                    "Step \(step): validation loss \(String(format: "%.4f", loss))\(isBest ? ", the best" : "")"
                )
            case .sampled(let file):
                line?.clear()
                logger.info("Drew \(file.path)")
            case .saved(let file):
                line?.clear()
                logger.debug("Wrote \(file.path)")
            }
        }
        line?.clear()
        logger.info(
            isComplete
                ? "Trained \(configuration.steps) steps: \(output)/model.safetensors"
                : "Stopped after step \(run.trainer.state.step) of \(configuration.steps); go on with --resume")
    }

    /// A count in millions, or as it is.
    private func numbers(_ count: Int) -> String {
        count >= 1_000_000 ? String(format: "%.1f M", Double(count) / 1e6) : "\(count)"
    }
}

/// Shows how far a run has come: on a terminal a line that is drawn anew, elsewhere a plain line now and then.
private final class TrainingLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastShown: ContinuousClock.Instant?

    func show(_ progress: TrainingProgress) {
        let now = ContinuousClock.now
        let interval: Duration = isTerminal ? .milliseconds(200) : .seconds(30)
        if let lastShown, now - lastShown < interval { return }
        lastShown = now
        let text = String(
            format: "Step %d of %d, loss %.4f, rate %.2g, %.2f windows/s, %@ remaining", progress.step,
            progress.steps, progress.loss, progress.learningRate, progress.windowsPerSecond,
            ProgressLine.text(of: progress.remaining))
        write(isTerminal ? "\r\(text)\u{1B}[K" : "\(text)\n")
    }

    /// Makes room for a message.
    func clear() { if isTerminal, lastShown != nil { write("\r\u{1B}[K") } }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
