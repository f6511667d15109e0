import Foundation
import TestSupport
import Testing
import VolumeMetrics
import Volumes

/// Laws of all metrics at once.
@Suite struct MetricLawTests {
    private let metrics =
        MetricReport.standardMetrics() + [
            SSIM(window: .gaussian(sigma: 1)), SSIM(window: .uniform(width: 3), scales: 2),
        ]
        as [any VolumeMetric]

    /// Volumes of one kind or another: large, negative, coarse, with zeros, with a mask.
    private func pair(_ generator: inout SeededGenerator) -> (Volume, Volume, mask: Volume?) {
        let shape = SIMD3(
            7 + generator.size(in: 0...8), 7 + generator.size(in: 0...8), 7 + generator.size(in: 0...8))
        let grid = VoxelGrid(shape: shape, spacing: [1, 0.5, 2.5])
        let (offset, scale) =
            [(0, 1), (1000, 50), (-300, 100), (0, 1e-3)].randomElement(using: &generator)! as (Float, Float)
        let reference = generator.floats(grid.count, in: 0...1).map { max($0, 0.3) * scale + offset }
        let noise = generator.floats(grid.count, in: -0.2...0.2)
        let mask =
            Bool.random(using: &generator) ? Volume(grid: grid, voxels: generator.floats(grid.count)) : nil
        return (
            Volume(grid: grid, voxels: zip(reference, noise).map { $0 + $1 * scale }),
            Volume(grid: grid, voxels: reference), mask
        )
    }

    @Test func equalVolumesScorePerfectly() async {
        await checkLaw(cases: 20) { generator in
            let (_, volume, mask) = pair(&generator)
            for metric in metrics {
                guard let value = try? metric(volume, against: volume, mask: mask) else { continue }
                switch metric.goal {
                case .lowest where metric.name.hasPrefix("slice_difference"): continue
                case .lowest: try #require(value < 1e-9, "\(metric.name)")
                case .nearest(let best): try #require(abs(value - best) < 1e-12, "\(metric.name)")
                case .highest:
                    let best = metric.name == "psnr" ? .infinity : metric.name == "nmi" ? 2.0 : 1
                    try #require(value == best || abs(value - best) < 1e-9, "\(metric.name): \(value)")
                }
            }
        }
    }

    @Test func symmetricMetricsAreSymmetric() async {
        let symmetric: [any VolumeMetric] =
            [MAE(), MSE(), RMSE(), PSNR(dataRange: .fixed(1)), SSIM(dataRange: .fixed(1)), CrossCorrelation()]
            + [NormalisedMutualInformation(), GradientError()]
            + HistogramDistance.Kind.allCases.map { HistogramDistance($0) }
        await checkLaw(cases: 20) { generator in
            let (first, second, mask) = pair(&generator)
            for metric in symmetric {
                let values = try (
                    metric(first, against: second, mask: mask), metric(second, against: first, mask: mask)
                )
                try #require(abs(values.0 - values.1) <= 1e-9 * abs(values.0), "\(metric.name)")
            }
        }
    }

    @Test func flippedAxesChangeNothingButRounding() async {
        await checkLaw(cases: 20) { generator in
            let (prediction, reference, mask) = pair(&generator)
            let flip = AxisPermutation(
                sources: [0, 1, 2], isReversed: (0..<3).map { _ in Bool.random(using: &generator) })
            let plain = try MetricReport(of: prediction, against: reference, mask: mask, metrics: metrics)
            let flipped = try MetricReport(
                of: prediction.permuted(flip), against: reference.permuted(flip), mask: mask?.permuted(flip),
                metrics: metrics)
            for (first, second) in zip(plain, flipped) {
                // Two scales halve from the first voxel on, so that odd extents lose another plane.
                if first.name.hasPrefix("ms_ssim") { continue }
                guard let value = first.value else {
                    try #require(second.value == nil, "\(first.name)")
                    continue
                }
                let other = try #require(second.value, "\(first.name)")
                try #require(
                    abs(value - other) <= 1e-6 * abs(value) + 1e-12, "\(first.name): \(value), \(other)")
            }
        }
    }

    @Test func voxelsOutsideTheMaskDoNotCount() async {
        await checkLaw(cases: 10) { generator in
            let (prediction, reference, _) = pair(&generator)
            let mask = Volume(grid: reference.grid, voxels: generator.floats(reference.grid.count, in: -1...1))
            var soiled = prediction
            for index in soiled.voxels.indices where !(mask.voxels[index] > 0) { soiled.voxels[index] += 7 }
            for metric in metrics where !metric.name.contains("ssim") && metric.name != "gradient_error" {
                let value = try metric(prediction, against: reference, mask: mask)
                try #require(try metric(soiled, against: reference, mask: mask) == value, "\(metric.name)")
            }
        }
    }

    @Test func everyRunHasTheSameBits() throws {
        var generator = SeededGenerator(seed: 5)
        let grid = VoxelGrid(shape: [60, 50, 70])
        let reference = Volume(grid: grid, voxels: generator.floats(grid.count))
        let prediction = Volume(grid: grid, voxels: generator.floats(grid.count))
        let first = try MetricReport(of: prediction, against: reference)
        for _ in 0..<3 { #expect(try MetricReport(of: prediction, against: reference) == first) }
    }
}

