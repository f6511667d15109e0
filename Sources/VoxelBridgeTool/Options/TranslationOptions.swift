import ArgumentParser
import Foundation
import LatentTranslation
import VoxelBridge

/// Everything that decides a translation but its model and its files.
struct TranslationOptions: ParsableArguments {
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

    func validate() throws {
        try require(
            !raw || !intensities.areGiven,
            "--raw takes intensities as they are; leave out --window, --intensities, --background and --mask")
    }

    /// Checks the options against a model's name, before any file is read.
    func check(with model: String) throws {
        guard model == "histogram" else { return }
        try require(style != nil, "--model histogram takes a style: give a volume or a key with --style")
        if !options.config.isEmpty || options.weights != nil {
            throw ValidationError("--config and --weights do not apply to --model histogram; leave them out")
        }
        if let predictionType = sampling.predictionType, predictionType != .sample {
            throw ValidationError("--model histogram predicts the sample; leave --prediction-type out")
        }
    }

    /// The translation by a model: a network's weights, or 'histogram'.
    ///
    /// - Throws: what is wrong with the options or the file, apart from the weights' numbers, which are read later.
    func translation(by model: String, logging: LoggingOptions) throws -> any FileTranslation {
        if model != "histogram", LatentWeights.isLatentModel(model) {
            return try latentTranslation(by: model, logging: logging)
        }
        try latent.refuse(for: model)
        if model == "histogram" {
            let settings = try sampling.settings(ofModel: nil)
            // Windows extend 3 mm to either side: farther away anatomy differs too much.
            let radius = max(1, Int((3 / settings.spacing).rounded()))
            return try SliceTranslation(
                self, model: model, settings: settings, styleBins: 128, dependsOnNoisy: false, logging: logging
            ) { HistogramMatchingDenoiser(radius: radius) }
        }
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
            logging.logger.warning("\(model): the network takes no style; \(style) is ignored")
        }
        let compute = network.compute(threads: sampling.threads.count)
        return try SliceTranslation(
            self, model: model, settings: settings, styleBins: bins, dependsOnNoisy: true, logging: logging
        ) {
            logging.logger.info("Reading the weights in \(model)")
            return UNetDenoiser(
                try UNet(weights, options: compute), predictionType: settings.predictionType)
        }
    }

    /// The translation by a 3-D latent model.
    func latentTranslation(by model: String, logging: LoggingOptions) throws -> LatentModelTranslation {
        try refuseOptionsOfSlices(model)
        let weights = try options.findLatent(in: model, firstStage: latent.files.firstStage)
        for assumption in weights.assumptions { logging.logger.warning("\(model): \(assumption)") }
        return try LatentModelTranslation(self, model: model, weights: weights, logging: logging)
    }

    /// Options that would be ignored are errors.
    private func refuseOptionsOfSlices(_ model: String) throws {
        let given: [(String, Bool)] = [
            ("--style", style != nil), ("--mode", sampling.mode != nil), ("--clip", sampling.clip != nil),
            ("--solver", sampling.solver != nil), ("--step-rule", sampling.stepRule != nil),
            ("--process", sampling.process != nil), ("--schedule", sampling.schedule != nil),
            ("--plane", sampling.plane != nil), ("--prediction-type", sampling.predictionType != nil),
        ]
        if let first = given.first(where: \.1) {
            throw ValidationError(
                "\(first.0) applies only to 2-D networks, and \(model) is a 3-D latent model; leave it out")
        }
        try require(
            !raw || (latent.reference == nil && latent.shape == nil && sampling.spacing == nil)
                || latent.decode,
            "--raw uses the source without preparation; leave out --reference, --shape and --spacing")
    }
}
