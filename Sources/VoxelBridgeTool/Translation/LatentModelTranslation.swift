import ArgumentParser
import Foundation
import LatentTranslation
import Logging
import VoxelBridge
import VoxelSupport

/// A translation by a 3-D latent model.
struct LatentModelTranslation: FileTranslation {
    /// The targets by their names, each once.
    let targets: [String]

    private let options: TranslationOptions
    private let model: String
    private let preparation: LatentPreparation
    private let tiling: LatentTiling?
    private let logging: LoggingOptions
    private let network: Lazy<LatentModel>

    /// - Throws: an error about the options.
    init(
        _ options: TranslationOptions, model: String, weights: LatentWeights, logging: LoggingOptions
    ) throws {
        let latent = options.latent
        (self.options, self.model, self.logging) = (options, model, logging)
        targets = latent.decode ? [] : try latent.targets(of: weights.configuration, in: model)
        preparation = try latent.preparation(of: weights.configuration, spacing: options.sampling.spacing)
        tiling = try latent.tiling(for: weights.configuration)
        let compute = options.network.compute(threads: options.sampling.threads.count)
        network = Lazy {
            logging.logger.info("Reading the weights in \(model)")
            if weights.configuration.denoiser == nil, !latent.encodeOnly, !latent.decode {
                logging.logger.info(
                    "\(model) has no denoiser: the translator's latents are decoded as they are")
            }
            return try LatentModel(weights, options: compute)
        }
    }

    private var logger: Logger { logging.logger }
    private var latent: LatentOptions { options.latent }

    var settings: [String: JSONValue] {
        get throws {
            [
                "preparation": options.raw ? .null : try JSONValue(encoding: preparation),
                "steps": .integer(options.sampling.steps ?? 200), "eta": .number(latent.eta ?? 1),
                "seed": .unsigned(latent.seed ?? 0), "requantise": .bool(latent.requantise),
                "tile": tiling.map { .integer($0.size) } ?? .null,
                "overlap": tiling.map { .integer($0.overlap) } ?? .null,
                "weights": options.options.weights.map { .string($0.rawValue) } ?? .null,
            ].filter { $0.value != .null }
        }
    }

    var inputs: [(name: String, path: String)] {
        [("Model", model)] + options.options.config.map { ("Configuration", $0) }
            + [
                ("FirstStage", latent.files.firstStage), ("Noise", latent.noise),
                ("Reference", latent.reference),
            ].compactMap { name, path in path.map { (name, $0) } }
    }

    private func translator() throws -> LatentVolumeTranslator {
        var translator: LatentVolumeTranslator
        do {
            translator = try LatentVolumeTranslator(
                network.get(), steps: options.sampling.steps ?? 200, eta: latent.eta ?? 1,
                seed: latent.seed ?? 0)
        } catch let error as StridedTimestepsError {
            throw ValidationError("--steps: \(error)")
        }
        translator.preparation = options.raw ? nil : preparation
        (translator.requantises, translator.tiling) = (latent.requantise, tiling)
        return translator
    }

    // MARK: From volume to volume

    func translate(_ files: TranslationFiles) async throws {
        var translator = try translator()
        let file = try readVolume(files.source, logger: logger)
        let encoded = try await encode(file.volume, in: files.source, by: translator)
        let shape = encoded.latent.shape
        translator.givenNoise = try latent.givenNoise(latent: shape[..<2] + shape[2...].reversed())
        if let folder = files.newFolder {
            try FileManager.default.createDirectory(
                at: URL(filePath: folder), withIntermediateDirectories: true)
        }
        for output in files.outputs {
            let translated = try await translate(encoded, to: output, by: translator, label: files.label)
            try translated.write(
                to: URL(filePath: output.path), space: file.header.space ?? .aligned,
                text: "voxelbridge translate")
            if let state = output.state { try? FileManager.default.removeItem(atPath: state) }
            if output.isAnnounced { logger.info("Wrote \(output.path)") }
            guard let report = output.report else { continue }
            try ReportFolder(report).write(
                translationOf: file.volume, to: translated, charts: [],
                title: URL(filePath: output.path).lastPathComponent,
                facts: [
                    ("source", files.source), ("model", model), ("target", output.target),
                    ("settings", String(decoding: try settings.sortedJSON(prettyPrinted: true), as: UTF8.self)),
                ])
            logger.info("Wrote \(report)/index.html")
        }
    }

