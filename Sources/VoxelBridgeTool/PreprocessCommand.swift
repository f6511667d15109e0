import ArgumentParser
import VoxelBridge

struct PreprocessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preprocess",
        abstract: "Prepare a volume as 'translate' does, and write the model's input.",
        discussion: """
            Intensities scaled to [0, 1] with background at 0, RAS orientation, an isotropic spacing (linear \
            interpolation), the bounding box of the foreground, rows and columns padded to a multiple.
            """)

    @Argument(help: "The volume to prepare (.nii or .nii.gz).")
    var source: String

    @Argument(help: "The file to write (.nii or .nii.gz).")
    var output: String

    @Option(help: "Distance between voxels, in millimetres.")
    var spacing = 1.0

    @Option(help: "Rows and columns of a slice are padded to a multiple of this number.")
    var multiple = 1

    @Option(help: "The plane of the slices.")
    var plane = SlicePlane.axial

    @OptionGroup(title: "Intensities")
    var intensities: IntensityOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require(spacing > 0 && spacing.isFinite, "--spacing must be above zero")
        try require((1...4096).contains(multiple), "--multiple must be from 1 to 4096, and is \(multiple)")
    }

    func run() throws {
        try checkOutput(output, extensions: volumeExtensions, inputs: [source])
        let logger = logging.logger
        let file = try readVolume(source, logger: logger, keepsNaN: true)
        let mask = try intensities.foreground(of: file.volume, in: source, logger: logger)
        let pipeline = PreprocessingPipeline.brain(spacing: spacing, intensities: intensities.step())
            .appending(PadToMultiple(of: multiple, plane: plane))
        let prepared = try naming(source) { try pipeline.apply(to: file.volume, mask: mask) }
        for warning in prepared.warnings { logger.warning("\(source): \(warning)") }
        try prepared.volume.write(
            to: output, space: file.header.space ?? .aligned, text: "voxelbridge preprocess")
        logger.info("Wrote \(output)")
    }
}
