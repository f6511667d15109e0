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

    @Test func standardMetricsHaveNamesOfTheirOwn() throws {
        var generator = SeededGenerator(seed: 1)
        let (prediction, reference) = randomPair(least: 7, using: &generator)
        let report = try MetricReport(of: prediction, against: reference)
        #expect(Set(report.map(\.name)).count == report.entries.count)
        #expect(report["ssim"] == (try SSIM()(prediction, against: reference)))
        // Five scales of a window of seven voxels need 112.
        #expect(report.first { $0.name == "ms_ssim" }?.reason?.contains("112 x 112 x 112") == true)
        for metric in MetricReport.standardMetrics() { #expect(!metric.definition.isEmpty) }
    }

    @Test func settingsTellMetricsOfAKindApart() throws {
        var generator = SeededGenerator(seed: 2)
        let (prediction, reference) = randomPair(least: 11, using: &generator)
        let metrics: [any VolumeMetric] = [
            PSNR(), PSNR(dataRange: .fixed(2)), SSIM(), SSIM(dataRange: .fixed(2)), SSIM(plane: .axial),
            SSIM(window: .uniform(width: 5)), SSIM(window: .gaussian(sigma: 1.5)),
            SSIM(window: .gaussian(sigma: 1.5, width: 7)), SSIM(usesSampleCovariance: false),
            NormalisedMutualInformation(), NormalisedMutualInformation(bins: 32), HistogramDistance(.chiSquare),
            HistogramDistance(.chiSquare, bins: 64),
        ]
        let report = try MetricReport(of: prediction, against: reference, metrics: metrics)
        #expect(Set(report.map(\.name)).count == metrics.count)
        for (entry, metric) in zip(report, metrics) {
            #expect(entry.value == (try metric(prediction, against: reference)), "\(entry.name)")
        }
    }

    @Test func aMetricWithoutAValueSaysWhyInItsPlace() throws {
        let flat = Volume(grid: VoxelGrid(shape: [8, 8, 5]), repeating: 0)
        let report = try MetricReport(of: flat.map { _ in 2 }, against: flat)
        #expect(report["mae"] == 2 && report["psnr"] == nil)
        #expect(report.first { $0.name == "psnr" }?.reason?.contains("range of the reference") == true)
        #expect(
            report.first { $0.name == "nrmse_euclidean" }?.reason?.contains("norm of the reference") == true)
        let empty = try MetricReport(of: flat, against: flat, mask: flat)
        #expect(empty.allSatisfy { $0.reason?.contains("mask has no voxel") == true })
        #expect("\(report)".contains("psnr") && "\(report)".contains("- (psnr is undefined"))
    }

    @Test func codingKeepsEverything() throws {
        let volume = Volume(grid: grid, voxels: [1, 2])
        let report = try MetricReport(of: volume, against: volume, metrics: [PSNR(), MAE(), SSIM()])
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(report)
        let json = String(decoding: data, as: UTF8.self)
        #expect(
            json.hasPrefix(#"[{"name":"psnr","value":"Infinity"},{"name":"mae","value":0},{"name":"ssim","#))
        #expect(json.contains(#""value":null"#) && json.contains(#""reason":"the volumes have 2 x 1 x 1"#))
        #expect(try JSONDecoder().decode(MetricReport.self, from: data) == report)
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