/// Against numbers of NumPy, SciPy and scikit-image for a pair that a formula makes.
@Suite struct MetricNumberTests {
    private let prediction, reference: Volume

    init() {
        let grid = VoxelGrid(shape: [40, 36, 32])
        var (p, r) = (Volume(grid: grid), Volume(grid: grid))
        for z in 0..<32 {
            for y in 0..<36 {
                for x in 0..<40 {
                    r[x, y, z] = Float((x * x * 3 + y * y * 5 + z * z * 7 + x * y) % 97) / 64
                    p[x, y, z] = r[x, y, z] + Float((x * 11 + y * y + z * 5) % 13) / 32
                }
            }
        }
        (prediction, reference) = (p, r)
    }

    @Test func agree() throws {
        let numbers: [(any VolumeMetric, Double)] = [
            (SSIM(), 0.9421328494259972), (SSIM(usesSampleCovariance: false), 0.9421333514612825),
            (SSIM(window: .gaussian(sigma: 1.5), usesSampleCovariance: true), 0.9418064224098663),
            (SSIM(scales: 2), 0.9597854004743753), (SSIM(scales: 3), 0.9753168523033946),
            (CrossCorrelation(), 0.9662197609596387), (NormalisedMutualInformation(), 1.2697251954903646),
            (NormalisedMutualInformation(bins: 32), 1.2528105541203949),
            (HistogramDistance(.wasserstein), 0.1874572436014811),
            (HistogramDistance(.bhattacharyya), 0.08501262678482602),
            (HistogramDistance(.chiSquare), 0.09475732781097418),
        ]
        for (metric, expected) in numbers {
            let value = try metric(prediction, against: reference)
            #expect(abs(value - expected) < 1e-7 * expected, "\(metric.name): \(value); expected \(expected)")
        }
    }

    @Test func theMeanOfTheMapIsTheValue() throws {
        for metric in [SSIM(), SSIM(window: .gaussian(sigma: 1.5)), SSIM(plane: .coronal)] {
            let map = try metric.map(prediction, against: reference)
            let values = map.voxels.filter { !$0.isNaN }.map { Double($0) }
            #expect(map.grid == reference.grid && values.count < map.voxels.count)
            let mean = values.reduce(0, +) / Double(values.count)
            #expect(abs(try metric(prediction, against: reference) - mean) < 1e-6)
        }
        var holed = prediction
        holed[20, 18, 16] = .nan
        let map = try SSIM().map(holed, against: reference)
        #expect(map[23, 18, 16].isNaN && !map[24, 18, 16].isNaN && !map[20, 18, 12].isNaN)
    }

    @Test func gradientsAreThoseOfALinearVolume() throws {
        let grid = VoxelGrid(shape: [5, 6, 7], spacing: [1, 2, 0.5])
        func ramp(_ slope: SIMD3<Float>) -> Volume {
            var volume = Volume(grid: grid)
            for z in 0..<7 {
                for y in 0..<6 {
                    for x in 0..<5 {
                        volume[x, y, z] = slope.x * Float(x) + slope.y * 2 * Float(y) + slope.z * Float(z) / 2
                    }
                }
            }
            return volume
        }
        let value = try GradientError()(ramp([3, 4, 0]), against: ramp([0, 0, 2]))
        #expect(abs(value - 3) < 1e-5)
    }
}
