import ArgumentParser
import Foundation
import LatentTranslation
import VoxelBridge
import VoxelSupport

/// 'translate' with a 3-D latent model.
extension TranslateCommand {
    func translateLatent() async throws {
        try refuseOptionsOfSlices()
        let weights = try options.findLatent(in: model, firstStage: latent.files.firstStage)
        for assumption in weights.assumptions { logger.warning("\(model): \(assumption)") }
        if latent.decode { return try await decodeLatent(by: LatentModel(weights), weights.configuration) }
        let targets = try latentTargets(weights.configuration)
        let inputs =
            [source, model] + [latent.files.firstStage, latent.noise, latent.reference].compactMap(\.self)
        var outputs: [(target: String, path: String)] = []
        if latent.encodeOnly {
            try checkOutput(output, extensions: [".safetensors"], inputs: inputs)
        } else {
            outputs = try latentOutputs(for: targets, inputs: inputs)
            for target in targets {
                guard let state = try statePath(for: target, among: targets) else { continue }
                try checkOutput(state, extensions: [""], inputs: inputs + outputs.map(\.path))
            }
        }

        let file = try readVolume(source, logger: logger)
        var translator = try latentTranslator(weights)
        let reference = try latent.reference.map { try readVolume($0, logger: logger).volume }
        try warnOfPreparation(of: file.volume, reference: reference, translator)
        let encoded: EncodedVolume
        do { encoded = try await translator.encode(file.volume, reference: reference) } catch let error
            as LatentTranslationError
        {
            let remedy = raw ? "; leave out --raw, or pad the volume first" : ""
            throw FileFailure(path: source, reason: "\(error)\(remedy)")
        } catch let error as PreprocessingError {
            throw FileFailure(path: source, reason: error.explanation)
        }
        if let tiling = translator.tiling, (0..<3).contains(where: { encoded.prepared.shape[$0] > tiling.size })
        {
            logger.warning(
                "\(source): translated in tiles of \(tiling.size) voxels, each normalised on its own: an approximation"
            )
        }
        if latent.encodeOnly {
            try await LatentsFile(encoded, targets: targets, by: translator).write(to: output)
            return logger.info("Wrote \(output)")
        }
        let shape = encoded.latent.shape
        translator.givenNoise = try latent.givenNoise(latent: shape[..<2] + shape[2...].reversed())
        if isOutputFolder {
            try FileManager.default.createDirectory(
                at: URL(filePath: output), withIntermediateDirectories: true)
        }
        for (target, path) in outputs {
            let translated = try await translateLatent(
                encoded, to: target, by: translator, state: statePath(for: target, among: targets))
            try translated.write(
                to: URL(filePath: path), space: file.header.space ?? .aligned, text: "voxelbridge translate")
            if let state = try statePath(for: target, among: targets) {
                try? FileManager.default.removeItem(atPath: state)
            }
            logger.info("Wrote \(path)")
        }
    }

    private func latentTranslator(_ weights: LatentWeights) throws -> LatentVolumeTranslator {
        logger.info("Reading the weights in \(model)")
        let preparation = try latent.preparation(of: weights.configuration, spacing: sampling.spacing)
        let tiling = try latent.tiling(for: weights.configuration)
        var translator: LatentVolumeTranslator
        do {
            translator = try LatentVolumeTranslator(
                LatentModel(weights, options: network.compute(threads: sampling.threads.count)),
                steps: sampling.steps ?? 200, eta: latent.eta ?? 1, seed: latent.seed ?? 0)
        } catch let error as StridedTimestepsError {
            throw ValidationError("--steps: \(error)")
        }
        translator.preparation = raw ? nil : preparation
        (translator.requantises, translator.tiling) = (latent.requantise, tiling)
        if weights.configuration.denoiser == nil, !latent.encodeOnly {
            logger.info("\(model) has no denoiser: the translator's latents are decoded as they are")
        }
        return translator
    }

    private func translateLatent(
        _ encoded: EncodedVolume, to target: String, by translator: LatentVolumeTranslator, state: String?
    ) async throws -> Volume {
        let line = logging.quiet ? nil : ProgressLine(label: "Translating to \(target)")
        let progress = line.map { line in { @Sendable report in line.show(report) } }
        guard let state, translator.model.configuration.denoiser != nil else {
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
            for try await step in states {
                if step.isComplete { return try await step.volume() }
                try step.sampling.write(to: state)
            }
        } catch let error as SamplingStateError {
            throw FileFailure(path: state, reason: error.explanation)
        }
        throw CancellationError()
    }

