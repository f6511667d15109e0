import Foundation
import TestSupport
import Testing
import VolumeMetrics
import Volumes

/// A metric from outside the module.
private struct MeanBias: VolumeMetric {
    let name = "bias"

    func callAsFunction(_ prediction: Volume, against reference: Volume, mask: Volume?) throws -> Double {
        try MetricError.checkShapes(prediction, reference, mask: mask)
        return zip(prediction.voxels, reference.voxels).reduce(0) { $0 + Double($1.0 - $1.1) }
            / Double(reference.grid.count)
    }
}

@Suite struct MetricReportTests {
    private let grid = VoxelGrid(shape: [2, 1, 1])

    @Test func keepsTheOrderAskedFor() throws {
        let report = try MetricReport(
            of: Volume(grid: grid, voxels: [3, 4]), against: Volume(grid: grid, voxels: [1, 2]),
            metrics: [MSE(), MeanBias(), MAE()])
        #expect(report.entries.map(\.name) == ["mse", "bias", "mae"])
        #expect(report["bias"] == 2 && report["mse"] == 4 && report["ssim"] == nil)
    }

    @Test func standardMetricsAreThoseOfPapers() throws {
        var generator = SeededGenerator(seed: 1)
        let (prediction, reference) = randomPair(least: 7, using: &generator)
        let report = try MetricReport(of: prediction, against: reference)
        #expect(report.entries.map(\.name) == ["nrmse_euclidean", "psnr", "ssim"])
        #expect(report["ssim"] == (try SSIM()(prediction, against: reference)))
    }

    @Test func jsonHoldsWhatIsNotFinite() throws {
        let volume = Volume(grid: grid, voxels: [1, 2])
        let report = try MetricReport(of: volume, against: volume, metrics: [PSNR(), MAE()])
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = String(decoding: try encoder.encode(report), as: UTF8.self)
        #expect(json == #"{"mae":0,"psnr":"Infinity"}"#)
    }

    @Test func passesOnWhatAMetricThrows() {
        #expect(throws: MetricError.shapesDiffer(prediction: [2, 1, 1], reference: [1, 1, 1])) {
            try MetricReport(
                of: Volume(grid: grid), against: Volume(grid: VoxelGrid(shape: [1, 1, 1])),
                metrics: [MeanBias()])
        }
    }
}

struct MetricDescriptionTests {
    @Test func aReportIsATable() throws {
        let volume = Volume(grid: VoxelGrid(shape: [8, 8, 8])).map { _ in 1 }
        let report = try MetricReport(
            of: volume.map { $0 + 1 / 3 }, against: volume, metrics: [MAE(), NRMSE()])
        #expect("\(report)" == "mae              0.333333\nnrmse_euclidean  0.333333")
    }

    @Test func errorsAreLocalized() {
        let error: any Error = MetricError.notFinite(metric: "mae")
        #expect(error.localizedDescription == "\(error)")
    }
}
