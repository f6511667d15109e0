import ArgumentParser
import VoxelBridge

struct MaskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mask",
        abstract: "Make a mask: of the brain in a CT, or of the foreground of any volume.",
        discussion: """
            brain finds the brain in a CT of a whole head, without a network: the largest body of soft tissue inside \
            the skull. It needs a closed skull, in Hounsfield units; it fails after a craniectomy, on infants, and where \
            metal makes streaks. Look at the mask:

              voxelbridge mask ct.nii.gz brain.nii.gz
              voxelbridge montage ct.nii.gz brain.nii.gz --output check.png

            foreground is all that differs from the border's level and noise, otsu all above Otsu's threshold.
            """)

    @Argument(help: "The volume (.nii or .nii.gz).")
    var source: String

    @Argument(help: "The file to write: 1 inside the mask and 0 outside (.nii or .nii.gz).")
    var output: String

    @Option(help: "What to find: \(MaskMethod.allNames).")
    var method = MaskMethod.brain

    @Flag(help: "Keep the largest connected part only.")
    var largestComponent = false

    @Flag(help: "Fill what the mask encloses.")
    var fillHoles = false

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func run() throws {
        try checkOutput(output, extensions: volumeExtensions, inputs: [source])
        let logger = logging.logger
        let file = try readVolume(source, logger: logger)
        let grid = file.volume.grid
        var mask = try method.mask(of: file.volume, in: source, logger: logger)
        if largestComponent { mask = mask.largestComponent(on: grid) }
        if fillHoles { mask = mask.fillingHoles(on: grid) }
        let millilitres =
            Double(mask.isForeground.count { $0 }) * grid.spacing.x * grid.spacing.y * grid.spacing.z / 1000
        try mask.volume(on: grid).write(
            to: output, space: file.header.space ?? .aligned, text: "voxelbridge mask, \(method.rawValue)")
        logger.info("Wrote \(output): \(Int(millilitres.rounded())) ml")
    }
}
