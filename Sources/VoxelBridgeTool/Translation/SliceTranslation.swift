import Foundation
import Logging
import VolumeFigures
import VoxelBridge
import VoxelSupport

/// A translation by a model of slices.
struct SliceTranslation<Denoiser: StyledDenoiser>: FileTranslation {
    private let options: TranslationOptions
    private let model: String
    private let translationSettings: TranslationSettings
    /// The number of bins of the denoiser's style key; nil if it takes no style.
    private let styleBins: Int?
    private let dependsOnNoisy: Bool
    private let logging: LoggingOptions
    private let prepared: Lazy<(translator: VolumeTranslator<Denoiser>, style: StyleKey)>

    /// A translation.
    ///
    /// - Parameters:
    ///   - styleBins: the number of bins of the denoiser's style key; nil if it takes no style.
    ///   - dependsOnNoisy: `StyledDenoiser.dependsOnNoisy` of the denoiser.
    ///   - batchesInFlight: nil for the number of threads.
    ///   - denoiser: reads the denoiser.
    /// - Throws: an error about the options of sampling.
    init(
        _ options: TranslationOptions, model: String, settings: TranslationSettings, styleBins: Int?,
        dependsOnNoisy: Bool, batchesInFlight: Int? = nil, logging: LoggingOptions,
        denoiser: @escaping @Sendable () throws -> Denoiser
    ) throws {
        _ = try options.sampling.scheduler(settings: settings, dependsOnNoisy: dependsOnNoisy)
        (self.options, self.model, translationSettings) = (options, model, settings)
        (self.styleBins, self.dependsOnNoisy, self.logging) = (styleBins, dependsOnNoisy, logging)
        prepared = Lazy {
            var translator = VolumeTranslator(
                preprocessing: .brain(
                    spacing: settings.spacing, intensities: options.intensities.step(settings.source),
                    antialiasing: settings.antialiasing),
                sampler: try options.sampling.sampler(for: denoiser(), settings: settings),
                clipsEstimates: options.sampling.clip ?? true)
            if let batchesInFlight { translator.sampler.batchesInFlight = batchesInFlight }
            let style = try options.readStyle(bins: styleBins, settings: settings, logger: logging.logger)
            for mismatch in translator.mismatches { logging.logger.warning("\(model): \(mismatch)") }
            return (translator, style)
        }
    }

    private var logger: Logger { logging.logger }

    let targets: [String] = []

    var settings: [String: JSONValue] {
        get throws {
            let step = options.intensities.step(translationSettings.source)
            var used = translationSettings
            used.source = step.rule
            guard case .object(var settings) = try JSONValue(encoding: used) else { return [:] }
            settings["background"] = .string("\(step.background)")
            settings["raw"] = options.raw ? .bool(true) : nil
            settings["weights"] = options.options.weights.map { .string($0.rawValue) }
            settings["winograd_memory"] = options.network.winogradMemory.map { .integer($0) }
            return settings.merging(
                try options.sampling.record(settings: translationSettings, dependsOnNoisy: dependsOnNoisy)
            ) { $1 }
        }
    }

    var inputs: [(name: String, path: String)] {
        (model == "histogram" ? [] : [("Model", model)]) + options.options.config.map { ("Configuration", $0) }
            + (styleBins == nil ? [] : [options.style].compactMap { $0.map { ("Style", $0) } })
    }

    func translate(_ files: TranslationFiles) async throws {
        guard let output = files.outputs.first else { return }
        let pages = try output.report.map { try ReportFolder($0) }
        let (translator, style) = try prepared.get()
        let file = try readVolume(files.source, logger: logger)
        log(translator)
        let line = files.label.flatMap { logging.quiet ? nil : ProgressLine(label: $0) }
        let progress = line.map { line in { @Sendable report in line.show(report) } }
        let job = SliceTranslationJob(options: options, files: files, state: output.state, logger: logger)
        let translated: Volume
        do {
            translated = try await job.run(on: file.volume, style: style, by: translator, progress: progress)
        } catch let error as TranslationError {
            throw FileFailure(path: options.style ?? model, reason: "\(error)")
        } catch let error as PreprocessingError {
            throw FileFailure(path: files.source, reason: "\(error)")
        } catch let error as SamplingStateError {
            throw FileFailure(path: output.state ?? files.source, reason: "\(error)")
        }
        try translated.write(
            to: URL(filePath: output.path), like: file.header, text: "voxelbridge translate")
        if let state = output.state { try? FileManager.default.removeItem(atPath: state) }
        if output.isAnnounced { logger.info("Wrote \(output.path)") }
        guard let pages, let report = output.report else { return }
        var charts: [LinePlot] = []
        if let bins = styleBins, let key = try? StyleKey(of: translated, bins: bins) {
            charts = [.styleKeys(["style": style, "result": key])]
        }
        try pages.write(
            translationOf: file.volume, to: translated, charts: charts,
            title: URL(filePath: output.path).lastPathComponent,
            facts: [
                ("source", files.source), ("model", model), ("style", options.style ?? "none"),
                (
                    "settings",
                    String(decoding: try translationSettings.sortedJSON(prettyPrinted: true), as: UTF8.self)
                ),
                ("sampler", "\(translator.sampler.scheduler.timesteps.count) steps"),
            ])
        logger.info("Wrote \(report)/index.html")
    }