    /// The targets by their names, each once.
    private func latentTargets(_ configuration: LatentModelConfiguration) throws -> [String] {
        guard !latent.target.isEmpty || latent.encodeOnly else {
            throw ValidationError(
                "\(model) is a 3-D latent model: give a target with --target: "
                    + configuration.targets.joined(separator: ", "))
        }
        var names: [String] = []
        for target in latent.target {
            let name: String
            do { name = configuration.targets[try configuration.target(target)] } catch {
                throw ValidationError("--target: \(error)")
            }
            try require(!names.contains(name), "--target \(name) was given twice")
            names.append(name)
        }
        return names
    }

    /// A file for each target: OUTPUT, OUTPUT with the name in place of {target}, or a file of the target's name in the
    /// folder OUTPUT.
    private func latentOutputs(
        for targets: [String], inputs: [String]
    ) throws -> [(target: String, path: String)] {
        let isNamed = output.contains("{target}")
        if !isNamed && !isOutputFolder {
            try require(
                targets.count == 1,
                "with several targets the output must be a folder, or a name with {target}, such as "
                    + "'out/{target}.nii.gz', and is \(output)")
        }
        let folder = URL(filePath: output)
        // A folder that does not exist is made once the source is known to be right.
        let isNew = isOutputFolder && !isFolder(folder)
        if isNew {
            try checkParent(ofOutput: folder)
            try require(
                !FileManager.default.fileExists(atPath: folder.standardizedFileURL.path),
                "the output, \(output), exists and is not a folder; choose another name")
        }
        return try targets.map { target in
            let path =
                isNamed
                ? output.replacing("{target}", with: target)
                : isOutputFolder ? folder.appending(path: "\(target).nii.gz").path : output
            if !isNew { try checkOutput(path, extensions: volumeExtensions, inputs: inputs) }
            return (target, path)
        }
    }

    /// Whether the output is a folder, in which each target has a file.
    private var isOutputFolder: Bool {
        !output.contains("{target}") && (isFolder(URL(filePath: output)) || output.hasSuffix("/"))
    }

    /// The file of the state of a target's translation.
    private func statePath(for target: String, among targets: [String]) throws -> String? {
        guard let state else { return nil }
        try require(
            targets.count == 1 || state.contains("{target}"),
            "with several targets the name of --state must contain {target}, and is \(state)")
        return state.replacing("{target}", with: target)
    }

    private func warnOfPreparation(
        of volume: Volume, reference: Volume?, _ translator: LatentVolumeTranslator
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

    private func decodeLatent(by model: LatentModel, _ configuration: LatentModelConfiguration) async throws {
        try checkOutput(output, extensions: volumeExtensions, inputs: [source, self.model])
        var translator = try LatentVolumeTranslator(model)
        translator.tiling = try latent.tiling(for: configuration)
        translator.requantises = latent.requantise
        let latents = try LatentsFile(contentsOf: source)
        if latents.grids == nil {
            logger.warning(
                "\(source) does not say where its volume lies; the result has voxels of 1 mm at the origin")
        }
        let volume: Volume
        do { volume = try await latents.decoded(by: translator, raw: raw) } catch let error
            as LatentTranslationError
        {
            throw FileFailure(path: source, reason: error.explanation)
        }
        try volume.write(to: URL(filePath: output), space: .aligned, text: "voxelbridge translate")
        logger.info("Wrote \(output)")
    }

    /// Options that would be ignored are errors.
    private func refuseOptionsOfSlices() throws {
        let given: [(String, Bool)] = [
            ("--style", style != nil), ("--mode", sampling.mode != nil), ("--clip", sampling.clip != nil),
            ("--solver", sampling.solver != nil), ("--step-rule", sampling.stepRule != nil),
            ("--process", sampling.process != nil), ("--schedule", sampling.schedule != nil),
            ("--plane", sampling.plane != nil), ("--prediction-type", sampling.predictionType != nil),
        ]
        if let first = given.first(where: \.1) {
            throw ValidationError(
                "\(first.0) belongs to networks of slices, and \(model) is a 3-D latent model")
        }
        try require(
            !raw || (latent.reference == nil && latent.shape == nil && sampling.spacing == nil)
                || latent.decode,
            "--reference, --shape and --spacing prepare the source, and --raw takes it as it is")
    }
}
