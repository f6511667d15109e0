import ArgumentParser
import VoxelBridge

struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Compare a predicted volume with a reference.",
        discussion: """
            Prints errors (nrmse with four normalisations, nmse, mae: lower is better), psnr in decibels and ssim \
            (higher is better), and the mean absolute difference of adjacent slices, for the prediction and \
            relative to the reference. Values equal those of scikit-image. psnr and ssim depend on --data-range, \
            the range of possible intensities.
            """)

    @Argument(help: "The predicted volume.")
    var prediction: String

    @Argument(help: "The expected volume, on the same grid.")
    var reference: String

    @Option(help: "A volume that is above zero in the voxels to compare.")
    var mask: String?

    @Option(help: "The range of possible intensities, for psnr and ssim.")
    var dataRange = 1.0

    @Option(help: "The plane whose adjacent slices are compared.")
    var plane = SlicePlane.axial

    @Flag(help: "Print a JSON object.")
    var json = false

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require(dataRange > 0 && dataRange.isFinite, "--data-range must be above zero, and is \(dataRange)")
    }

    func run() throws {
        let logger = logging.logger
        let predicted = try readVolume(prediction, logger: logger).volume
        let expected = try readVolume(reference, logger: logger).volume
        let maskVolume = try mask.map { try readVolume($0, logger: logger).volume }
        if predicted.shape == expected.shape, !predicted.grid.matches(expected.grid) {
            let difference = predicted.grid.difference(from: expected.grid)
            logger.warning(
                "\(prediction) is not on the grid of \(reference): \(difference); comparing voxel by voxel")
        }
        let report = try MetricReport(
            of: predicted, against: expected, mask: maskVolume,
            metrics: NRMSE.Normalisation.allCases.map { NRMSE($0) } + [
                NMSE(), MAE(), PSNR(dataRange: .fixed(dataRange)), SSIM(dataRange: .fixed(dataRange)),
                SliceConsistency(.difference, plane: plane), SliceConsistency(.error, plane: plane),
            ])
        if json { return try printJSON(report) }
        print(report)
    }
}
