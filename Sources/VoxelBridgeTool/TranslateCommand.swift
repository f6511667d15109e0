import ArgumentParser
import Foundation
import LatentTranslation
import Logging
import RemoteDenoising
import VolumeFigures
import VoxelBridge

struct TranslateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "translate",
        abstract: "Translate a volume to the style of another modality or scanner.",
        discussion: """
            The result has the source's grid, intensities from 0 to 1, and 0 in the background of the source as prepared.

            With a network (50 steps, 99 evaluations of each window):
              voxelbridge translate ct.nii.gz mri.nii.gz --model run/model.safetensors \\
                  --style run/style.json

            A network trained by 'voxelbridge train' contains its process, prediction type, spacing, plane and how \
            intensities are scaled; for other networks give the settings that differ from the published ones. A CT of a \
            whole head, for a network trained on skull-stripped brains in the window of 0 to 80 HU:
              voxelbridge translate ct.nii.gz mri.nii.gz --model run/model.safetensors \\
                  --style run/style.json --window 0,80 --mask brain

            Without a network, to match a T1 image to the intensities of another scanner:
              voxelbridge translate t1.nii.gz harmonised.nii.gz --model histogram --style other.nii.gz

            With a 3-D latent model (200 steps with fresh noise), to one modality or several; the intensities at the \
            low and high percentile become 0 and 1, and those beyond are kept:
              voxelbridge translate t1.nii.gz t2.nii.gz --model aldm.safetensors --target t2
              voxelbridge translate t1.nii.gz 'out/{target}.nii.gz' --model aldm.safetensors \\
                  --target t2 --target flair

            With networks on servers, this program's own ('voxelbridge serve') or any that speaks the Open Inference \
            Protocol, such as Triton or MLServer; --model is then the model's name there:
              voxelbridge translate ct.nii.gz mri.nii.gz --server http://gpu-1:8000 \
                  --server http://gpu-2:8000 --style run/style.json

            Modes: independent (windows do not interact), co-predict (overlapping windows are averaged at each \
            step), ista (co-predict, with corrections by the score after each step), ista-middle (ista, with the \
            score of each window's middle slice).
            """)

    @Argument(help: "The volume to translate (.nii or .nii.gz).")
    var source: String

    @Argument(
        help: "The file to write (.nii or .nii.gz); with several targets a folder, or a name with {target}.")
    var output: String

    @Option(
        name: .customLong("model"),
        help: ArgumentHelp(
            "A network's weights (.safetensors, .pth or .ckpt), or 'histogram' for histogram matching.",
            discussion: """
                With --server: the model's name on the servers, or its description (.json). Default there: denoiser.
                """))
    var givenModel: String?

    var model: String { givenModel ?? RemoteModel().name }

    @OptionGroup
    var options: WeightsOptions

    @OptionGroup
    var network: NetworkOptions

    @Option(
        help: ArgumentHelp(
            "The style: a volume of the target modality, or a key (.json).",
            discussion: """
                'voxelbridge train' writes a key, style.json, with the model; 'voxelbridge key' computes one from \
                volumes. It is required unless the network takes no style.
                """))
    var style: String?

    @Option(
        help: ArgumentHelp(
            "A file for the state after each step, from which an interrupted translation continues.",
            discussion: """
                After an interruption, run the same command again; the result is bit-identical. The file is removed \
                when the result is written.
                """))
    var state: String?

    @Option(
        help: ArgumentHelp(
            "A folder for a report, index.html, to open in a browser; it is created if necessary.",
            discussion: "It shows slices of the source and the result, histograms, and the settings."))
    var report: String?

    @OptionGroup(title: "Sampling")
    var sampling: SamplingOptions

    @OptionGroup(title: "Intensities of the source")
    var intensities: IntensityOptions

    @Flag(
        help:
            "Use the source as it is, with intensities in [-1, 1] and a grid that fits the model."
    )
    var raw = false

    @OptionGroup(title: "3-D latent models")
    var latent: LatentOptions

    @OptionGroup(title: "Servers")
    var servers: ServerOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    var logger: Logger { logging.logger }

    /// The file of the state: with servers, which may be lost, there always is one.
    var statePath: String? { state ?? (servers.urls.isEmpty ? nil : "\(output).state") }

    func validate() throws {
        try require(
            givenModel != nil || !servers.urls.isEmpty,
            "Missing expected argument '--model <model>', or '--server <server>'")
        try require(
            !raw || !intensities.areGiven,
            "--raw takes intensities as they are; leave out --window, --intensities, --background and --mask")
        if model == "histogram" {
            try require(style != nil, "--model histogram takes a style: give a volume or a key with --style")
            if !options.config.isEmpty || options.weights != nil {
                throw ValidationError("--config and --weights belong to a network, not to --model histogram")
            }
            if let predictionType = sampling.predictionType, predictionType != .sample {
                throw ValidationError("--model histogram predicts the sample; leave --prediction-type out")
            }
        }
    }

    func run() async throws {
        if !servers.urls.isEmpty { return try await translateRemotely() }
        if model != "histogram", LatentWeights.isLatentModel(URL(filePath: model)) {
            return try await translateLatent()
        }
        try latent.refuse(for: model)
        try checkOutput(output, extensions: volumeExtensions, inputs: [source] + [style].compactMap(\.self))
        if let state { try checkOutput(state, extensions: [""], inputs: [source, output, model]) }
        if model == "histogram" {
            let settings = try sampling.settings(ofModel: nil)
            // Windows extend 3 mm to either side: farther away anatomy differs too much.
            let radius = max(1, Int((3 / settings.spacing).rounded()))
            try await translate(
                with: HistogramMatchingDenoiser(radius: radius), settings: settings, styleBins: 128)
        } else {
            guard FileManager.default.fileExists(atPath: model) else {
                throw FileFailure(
                    path: model, reason: "there is no such file; give a network's weights, or 'histogram'")
            }
            let weights = try options.find(in: model)
            let settings = try sampling.settings(ofModel: weights.translation)
            let bins = weights.configuration.contextWidth
            if bins != nil, style == nil {
                throw ValidationError(
                    "the network in \(model) takes a style: give a volume of the target modality or a key with "
                        + "--style; 'voxelbridge train' writes one, style.json, with the model")
            }
            if bins == nil, let style {
                logger.warning("\(model): the network takes no style; \(style) is ignored")
            }
            logger.info("Reading the weights in \(model)")
            let network = try UNet(weights, options: network.compute(threads: sampling.threads.count))
            try await translate(
                with: UNetDenoiser(network, predictionType: settings.predictionType), settings: settings,
                styleBins: bins)
        }
    }

    /// - Parameters:
    ///   - styleBins: the number of bins of the denoiser's style key; nil if it takes no style.
    ///   - batchesInFlight: nil for the number of threads.
    func translate(
        with denoiser: some StyledDenoiser, settings: TranslationSettings, styleBins: Int?,
        batchesInFlight: Int? = nil
    ) async throws {
        let pages = try report.map { try ReportFolder($0) }
        let file = try readVolume(source, logger: logger, keepsNaN: !raw)
        let style = try readStyle(bins: styleBins, rule: settings.target)
        var sampler = try sampling.sampler(for: denoiser, settings: settings)
        if let batchesInFlight { sampler.batchesInFlight = batchesInFlight }
        let translator = VolumeTranslator(
            preprocessing: .brain(
                spacing: settings.spacing, intensities: intensities.step(settings.source),
                antialiasing: settings.antialiasing),
            sampler: sampler, clipsEstimates: sampling.clip ?? true)
        for mismatch in translator.mismatches { logger.warning("\(model): \(mismatch)") }
        logger.debug(
            """
            Steps: \(translator.sampler.scheduler.timesteps.count), windows of \(2 * denoiser.radius + 1) slices, \
            \(translator.sampler.batchesInFlight) threads
            """)
        logger.debug(
            """
            \(settings.process.kind) of \(translator.sampler.scheduler.path.trainingTimesteps) timesteps, \
            \(settings.plane.rawValue) slices, voxels of \(settings.spacing) mm
            """)
        let line = logging.quiet ? nil : ProgressLine(label: "Translating")
        let progress = line.map { line in { @Sendable report in line.show(report) } }
        let translated: Volume
        do {
            translated =
                raw
                ? try await sampleRaw(file.volume, style: style, by: translator.sampler, progress: progress)
                : try await translate(file.volume, style: style, by: translator, progress: progress)
        } catch let error as TranslationError {
            throw FileFailure(path: self.style ?? model, reason: "\(error)")
        } catch let error as PreprocessingError {
            throw FileFailure(path: source, reason: "\(error)")
        } catch let error as SamplingStateError {
            throw FileFailure(path: statePath ?? source, reason: "\(error)")
        }
        try translated.write(
            to: URL(filePath: output), like: file.header, text: "voxelbridge translate")
        if let statePath { try? FileManager.default.removeItem(atPath: statePath) }
        logger.info("Wrote \(output)")
        if let pages, let report {
            var charts: [LinePlot] = []
            if let bins = styleBins, let key = try? StyleKey(of: translated, bins: bins) {
                charts = [.styleKeys(["style": style, "result": key])]
            }
            try pages.write(
                translationOf: file.volume, to: translated, charts: charts,
                title: URL(filePath: output).lastPathComponent,
                facts: [
                    ("source", source), ("model", model), ("style", self.style ?? "none"),
                    ("settings", String(decoding: try sortedJSON(settings), as: UTF8.self)),
                    ("sampler", "\(translator.sampler.scheduler.timesteps.count) steps"),
                ])
            logger.info("Wrote \(report)/index.html")
        }
    }

    private func translate(
        _ volume: Volume, style: StyleKey, by translator: VolumeTranslator<some StyledDenoiser>,
        progress: (@Sendable (SamplingProgress) -> Void)?
    ) async throws -> Volume {
        let mask = try intensities.foreground(of: volume, in: source, logger: logger)
        let warn = { (warning: IntensityWarning) in logger.warning("\(source): \(warning)") }
        guard let state = statePath else {
            return try await translator.translate(
                volume, style: style, mask: mask, progress: progress, warn: warn)
        }
        let saved = try savedState(in: state)
        let states = try translator.states(
            of: volume, style: style, mask: mask, resuming: saved, progress: progress, warn: warn)
        logContinuation(from: saved)
        for try await step in states {
            if step.isComplete { return try step.volume() }
            try step.sampling.write(to: state)
        }
        throw CancellationError()
    }

    private func sampleRaw<Denoiser: StyledDenoiser>(
        _ volume: Volume, style: StyleKey, by sampler: SliceSampler<Denoiser>,
        progress: (@Sendable (SamplingProgress) -> Void)?
    ) async throws -> Volume {
        var sampler = sampler
        sampler.clip = sampling.clip ?? false ? -1...1 : nil
        try checkRaw(volume, for: sampler.denoiser, plane: sampler.plane)
        let conditioning = try sampler.denoiser.conditioning(for: volume, style: style)
        guard let state = statePath else {
            return try await sampler.sample(from: volume, conditioning: conditioning, progress: progress)
        }
        let saved = try savedState(in: state)
        let states = try sampler.states(
            from: volume, conditioning: conditioning, resuming: saved,
            settings: [RunSetting(fingerprintOf: style)] + sampler.denoiser.runSettings, progress: progress)
        logContinuation(from: saved)
        for try await step in states {
            if step.isComplete { return step.estimate.volume }
            try step.write(to: state)
        }
        throw CancellationError()
    }

    /// The state in a file, or nil if there is no file.
    private func savedState(in file: String) throws -> SamplingState<SliceStack>? {
        FileManager.default.fileExists(atPath: file) ? try SamplingState(contentsOf: file) : nil
    }

    /// Called once the state has been found to belong to this translation.
    private func logContinuation(from saved: SamplingState<SliceStack>?) {
        guard let state = statePath, let saved else { return }
        logger.info("Continuing after step \(saved.stepsMade) of \(saved.steps), from \(state)")
    }

    /// Checks that a volume fits the model without preparation.
    private func checkRaw(_ volume: Volume, for denoiser: some StyledDenoiser, plane: SlicePlane) throws {
        let axes = plane.permutation(for: volume.grid).sources
        let (columns, rows) = (volume.shape[axes[0]], volume.shape[axes[1]])
        let multiple = denoiser.sizeMultiple
        guard columns % multiple == 0, rows % multiple == 0 else {
            throw FileFailure(
                path: source,
                reason: """
                    its \(plane.rawValue) slices are \(columns) x \(rows) voxels, and the model takes \
                    multiples of \(multiple); leave out --raw, or pad the volume first
                    """)
        }
        let range = volume.intensityRange
        if range.lowerBound < -1 || range.upperBound > 1 {
            logger.warning(
                "\(source): the intensities go from \(range.lowerBound) to \(range.upperBound), beyond [-1, 1]")
        }
    }

    private func readStyle(bins: Int?, rule: IntensityRule) throws -> StyleKey {
        guard let style, let bins else {
            // Ignored by a denoiser that takes no style.
            return try StyleKey(histogram: [0, 0], cumulative: [0, 0], difference: [0, 0])
        }
        let url = URL(filePath: style)
        if url.pathExtension.lowercased() == "json" { return try StyleKey(contentsOf: url) }
        return try readKey(ofVolume: style, bins: bins, intensities: RescaleIntensity(rule), logger: logger)
    }
}
