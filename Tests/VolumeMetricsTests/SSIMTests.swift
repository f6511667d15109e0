import Foundation
import TestSupport
import Testing
import VolumeMetrics
import Volumes

@Suite struct SSIMTests {
    @Test func uniformWindowFollowsItsDefinition() async {
        await checkLaw(cases: 30) { generator in
            let width = [3, 5, 7].randomElement(using: &generator)!
            let (prediction, reference) = randomPair(least: width, using: &generator)
            let weights = [Double](repeating: 1, count: width)
            let expected = directSSIM(
                prediction, reference, weights: [weights, weights, weights], sampleCovariance: true, range: 2
            ) { _ in true }
            let value = try SSIM(window: .uniform(width: width), dataRange: .fixed(2))(
                prediction, against: reference)
            try #require(abs(value - expected) < 1e-10)
        }
    }

    @Test func gaussianWindowFollowsItsDefinition() async {
        await checkLaw(cases: 10) { generator in
            let (prediction, reference) = randomPair(least: 7, using: &generator)
            // Sigma 0.8 is cut at 3 voxels.
            let weights = (-3...3).map { exp(-Double($0 * $0) / (2 * 0.64)) }
            let expected = directSSIM(
                prediction, reference, weights: [weights, weights, weights], sampleCovariance: false, range: 1
            ) { _ in true }
            let value = try SSIM(window: .gaussian(sigma: 0.8), dataRange: .fixed(1))(
                prediction, against: reference)
            try #require(abs(value - expected) < 1e-10)
        }
    }

    @Test(arguments: SlicePlane.allCases)
    func slicesAreJudgedOneByOne(plane: SlicePlane) async {
        await checkLaw(cases: 10) { generator in
            let (prediction, reference) = randomPair(least: 5, using: &generator)
            let flat = (0..<3).map { axis in
                [Double](repeating: 1, count: axis == plane.worldAxis ? 1 : 5)
            }
            let expected = directSSIM(prediction, reference, weights: flat, sampleCovariance: true, range: 1) {
                _ in true
            }
            let value = try SSIM(window: .uniform(width: 5), dataRange: .fixed(1), plane: plane)(
                prediction, against: reference)
            try #require(abs(value - expected) < 1e-10)
        }
    }

    @Test func maskChoosesTheWindowsCentres() async {
        await checkLaw(cases: 20) { generator in
            let (prediction, reference) = randomPair(least: 3, using: &generator)
            let mask = Volume(
                grid: reference.grid, voxels: generator.floats(reference.grid.count, in: -1...1))
            let weights = [1.0, 1, 1]
            let expected = directSSIM(
                prediction, reference, weights: [weights, weights, weights], sampleCovariance: true, range: 1
            ) { mask[$0.x, $0.y, $0.z] > 0 }
            guard expected.isFinite else { return }
            let value = try SSIM(window: .uniform(width: 3), dataRange: .fixed(1))(
                prediction, against: reference, mask: mask)
            try #require(abs(value - expected) < 1e-10)
        }
    }

    @Test func equalVolumesAreWhollyAlike() async {
        await checkLaw(cases: 20) { generator in
            let (volume, other) = randomPair(least: 7, using: &generator)
            try #require(abs(try SSIM()(volume, against: volume) - 1) < 1e-12)
            let value = try SSIM(dataRange: .fixed(1))(other, against: volume)
            try #require(try value < 1 && value == SSIM(dataRange: .fixed(1))(other, against: volume))
        }
    }

    @Test func runningSumsKeepTheirDigitsOverALongVolume() throws {
        // Bright voxels pass through the sums and leave flat ground behind them.
        var volume = Volume(grid: VoxelGrid(shape: [9, 9, 4000]), repeating: 1)
        for z in 0..<200 { volume[4, 4, z] = 3000 }
        var other = volume
        other[4, 4, 3990] = 1.5
        let value = try SSIM(dataRange: .fixed(1))(other, against: volume)
        // 3 x 3 x 7 windows hold the voxel; all others are equal in both volumes.
        let samples = 343.0
        let (mean, meanOfSquares) = ((342 + 1.5) / samples, (342 + 2.25) / samples)
        let variance = samples / (samples - 1) * (meanOfSquares - mean * mean)
        let (c1, c2) = (0.0001, 0.0009)
        let local = (2 * mean + c1) * c2 / ((mean * mean + 1 + c1) * (variance + c2))
        let windows = 3.0 * 3 * 3994
        #expect(abs(value - (windows - 63 * (1 - local)) / windows) < 1e-9)
    }

