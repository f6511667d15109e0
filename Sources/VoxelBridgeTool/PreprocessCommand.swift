import ArgumentParser
import VoxelBridge

struct PreprocessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preprocess",
        abstract: "Prepare a volume as 'translate' does, and write the model's input.",
        discussion: """
            RAS orientation, an isotropic spacing (linear interpolation), the bounding box of the foreground, rows \
            and columns padded to a multiple, intensities scaled to [0, 1].
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

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require(spacing > 0 && spacing.isFinite, "--spacing must be above zero")
        try require((1...4096).contains(multiple), "--multiple must be from 1 to 4096, and is \(multiple)")
    }

    func run() throws {
        try checkOutput(output, extensions: volumeExtensions, inputs: [source])
        let file = try readVolume(source, logger: logging.logger)
        let pipeline = PreprocessingPipeline.brain(spacing: spacing)
            .appending(PadToMultiple(of: multiple, plane: plane))
        let prepared = try naming(source) { try pipeline.apply(to: file.volume) }
        try prepared.volume.write(
            to: output, like: file.header, text: "voxelbridge preprocess")
        logging.logger.info("Wrote \(output)")
    }
}