    private func encode(
        _ volume: Volume, in source: String, by translator: LatentVolumeTranslator
    ) async throws -> EncodedVolume {
        let reference = try latent.reference.map { try readVolume($0, logger: logger).volume }
        try warnOfPreparation(of: volume, in: source, reference: reference, translator)
        let encoded: EncodedVolume
        do { encoded = try await translator.encode(volume, reference: reference) } catch let error
            as LatentTranslationError
        {
            let remedy = options.raw ? "; leave out --raw, or pad the volume first" : ""
            throw FileFailure(path: source, reason: "\(error)\(remedy)")
        } catch let error as PreprocessingError {
            throw FileFailure(path: source, reason: error.explanation)
        }
        if let tiling, (0..<3).contains(where: { encoded.prepared.shape[$0] > tiling.size }) {
            logger.warning(
                "\(source): translated in tiles of \(tiling.size) voxels, each normalised on its own: an approximation"
            )
        }
        return encoded
    }

    private func translate(
        _ encoded: EncodedVolume, to output: TranslationFiles.Output, by translator: LatentVolumeTranslator,
        label: String?
    ) async throws -> Volume {
        let target = output.target
        let line = label.flatMap { logging.quiet ? nil : ProgressLine(label: "\($0) to \(target)") }
        let progress = line.map { line in { @Sendable report in line.show(report) } }
        guard let state = output.state, translator.model.configuration.denoiser != nil else {
            return try await translator.translate(encoded, to: target, progress: progress)
        }
        do {
            let saved =
                FileManager.default.fileExists(atPath: state)
                ? try SamplingState<Tensor>(contentsOf: state) : nil
            let states = try await translator.states(
                of: encoded, to: target, resuming: saved, progress: progress)
            if let saved {
                logger.info("Continuing after step \(saved.stepsMade) of \(saved.steps), from \(state)")
            }
            return try await lastState(of: states, isLast: \.isComplete) { try $0.sampling.write(to: state) }
                .volume()
        } catch let error as SamplingStateError {
            throw FileFailure(path: state, reason: error.explanation)
        }
    }

    private func warnOfPreparation(
        of volume: Volume, in source: String, reference: Volume?, _ translator: LatentVolumeTranslator
    ) throws {
        guard let preparation = translator.preparation else { return }
        let spacing = volume.grid.spacing
        if preparation.spacing == nil, (0..<3).contains(where: { abs(spacing[$0] - 1) > 0.1 }) {
            logger.warning(
                """
                \(source): the voxels are not of 1 mm, with which published models were trained; --spacing 1 \
                resamples them
                """)
        }
        let share = (try? preparation.shareCutOff(of: reference ?? volume)) ?? 0
        if share > 0.001 {
            logger.warning(
                """
                \(source): \(String(format: "%.1f", 100 * share)) % of the voxels above 0 lie outside the crop of \
                \((preparation.shape ?? []).map(String.init).joined(separator: "x")) and are 0 in the result; \
                --shape fit keeps them
                """)
        }
    }

    // MARK: Latents in files

    /// Writes the latent of a source.
    func encode(_ source: String, to output: String) async throws {
        let translator = try translator()
        let volume = try readVolume(source, logger: logger).volume
        let encoded = try await encode(volume, in: source, by: translator)
        try await LatentsFile(encoded, targets: targets, by: translator).write(to: output)
        logger.info("Wrote \(output)")
    }

    /// Writes the volume of a latent.
    func decode(_ source: String, to output: String) async throws {
        var translator = try LatentVolumeTranslator(network.get())
        translator.tiling = tiling
        translator.requantises = latent.requantise
        let latents = try LatentsFile(contentsOf: source)
        if latents.grids == nil {
            logger.warning(
                "\(source) does not say where its volume lies; the result has voxels of 1 mm at the origin")
        }
        let volume: Volume
        do { volume = try await latents.decoded(by: translator, raw: options.raw) } catch let error
            as LatentTranslationError
        {
            throw FileFailure(path: source, reason: error.explanation)
        }
        try volume.write(to: URL(filePath: output), space: .aligned, text: "voxelbridge translate")
        logger.info("Wrote \(output)")
    }
}

extension LatentOptions {
    /// The targets by their names, each once.
    fileprivate func targets(of configuration: LatentModelConfiguration, in model: String) throws -> [String] {
        guard !target.isEmpty || encodeOnly else {
            throw ValidationError(
                "\(model) is a 3-D latent model: give a target with --target: "
                    + configuration.targets.joined(separator: ", "))
        }
        var names: [String] = []
        for target in target {
            let name: String
            do { name = configuration.targets[try configuration.target(target)] } catch {
                throw ValidationError("--target: \(error)")
            }
            try require(!names.contains(name), "--target \(name) was given twice")
            names.append(name)
        }
        return names
    }
}
