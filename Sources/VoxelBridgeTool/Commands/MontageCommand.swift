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

            Each slice shows its position in millimetres, and each row the intensities from black to white. Oblique \
            volumes are drawn along the world's axes. With --difference, rows below show the difference of each \
            volume from the last, blue where it is darker and red where it is brighter. --lightbox draws many slices \
            of one volume instead.

              voxelbridge montage mri.nii.gz truth.nii.gz --difference --output difference.png
              voxelbridge montage mri.nii.gz --lightbox axial --slices 30 --output slices.png
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

    @Flag(help: "Add the difference of each volume from the last, which must be on its grid.")
    var difference = false

    @Option(
        help: ArgumentHelp(
            "Draw slices of one volume in a plane: axial, coronal, sagittal.", valueName: "plane"))
    var lightbox: SlicePlane?

    @Option(help: "The number of slices of a lightbox.")
    var slices = 20

    @Flag(help: "Leave out positions and scales.")
    var plain = false

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
            throw ValidationError("--point must be three numbers separated by commas, but is \(point)")
        }
        try require(
            rowLabels.count == volumes.count,
            "--labels has \(rowLabels.count) labels, but there are \(volumes.count) volumes")
        try require(
            lightbox == nil || volumes.count == 1, "--lightbox takes one volume, but there are \(volumes.count)"
        )
        try require((1...1000).contains(slices), "--slices must be from 1 to 1000, but is \(slices)")
        try require(
            !difference || volumes.count >= 2, "--difference compares volumes with the last; give at least two")
    }

    func run() throws {
        try checkOutput(output, extensions: [".png"], inputs: volumes)
        let logger = logging.logger
        var rows = try zip(volumes, rowLabels).map {
            Montage.Row(try readVolume($0, logger: logger).volume, label: $1)
        }
        if let lightbox {
            try Lightbox(rows[0].volume, plane: lightbox, slices: slices, convention: convention)
                .image().write(to: output)
            return logger.info("Wrote \(output)")
        }
        if difference, let last = rows.last {
            for (row, path) in zip(rows.dropLast(), volumes) {
                let volume = try GridAlignment.aligned(row.volume, onto: last.volume.grid, name: path)
                rows.append(
                    .init(
                        difference: volume, from: last.volume,
                        label: "\(row.label ?? "") - \(last.label ?? "")"))
            }
        }
        try Montage(rows: rows, at: coordinates, convention: convention, isAnnotated: !plain).write(to: output)
        logger.info("Wrote \(output)")
    }
}
