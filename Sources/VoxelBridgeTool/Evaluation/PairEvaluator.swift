import ArgumentParser
import BridgeTraining
import Foundation
import VoxelBridge

extension IntensityMatching: ExpressibleByArgument {}

/// The settings of an evaluation.
struct EvaluationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The range of possible intensities, for psnr and ssim. (default: the reference's)",
            valueName: "range"))
    var dataRange: Double?

    @Option(
        help: ArgumentHelp(
            "Convert the prediction to the reference's intensities first: none, range, scale, key.",
            discussion: """
                range maps minimum and maximum, scale applies the gain with the least squared error, key matches the \
                histograms of the foreground. Differences that the matching removes are not counted as errors.
                """))
    var match = IntensityMatching.none

    @Option(help: "The width of ssim's window in voxels, odd.")
    var window = 7

    @Option(help: "The plane of 2-D ssim and of the differences of adjacent slices.")
    var plane = SlicePlane.axial

    @Flag(help: "Compare voxel by voxel, even if the volumes are at different places.")
    var voxelwise = false

    func validate() throws {
        if let dataRange, !(dataRange > 0 && dataRange.isFinite) {
            throw ValidationError("--data-range must be above zero, but is \(dataRange)")
        }
        try require(
            window >= 3 && window % 2 == 1 && window <= 1023,
            "--window must be odd, from 3 to 1023, but is \(window)")
    }

    /// The metrics to report.
    var metrics: [any VolumeMetric] {
        MetricReport.standardMetrics(
            dataRange: dataRange.map { .fixed($0) } ?? .ofReference, window: .uniform(width: window),
            plane: plane)
    }
}

/// Two volumes that were compared.
struct EvaluatedPair {
    /// On the reference's grid and, if it was asked for, in its units.
    let prediction: Volume
    let reference: Volume
    let mask: Volume?
    let metrics: MetricReport
    let facts: PairFacts
    let warnings: [String]
}

extension EvaluationOptions {
    /// Reads and compares the volumes in files.
    ///
    /// - Throws: the error of the first file that cannot be read or compared.
    func evaluate(prediction: String, reference: String, mask: String?) throws -> EvaluatedPair {
        var warnings: [String] = []
        let expected = try Volume(contentsOf: reference)
        func aligned(_ volume: Volume, _ path: String) throws -> Volume {
            do { return try GridAlignment.aligned(volume, onto: expected.grid, name: path) } catch {
                guard voxelwise, volume.shape == expected.shape else {
                    let hint =
                        volume.shape == expected.shape ? ", or compare voxel by voxel with --voxelwise" : ""
                    throw FileFailure(message: "\(error)\(hint)")
                }
                warnings.append("\(error.name) is at another place than \(reference); comparing voxel by voxel")
                return Volume(grid: expected.grid, voxels: volume.voxels)
            }
        }
        var predicted = try aligned(Volume(contentsOf: prediction), prediction)
        let maskVolume = try mask.map { try aligned(Volume(contentsOf: $0), "the mask \($0)") }
        if let faint = maskVolume?.voxels.count(where: { $0 > 0 && $0 < 0.5 }), faint > 0 {
            warnings.append(
                "the mask \(mask ?? ""): \(faint) voxels are above 0 and below 0.5; all above 0 are compared")
        }
        if match != .none {
            predicted = try naming(prediction) { try match(predicted, to: expected, mask: maskVolume) }
        }
        let facts = try PairFacts(of: predicted, against: expected, mask: maskVolume)
        if let difference = facts.differenceOfUnits {
            warnings.append(
                "\(prediction) and \(reference): \(difference); convert them with --match range, scale or key"
            )
        }
        if facts.leftOut > 0 {
            warnings.append(
                "\(prediction) and \(reference): \(facts.leftOut) voxels are NaN in one of them and are left out"
            )
        }
        return EvaluatedPair(
            prediction: predicted, reference: expected, mask: maskVolume,
            metrics: try MetricReport(of: predicted, against: expected, mask: maskVolume, metrics: metrics),
            facts: facts, warnings: warnings)
    }
}
