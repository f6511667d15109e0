import ArgumentParser
import VoxelBridge

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Compute the style key of a volume, or the mean of several.",
        discussion: """
            A key describes the intensities of a modality: the histogram of the foreground, its cumulative sum and \
            its differences. The mean of several keys is a style that no single volume dominates.

            Use the model's spacing and the intensity rule of its targets; 'voxelbridge info MODEL' shows both.
            """)

    @Argument(help: "The volumes. Each is scaled to [0, 1]; background is left out.")
    var volumes: [String]

    @Option(help: "Number of bins, as in the network's configuration.")
    var bins = 128

    @Option(
        help: ArgumentHelp(
            "The spacing in mm to resample volumes to; use the model's.",
            discussion: "Default: that of a volume's finest axis, so that thick slices are interpolated."))
    var spacing: Double?

    @Option(help: "The file to write (.json). (default: standard output)")
    var output: String?

    @OptionGroup(title: "Intensities")
    var intensities: IntensityOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require((2...65536).contains(bins), "--bins must be from 2 to 65536, but is \(bins)")
        if let spacing {
            try require(
                spacing > 0 && spacing.isFinite, "--spacing must be above zero, but is \(spacing)")
        }
        let isFile = intensities.mask.map { MaskMethod(rawValue: $0) == nil } ?? false
        try require(
            !isFile || volumes.count == 1,
            "--mask FILE applies to a single volume, but there are \(volumes.count)")
    }

    func run() throws {
        if let output { try checkOutput(output, extensions: [".json"], inputs: volumes) }
        let logger = logging.logger
        let keys = try volumes.map {
            try readKey(
                ofVolume: $0, bins: bins, intensities: intensities.step(), masks: intensities,
                resampling: spacing.map { Resample(spacing: $0) }, logger: logger)
        }
        let key = try StyleKey(averaging: keys)
        guard let output else { return try printJSON(key) }
        try key.write(to: output)
        logger.info("Wrote \(output)")
    }
}