    private func log(_ translator: VolumeTranslator<Denoiser>) {
        let sampler = translator.sampler
        logger.debug(
            """
            Steps: \(sampler.scheduler.timesteps.count), windows of \(2 * sampler.denoiser.radius + 1) slices, \
            \(sampler.batchesInFlight) threads
            """)
        logger.debug(
            """
            \(translationSettings.process.kind) of \(sampler.scheduler.path.trainingTimesteps) timesteps, \
            \(translationSettings.plane.rawValue) slices, voxels of \(translationSettings.spacing) mm
            """)
    }
}

/// The sampling of one source, from its saved state if there is one.
private struct SliceTranslationJob {
    let options: TranslationOptions
    let files: TranslationFiles
    let state: String?
    let logger: Logger

    private var source: String { files.source }

    func run(
        on volume: Volume, style: StyleKey, by translator: VolumeTranslator<some StyledDenoiser>,
        progress: (@Sendable (SamplingProgress) -> Void)?
    ) async throws -> Volume {
        guard !options.raw else {
            return try await sampleRaw(volume, style: style, by: translator.sampler, progress: progress)
        }
        var intensities = options.intensities
        if let mask = files.mask { intensities.mask = mask }
        let mask = try intensities.foreground(of: volume, in: source, logger: logger)
        let warn = { (warning: IntensityWarning) in logger.warning("\(source): \(warning)") }
        guard let state else {
            return try await translator.translate(
                volume, style: style, mask: mask, progress: progress, warn: warn)
        }
        let saved = try savedState(in: state)
        let states = try translator.states(
            of: volume, style: style, mask: mask, resuming: saved, progress: progress, warn: warn)
        logContinuation(from: saved)
        return try await lastState(of: states, isLast: \.isComplete) { try $0.sampling.write(to: state) }
            .volume()
    }

    private func sampleRaw<Denoiser: StyledDenoiser>(
        _ volume: Volume, style: StyleKey, by sampler: SliceSampler<Denoiser>,
        progress: (@Sendable (SamplingProgress) -> Void)?
    ) async throws -> Volume {
        var sampler = sampler
        sampler.clip = options.sampling.clip ?? false ? -1...1 : nil
        try checkRaw(volume, for: sampler.denoiser, plane: sampler.plane)
        let conditioning = try sampler.denoiser.conditioning(for: volume, style: style)
        guard let state else {
            return try await sampler.sample(from: volume, conditioning: conditioning, progress: progress)
        }
        let saved = try savedState(in: state)
        let states = try sampler.states(
            from: volume, conditioning: conditioning, resuming: saved,
            settings: [RunSetting(fingerprintOf: style)] + sampler.denoiser.runSettings, progress: progress)
        logContinuation(from: saved)
        return try await lastState(of: states, isLast: \.isComplete) { try $0.write(to: state) }.estimate.volume
    }

    /// The state in a file, or nil if there is no file.
    private func savedState(in file: String) throws -> SamplingState<SliceStack>? {
        FileManager.default.fileExists(atPath: file) ? try SamplingState(contentsOf: file) : nil
    }

    /// Called once the state has been found to belong to this translation.
    private func logContinuation(from saved: SamplingState<SliceStack>?) {
        guard let state, let saved else { return }
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
                    its \(plane.rawValue) slices are \(columns) x \(rows) voxels, but the model takes \
                    multiples of \(multiple); leave out --raw, or pad the volume first
                    """)
        }
        let notFinite = volume.voxels.count { !$0.isFinite }
        guard notFinite == 0 else {
            throw FileFailure(
                path: source,
                reason: """
                    \(notFinite) voxels are NaN or infinite, and --raw takes intensities as they are; leave out --raw, or \
                    replace them first
                    """)
        }
        let range = volume.intensityRange
        if range.lowerBound < -1 || range.upperBound > 1 {
            logger.warning(
                """
                \(source): the intensities go from \(range.lowerBound) to \(range.upperBound), beyond [-1, 1]; leave out \
                --raw, or scale them first
                """)
        }
    }
}

extension TranslationOptions {
    /// The style that the options give.
    ///
    /// - Parameter bins: the number of bins; nil for a denoiser that takes no style.
    fileprivate func readStyle(bins: Int?, settings: TranslationSettings, logger: Logger) throws -> StyleKey {
        guard let style, let bins else {
            // Ignored by a denoiser that takes no style.
            return try StyleKey(histogram: [0, 0], cumulative: [0, 0], difference: [0, 0])
        }
        let url = URL(filePath: style)
        if url.pathExtension.lowercased() == "json" { return try StyleKey(contentsOf: url) }
        return try readKey(
            ofVolume: style, bins: bins, intensities: RescaleIntensity(settings.target),
            resampling: Resample(spacing: settings.spacing, antialiasing: settings.antialiasing), logger: logger
        )
    }
}
