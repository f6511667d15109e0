import ArgumentParser
import Foundation
import Logging
import VolumeTranslation

struct TranslateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "translate",
        abstract: "Translate a volume to the style of another modality or scanner.",
        discussion: """
            The result lies on the source's own grid, with intensities from 0 to 1 and the source's background \
            at 0.

            With a network (99 evaluations of each window):
              voxelbridge translate ct.nii.gz mri.nii.gz --model run/model.safetensors \\
                  --style run/style.json

            A network that 'voxelbridge train' made says itself which process, objective, spacing and plane it \
            was trained for; for others give what differs from the published settings.

            Without one, to bring one scanner's T1 to the grey values of another's:
              voxelbridge translate t1.nii.gz harmonised.nii.gz --model histogram --style other.nii.gz

            Modes, from the plainest to the most consistent: independent (each window on its own), co-predict \
            (overlapping windows are averaged at each step), ista (and the score corrects each step), \
            ista-middle (with the score of each window's middle slice).
            """)

    @Argument(help: "The volume to translate (.nii or .nii.gz).")
    var source: String

    @Argument(help: "The file to write (.nii or .nii.gz).")
    var output: String

    @Option(help: "'histogram', which needs no network, or a network's weights (.safetensors or .pth).")
    var model: String

    @OptionGroup
    var options: WeightsOptions

    @OptionGroup
    var network: NetworkOptions

    @Option(
        help: ArgumentHelp(
            "The style: a volume of the target modality, or a key (.json).",
            discussion: """
                'voxelbridge train' leaves a key beside the model, style.json; 'voxelbridge key' makes one of \
                volumes. A network that takes no style needs none.
                """))
    var style: String?

    @OptionGroup(title: "Sampling")
    var sampling: SamplingOptions

    @Flag(
        help:
            "Intensities are already in [-1, 1] and the grid fits the model: prepare, clip and rescale nothing."
    )
    var raw = false

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    private var logger: Logger { logging.logger }

    func validate() throws {
        if model == "histogram" {
            guard style != nil else {
                throw ValidationError(
                    "--model histogram takes a style: give a volume, or a key, with --style")
            }
            if options.config != nil || options.weights != nil {
                throw ValidationError("--config and --weights belong to a network, not to --model histogram")
            }
            if let objective = sampling.objective, objective != .sample {
                throw ValidationError("--model histogram predicts the sample; leave --objective out")
            }
        }
    }

    func run() async throws {
        try checkOutput(output, extensions: volumeExtensions, inputs: [source] + [style].compactMap(\.self))
        if model == "histogram" {
            let settings = try sampling.settings(ofModel: nil)
            // Windows that reach 3 mm to either side: farther away anatomy changes too much.
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
                    "the network in \(model) takes a style: give a volume of the target modality, or a key, with "
                        + "--style; 'voxelbridge train' leaves one beside the model, style.json")
            }
            if bins == nil, let style {
                logger.warning("\(model): the network takes no style; \(style) makes no difference")
            }
            logger.info("Reading the weights in \(model)")
            let network = try UNet(weights, options: network.compute(threads: sampling.threads))
            try await translate(
                with: UNetDenoiser(network, parameterization: settings.objective), settings: settings,
                styleBins: bins)
        }
    }

    /// - Parameter styleBins: bins of the style key that the denoiser takes; nil where it takes none.
    private func translate(
        with denoiser: some StyledDenoiser, settings: TranslationSettings, styleBins: Int?
    ) async throws {
        let file = try readVolume(source, logger: logger)
        let style = try readStyle(bins: styleBins)
        let sampler = sampling.sampler(for: denoiser, settings: settings)
        logger.debug(
            """
            \(sampling.mode.rawValue), \(sampler.scheduler.timesteps.count) steps, windows of \
            \(2 * denoiser.radius + 1) slices, \(sampler.batchesInFlight) threads
            """)
        logger.debug(
            """
            \(settings.process.kind.rawValue) of \(settings.process.timesteps) timesteps, \(settings.plane.rawValue) \
            slices, voxels of \(settings.spacing) mm
            """)
        let line = logging.quiet ? nil : ProgressLine(label: "Translating")
        let progress = line.map { line in { @Sendable report in line.show(report) } }
        let translated: Volume
        do {
            if raw {
                try checkRaw(file.volume, for: denoiser, plane: settings.plane)
                translated = try await sampler.sample(
                    from: file.volume, conditioning: denoiser.conditioning(for: file.volume, style: style),
                    progress: progress)
            } else {
                let translator = VolumeTranslator(
                    preprocessing: .brain(spacing: settings.spacing), sampler: sampler)
                translated = try await translator.translate(file.volume, style: style, progress: progress)
            }
        } catch let error as TranslationError {
            throw FileFailure(path: self.style ?? model, reason: "\(error)")
        } catch let error as PreprocessingError {
            throw FileFailure(path: source, reason: "\(error)")
        }
        try translated.write(
            to: URL(filePath: output), space: file.header.space ?? .aligned, text: "voxelbridge translate")
        logger.info("Wrote \(output)")
    }

    /// Checks that a volume that is to be sampled as it is can be.
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

    private func readStyle(bins: Int?) throws -> StyleKey {
        guard let style, let bins else {
            // A denoiser that takes no style looks at none.
            return try StyleKey(histogram: [0, 0], cumulative: [0, 0], difference: [0, 0])
        }
        let url = URL(filePath: style)
        if url.pathExtension.lowercased() == "json" { return try StyleKey(contentsOf: url) }
        return try readKey(ofVolume: style, bins: bins, logger: logger)
    }
}