    @Test func refusesVolumesSmallerThanTheWindow() {
        let volume = Volume(grid: VoxelGrid(shape: [7, 9, 6]))
        let range = DataRange.fixed(1)
        #expect(
            throws: MetricError.smallerThanWindow(metric: "ssim_range1", shape: [7, 9, 6], window: [7, 7, 7])
        ) { try SSIM(dataRange: range)(volume, against: volume) }
        #expect(throws: Never.self) { try SSIM(dataRange: range, plane: .axial)(volume, against: volume) }
        #expect(
            throws: MetricError.smallerThanWindow(
                metric: "ssim_coronal_range1", shape: [7, 9, 6], window: [7, 1, 7])
        ) { try SSIM(dataRange: range, plane: .coronal)(volume, against: volume) }
        #expect(throws: MetricError.zeroNormaliser(metric: "ssim", normaliser: "the range of the reference")) {
            try SSIM()(volume, against: volume)
        }
    }

    @Test func refusesAMaskThatNoWindowIsCentredOn() throws {
        var mask = Volume(grid: VoxelGrid(shape: [9, 9, 9]))
        mask[0, 4, 4] = 1
        let volume = Volume(grid: mask.grid, repeating: 1)
        #expect(throws: MetricError.emptyMask(metric: "ssim_range1")) {
            try SSIM(dataRange: .fixed(1))(volume, against: volume, mask: mask)
        }
        mask[3, 4, 5] = 1
        #expect(try SSIM(dataRange: .fixed(1))(volume, against: volume, mask: mask) == 1)
    }

    @Test func namesTellSettingsApart() {
        #expect(SSIM().name == "ssim")
        #expect(SSIM(window: .uniform(width: 5), plane: .axial).name == "ssim_uniform5_axial")
        #expect(SSIM(window: .gaussian(sigma: 1.5)).name == "ssim_gaussian1.5")
        #expect(SSIM(dataRange: .fixed(2), scales: 5).name == "ms_ssim_range2")
    }
}

/// Two volumes of noise that share a part, of a few voxels more than `least` each way.
func randomPair(least: Int, using generator: inout SeededGenerator) -> (Volume, Volume) {
    let extra = (0..<3).map { _ in Int.random(in: 0...5, using: &generator) }
    let grid = VoxelGrid(shape: [least + extra[0], least + extra[1], least + extra[2]])
    let reference = generator.floats(grid.count, in: 0...1)
    let noise = generator.floats(grid.count, in: -0.2...0.2)
    return (
        Volume(grid: grid, voxels: zip(reference, noise).map { $0 + $1 }), Volume(grid: grid, voxels: reference)
    )
}

/// The mean of S window by window, straight from the definition.
private func directSSIM(
    _ prediction: Volume, _ reference: Volume, weights: [[Double]], sampleCovariance: Bool, range: Double,
    isCounted: (SIMD3<Int>) -> Bool
) -> Double {
    let extent = SIMD3(weights[0].count, weights[1].count, weights[2].count)
    let samples = Double(extent.x * extent.y * extent.z)
    let scale = sampleCovariance ? samples / (samples - 1) : 1
    let (c1, c2) = (pow(0.01 * range, 2), pow(0.03 * range, 2))
    var (total, count) = (0.0, 0)
    for z in 0...reference.shape.z - extent.z {
        for y in 0...reference.shape.y - extent.y {
            for x in 0...reference.shape.x - extent.x where isCounted([x, y, z] &+ extent / 2) {
                func mean(_ value: (Double, Double) -> Double) -> Double {
                    var (sum, norm) = (0.0, 0.0)
                    for k in 0..<extent.z {
                        for j in 0..<extent.y {
                            for i in 0..<extent.x {
                                let weight = weights[0][i] * weights[1][j] * weights[2][k]
                                let (p, r) = (prediction[x + i, y + j, z + k], reference[x + i, y + j, z + k])
                                sum += weight * value(Double(p), Double(r))
                                norm += weight
                            }
                        }
                    }
                    return sum / norm
                }
                let (p, r) = (mean { p, _ in p }, mean { _, r in r })
                let varianceP = scale * mean { value, _ in (value - p) * (value - p) }
                let varianceR = scale * mean { _, value in (value - r) * (value - r) }
                let covariance = scale * mean { ($0 - p) * ($1 - r) }
                total +=
                    (2 * p * r + c1) * (2 * covariance + c2)
                    / ((p * p + r * r + c1) * (varianceP + varianceR + c2))
                count += 1
            }
        }
    }
    return total / Double(count)
}
