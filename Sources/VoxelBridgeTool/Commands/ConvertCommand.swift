import ArgumentParser
import VoxelBridge

extension NIfTIHeader.Version: ExpressibleByArgument {}

struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Convert a volume, or one of a series, to a NIfTI file.",
        discussion: """
            Reads NIfTI-1 and NIfTI-2, as one file or as .hdr and .img; ANALYZE 7.5 pairs; and a folder of the DICOM \
            files of one series, with dcm2niix. Positions, description and header extensions are kept. Integers are \
            stored as they are if the type holds all intensities, and with slope and intercept otherwise.

              voxelbridge convert bold.nii.gz first.nii.gz --volume 0
              voxelbridge convert scan.hdr scan.nii.gz --type int16
              voxelbridge convert dicom-folder ct.nii.gz
            """)

    @Argument(help: "The volume (.nii, .hdr or .img, plain or .gz), or a folder of DICOM files.")
    var source: String

    @Argument(help: "The file to write (.nii, .hdr or .img, plain or .gz).")
    var output: String

    @Option(help: "The number of the volume in a series, from 0.")
    var volume: Int?

    @Option(help: "The data type to store: \(VoxelType.names).")
    var type = VoxelType.float32

    @Option(help: "The version of NIfTI, 1 or 2. (default: the source's)")
    var nifti: NIfTIHeader.Version?

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func run() throws {
        try checkOutput(output, extensions: pairExtensions + volumeExtensions, inputs: [source])
        let file = try readVolume(source, volume: volume, logger: logging.logger)
        try file.volume.write(to: output, like: file.header, as: type, version: nifti)
        logging.logger.info("Wrote \(output)")
    }

    private var pairExtensions: [String] { [".hdr", ".img"].flatMap { [$0, $0 + ".gz"] } }
}

extension VoxelType: ExpressibleByArgument {
    /// The type of a name, such as `int16`.
    public init?(argument: String) {
        guard let type = VoxelType.allCases.first(where: { "\($0)" == argument }) else { return nil }
        self = type
    }

    /// The names of all types.
    public static var allValueStrings: [String] { allCases.map { "\($0)" } }

    fileprivate static var names: String { allValueStrings.joined(separator: ", ") }

    /// The name, such as `int16`.
    public var defaultValueDescription: String { "\(self)" }
}
