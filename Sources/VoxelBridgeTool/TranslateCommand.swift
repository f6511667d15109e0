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
              voxelbridge translate ct.nii.gz mri.nii.gz --model ct2mri.safetensors \\
                  --style t1.json

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

    @Option(help: "The style: a volume of the target modality, or a key made by 'voxelbridge key' (.json).")
    var style: String

    @OptionGroup(title: "Sampling")
    var sampling: SamplingOptions

    @Option(help: "Distance between the voxels that the model sees, in millimetres.")
    var spacing = 1.0

    @Option(help: "What the network was trained to predict. The histogram model predicts the sample.")
    var objective: Parameterization?

    @Flag(
        help:
            "Intensities are already in [-1, 1] and the grid fits the model: prepare, clip and rescale nothing."
    )
    var raw = false

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    private var logger: Logger { logging.logger }

    func validate() throws {
        guard spacing > 0, spacing.isFinite else { throw ValidationError("--spacing must be above zero") }
        if model == "histogram" {
            if options.config != nil || options.weights != nil {
                throw ValidationError("--config and --weights belong to a network, not to --model histogram")
            }
            if let objective, objective != .sample {
                throw ValidationError("--model histogram predicts the sample; leave --objective out")
            }
        }
    }

    func run() async throws {
        try checkOutput(output, extensions: volumeExtensions, inputs: [source, style])
        if model == "histogram" {
            // Windows that reach 3 mm to either side: farther away anatomy changes too much.
            let radius = max(1, Int((3 / spacing).rounded()))
            try await translate(with: HistogramMatchingDenoiser(radius: radius), styleBins: 128)
        } else {
            guard FileManager.default.fileExists(atPath: model) else {
                throw FileFailure(
                    path: model, reason: "there is no such file; give a network's weights, or 'histogram'")
            }
            let weights = try options.find(in: model)
            logger.info("Reading the weights in \(model)")
            let network = try UNet(weights, options: network.compute(threads: sampling.threads))
            try await translate(
                with: UNetDenoiser(network, parameterization: objective ?? .gradient),
                styleBins: network.configuration.contextWidth ?? 128)
        }
    }

    private func translate(with denoiser: some StyledDenoiser, styleBins: Int) async throws {
        let file = try readVolume(source, logger: logger)
        let style = try readStyle(bins: styleBins)
        let sampler = sampling.sampler(for: denoiser)
        logger.debug(
            """
            \(sampling.mode.rawValue), \(sampler.scheduler.timesteps.count) steps, windows of \
            \(2 * denoiser.radius + 1) slices, \(sampler.batchesInFlight) threads
            """)
        let line = logging.quiet ? nil : ProgressLine(label: "Translating")
        let progress = line.map { line in { @Sendable report in line.show(report) } }
        let translated: Volume
        do {
            if raw {
                try checkRaw(file.volume, for: denoiser)
                translated = try await sampler.sample(
                    from: file.volume, conditioning: denoiser.conditioning(for: file.volume, style: style),
                    progress: progress)
            } else {
                let translator = VolumeTranslator(
                    preprocessing: .brain(spacing: spacing), sampler: sampler)
                translated = try await translator.translate(file.volume, style: style, progress: progress)
            }
        } catch let error as TranslationError {
            throw FileFailure(path: self.style, reason: "\(error)")
        } catch let error as PreprocessingError {
            throw FileFailure(path: source, reason: "\(error)")
        }
        try translated.write(
            to: URL(filePath: output), space: file.header.space ?? .aligned, text: "voxelbridge translate")
        logger.info("Wrote \(output)")
    }

    /// Checks that a volume that is to be sampled as it is can be.
    private func checkRaw(_ volume: Volume, for denoiser: some StyledDenoiser) throws {
        let axes = sampling.plane.permutation(for: volume.grid).sources
        let (columns, rows) = (volume.shape[axes[0]], volume.shape[axes[1]])
        let multiple = denoiser.sizeMultiple
        guard columns % multiple == 0, rows % multiple == 0 else {
            throw FileFailure(
                path: source,
                reason: """
                    its \(sampling.plane.rawValue) slices are \(columns) x \(rows) voxels, and the model takes \
                    multiples of \(multiple); leave out --raw, or pad the volume first
                    """)
        }
        let range = volume.intensityRange
        if range.lowerBound < -1 || range.upperBound > 1 {
            logger.warning(
                "\(source): the intensities go from \(range.lowerBound) to \(range.upperBound), beyond [-1, 1]")
        }
    }

    private func readStyle(bins: Int) throws -> StyleKey {
        let url = URL(filePath: style)
        if url.pathExtension.lowercased() == "json" { return try StyleKey(contentsOf: url) }
        return try readKey(ofVolume: style, bins: bins, logger: logger)
    }
}
