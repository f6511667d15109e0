public import BridgeTraining
public import Foundation
import LatentTranslation
import VoxelSupport

extension LatentTrainingConfiguration {
    /// Reads a configuration from a JSON file and validates it. Missing fields have their published values; the targets and
    /// their number those of the data.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - modalities: the modalities of the data, which are the targets if the file states none.
    /// - Throws: `TrainingConfigurationError`, naming the file, the field, what was found and what was expected.
    public init(
        contentsOf url: URL, modalities: [String] = LatentModelConfiguration.publishedTargets
    ) throws(TrainingConfigurationError) {
        do { try self.init(JSONValue(contentsOf: url), modalities: modalities) } catch {
            throw TrainingConfigurationError(reading: error, file: url.path)
        }
    }

    /// Reads and validates the configuration in the JSON file at a path; see ``init(contentsOf:modalities:)-(URL,_)``.
    ///
    /// - Throws: `TrainingConfigurationError`.
    public init(
        contentsOf path: String, modalities: [String] = LatentModelConfiguration.publishedTargets
    ) throws(TrainingConfigurationError) {
        try self.init(contentsOf: URL(filePath: path), modalities: modalities)
    }

    /// The published settings for some modalities.
    ///
    /// - Throws: `TrainingConfigurationError` if they cannot be targets.
    public init(modalities: [String]) throws(TrainingConfigurationError) {
        do { try self.init(.object([:]), modalities: modalities) } catch {
            throw TrainingConfigurationError(reading: error, file: nil)
        }
    }

    private init(_ stated: JSONValue, modalities: [String]) throws {
        var defaults = LatentTrainingConfiguration.published
        defaults.model.targets = modalities
        if let targets = stated["model"]?["targets"] {
            defaults.model.targets = try targets.decode([String].self)
        }
        defaults.model.firstStage.classes = defaults.model.targets.count
        defaults.model.denoiser?.classes = defaults.model.targets.count
        // Sizes that follow from others unless they are stated.
        if let width = stated["model"]?["first_stage"]?["z_channels"].flatMap({ try? $0.decode(Int.self) }) {
            defaults.model.firstStage.codeWidth = width
            defaults.model.denoiser?.outputChannels = width
            defaults.model.denoiser?.inputChannels = 3 &* width
        }
        func isObject(_ stage: String) -> Bool {
            if case .object? = stated[stage]?["moving_average"] { true } else { false }
        }
        if isObject("autoencoder") { defaults.autoencoder.movingAverage = .ofDenoiser }
        if isObject("translator") { defaults.translator.movingAverage = .ofDenoiser }
        self = try stated.decode(over: defaults)
        try validate()
    }

    /// The configuration as JSON, with all fields. Equal configurations give equal text.
    public var json: Data {
        get throws {
            var configuration = self
            configuration.model.process = model.process.explicit
            return try configuration.sortedJSON(prettyPrinted: true)
        }
    }

    /// Checks that the networks can be trained with this configuration.
    ///
    /// - Throws: `TrainingConfigurationError` for the first field that is invalid.
    public func validate() throws(TrainingConfigurationError) {
        do { try model.validate() } catch {
            throw TrainingConfigurationError(
                file: nil, field: ["model", error.field].compactMap(\.self).joined(separator: "."),
                found: error.found, expected: error.expected)
        }
        try require(
            "model.denoiser", "null", model.denoiser != nil, "the sizes of the denoiser")
        try require("data.flips", data.flips, (0...1).contains(data.flips), "0 to 1")
        if let reference = data.reference {
            try require(
                "data.reference", reference, model.targets.contains(reference),
                "one of the targets, \(model.targets.joined(separator: ", "))")
        }
        if let sources = data.sources {
            try require(
                "data.sources", sources,
                !sources.isEmpty && Set(sources).count == sources.count
                    && sources.allSatisfy(model.targets.contains),
                "null, or different ones of the targets, \(model.targets.joined(separator: ", "))")
        }
        try validate(autoencoder, "autoencoder")
        try validate(translator, "translator")
        try validate(denoiser, "denoiser")
        try validate(autoencoder.losses.adversarial, "autoencoder.losses.adversarial")
        try validate(translator.losses.adversarial, "translator.losses.adversarial")
        for (field, weight) in [
            ("autoencoder.losses.codebook", autoencoder.losses.codebook),
            ("autoencoder.losses.perceptual", autoencoder.losses.perceptual),
            ("autoencoder.losses.cycle.weight", autoencoder.losses.cycle.weight),
            ("translator.losses.cycle.weight", translator.losses.cycle.weight),
        ] { try require(field, weight, weight >= 0 && weight.isFinite, "0 or more") }
        let start = autoencoder.losses.quantizationStart
        try require("autoencoder.losses.quantization_start", start, start >= 0, "0 or more")
        let restarts = autoencoder.losses.restarts
        try require(
            "autoencoder.losses.restarts.interval", restarts.interval, restarts.interval >= 0, "0 or more")
        try require("autoencoder.losses.restarts.end", restarts.end, restarts.end >= 0, "0 or more")
        if let fake = translator.losses.fakeClass {
            try require(
                "translator.losses.fake_class", fake, (0...model.targets.count).contains(fake),
                "0 to \(model.targets.count), the class after the targets, or null for that")
        }
        let timesteps = (try? model.path().trainingTimesteps) ?? 3
        let steps = denoiser.validation.samplingSteps
        try require(
            "denoiser.validation.sampling_steps", steps, (1...timesteps / 2).contains(steps),
            "1 to \(timesteps / 2), half of the timesteps of the process")
    }

    private func validate<Losses>(
        _ stage: LatentStageSettings<Losses>, _ name: String
    ) throws(TrainingConfigurationError) {
        try require("\(name).steps", stage.steps, (1...1 << 30).contains(stage.steps), "1 to \(1 << 30)")
        try require("\(name).batch", stage.batch, (1...4096).contains(stage.batch), "1 to 4096")
        try stage.optimizer.validate(under: "\(name).optimizer")
        try stage.rateSchedule.validate(
            under: "\(name).learning_rate_schedule", rate: stage.optimizer.learningRate)
        try stage.movingAverage?.validate(under: "\(name).moving_average")
        try stage.intervals.validate(under: "\(name).intervals")
        try require(
            "\(name).validation.examples", stage.validation.examples, stage.validation.examples >= 0,
            "0 or more")
        try require(
            "\(name).validation.samples", stage.validation.samples,
            (0...64).contains(stage.validation.samples), "0 to 64")
    }

    private func validate(
        _ adversarial: LatentAdversarialSettings, _ name: String
    ) throws(TrainingConfigurationError) {
        try require(
            "\(name).weight", adversarial.weight, adversarial.weight >= 0 && adversarial.weight.isFinite,
            "0 or more")
        try require("\(name).start", adversarial.start, adversarial.start >= 0, "0 or more")
        try require("\(name).layers", adversarial.layers, (1...8).contains(adversarial.layers), "1 to 8")
        try require(
            "\(name).num_groups", adversarial.groups, (1...4096).contains(adversarial.groups), "1 to 4096")
        try require(
            "\(name).width", adversarial.width,
            (1...4096).contains(adversarial.width) && 2 * adversarial.width % adversarial.groups == 0,
            "half a multiple of \(adversarial.groups), the groups of a normalisation, up to 4096")
    }
}
