import ArgumentParser
import Foundation
import VolumeFigures
import VoxelBridge

extension Montage.Convention: ExpressibleByArgument {}

struct MontageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "montage",
        abstract: "Draw axial, coronal and sagittal slices of volumes as a PNG image, with one row per volume.",
        discussion: """
            All slices pass through one world position, by default the centre of the first volume's foreground, \
            so that volumes on different grids can be compared.

              voxelbridge montage ct.nii.gz mri.nii.gz --labels CT,MRI --output compare.png
            """)

    @Argument(help: "The volumes, from the top row down.")
    var volumes: [String]

    @Option(help: "The image to write (.png).")
    var output: String

    @Option(help: "A label for each row, separated by commas. (default: the names of the files)")
    var labels: String?

    @Option(help: "The side of the patient's right: left of the image (radiological), or right (neurological).")
    var convention = Montage.Convention.radiological

    @Option(
        help: ArgumentHelp(
            "The position of the slices: x,y,z in millimetres, RAS+. (default: the centre)",
            valueName: "x,y,z"))
    var point: String?

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    private var rowLabels: [String] {
        labels?.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            ?? volumes.map { URL(filePath: $0).lastPathComponent }
    }

    private var coordinates: SIMD3<Double>? {
        let numbers = point?.split(separator: ",").compactMap { Double($0) } ?? []
        return numbers.count == 3 && numbers.allSatisfy(\.isFinite) ? SIMD3(numbers) : nil
    }

    func validate() throws {
        if let point, coordinates == nil {
            throw ValidationError("--point must be three numbers separated by commas, and is \(point)")
        }
        try require(
            rowLabels.count == volumes.count,
            "--labels has \(rowLabels.count) labels, and there are \(volumes.count) volumes")
    }

    func run() throws {
        try checkOutput(output, extensions: [".png"], inputs: volumes)
        let logger = logging.logger
        let rows = try zip(volumes, rowLabels).map {
            Montage.Row(try readVolume($0, logger: logger).volume, label: $1)
        }
        try Montage(rows: rows, at: coordinates, convention: convention).write(to: output)
        logger.info("Wrote \(output)")
    }
}
