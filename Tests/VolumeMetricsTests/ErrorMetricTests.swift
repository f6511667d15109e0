import Foundation
import TestSupport
import Testing
import VolumeMetrics
import Volumes

private func row(_ voxels: [Float]) -> Volume {
    Volume(grid: VoxelGrid(shape: [voxels.count, 1, 1]), voxels: voxels)
}

@Suite struct ErrorMetricTests {
    private let prediction = row([1, 2, 5, 0])
    private let reference = row([1, 4, 4, 2])

    @Test func followTheirDefinitions() throws {
        func value(_ metric: some VolumeMetric) throws -> Double { try metric(prediction, against: reference) }
        #expect(try value(MAE()) == 1.25)
        #expect(try value(MSE()) == 2.25)
        #expect(try value(RMSE()) == 1.5)
        #expect(try value(NMSE()) == 9.0 / 37)
        #expect(try abs(value(NRMSE()) - (9.0 / 37).squareRoot()) < 1e-15)
        #expect(try value(NRMSE(.minMax)) == 0.5)
        #expect(try value(NRMSE(.mean)) == 1.5 / 2.75)
        #expect(try value(NRMSE(.predictionRange)) == 0.3)
        #expect(try abs(value(PSNR()) - 20 * log10(2)) < 1e-12)
        #expect(try abs(value(PSNR(dataRange: .fixed(15))) - 20) < 1e-12)
    }

    @Test func lookInTheMaskAlone() async {
        let metrics: [any VolumeMetric] =
            [MAE(), MSE(), NMSE(), PSNR(dataRange: .fixed(1))] + NRMSE.Normalisation.allCases.map { NRMSE($0) }
        await checkLaw { generator in
            let reference = generator.floats(50)
            let prediction = generator.floats(50)
            let mask = [Float](repeating: 1, count: 5) + generator.floats(45)
            let inside = mask.indices.filter { mask[$0] > 0 }
            // What lies outside need not even be a number.
            let soiled = zip(prediction, mask).map { $1 > 0 ? $0 : .nan }
            for metric in metrics {
                let whole = try metric(row(soiled), against: row(reference), mask: row(mask))
                let part = try metric(
                    row(inside.map { prediction[$0] }), against: row(inside.map { reference[$0] }))
                try #require(abs(whole - part) <= 1e-12 * abs(part), "\(metric.name)")
            }
        }
    }

    @Test func leaveOutNaN() throws {
        let value = try MAE()(row([1, .nan, 5, 0]), against: row([1, 4, .nan, 2]))
        #expect(value == 1)
        let facts = try PairFacts(of: row([1, .nan, 5, 0]), against: row([1, 4, .nan, 2]))
        #expect(facts.voxels == 2 && facts.leftOut == 2)
    }

    @Test func aMaskDoesNotChangeTheDataRange() throws {
        let mask = row([1, 1, 0, 0])
        let value = try PSNR()(row([1, 3, 0, 0]), against: row([1, 2, 5, 11]), mask: mask)
        #expect(abs(value - 10 * log10(100 / 0.5)) < 1e-12)
    }

    @Test func areRelatedAsTheirNamesSay() async {
        await checkLaw { generator in
            let (prediction, reference) = (row(generator.floats(60)), row(generator.floats(60)))
            let root = try MSE()(prediction, against: reference).squareRoot()
            try #require(try MAE()(prediction, against: reference) <= root)
            let euclidean = try NRMSE()(prediction, against: reference)
            try #require(abs(try NMSE()(prediction, against: reference) - euclidean * euclidean) < 1e-12)
            let relative = try NRMSE(.minMax)(prediction, against: reference)
            try #require(abs(try PSNR()(prediction, against: reference) + 20 * log10(relative)) < 1e-9)
        }
    }

    @Test func equalVolumesHaveNoError() throws {
        for metric in [MAE(), MSE(), NMSE(), NRMSE()] as [any VolumeMetric] {
            #expect(try metric(reference, against: reference) == 0)
        }
        #expect(try PSNR()(reference, against: reference) == .infinity)
    }

    @Test func sayWhyTheyHaveNoValue() {
        #expect(throws: MetricError.shapesDiffer(prediction: [4, 1, 1], reference: [2, 1, 1])) {
            try MAE()(prediction, against: row([1, 2]))
        }
        #expect(throws: MetricError.maskShapeDiffers(mask: [3, 1, 1], volumes: [4, 1, 1])) {
            try MSE()(prediction, against: reference, mask: row([1, 1, 1]))
        }
        #expect(throws: MetricError.emptyMask(metric: "nmse")) {
            try NMSE()(prediction, against: reference, mask: row([0, -1, .nan, 0]))
        }
        #expect(throws: MetricError.notFinite(metric: "mae")) {
            try MAE()(row([1, 2, .infinity, 3]), against: reference)
        }
        #expect(
            throws: MetricError.zeroNormaliser(
                metric: "nrmse_euclidean", normaliser: "the norm of the reference")
        ) {
            try NRMSE()(prediction, against: row([0, 0, 0, 0]))
        }
        #expect(throws: MetricError.zeroNormaliser(metric: "psnr", normaliser: "the range of the reference")) {
            try PSNR()(prediction, against: row([3, 3, 3, 3]))
        }
        #expect(throws: MetricError.nothingButNaN(metric: "mae")) {
            try MAE()(row([.nan, .nan, 0, 0]), against: reference, mask: row([1, 1, 0, 0]))
        }
        let message = MetricError.shapesDiffer(prediction: [4, 1, 1], reference: [2, 1, 1]).description
        #expect(message.contains("4 x 1 x 1") && message.contains("2 x 1 x 1"))
    }
}

@Suite struct SliceConsistencyTests {
    @Test func isTheMeanStepBetweenSlices() throws {
        let grid = VoxelGrid(shape: [2, 1, 3])
        let prediction = Volume(grid: grid, voxels: [0, 1, 2, 1, 1, 4])
        let reference = Volume(grid: grid, voxels: [0, 0, 1, 1, 2, 2])
        func value(_ measure: SliceConsistency.Measure, _ plane: SlicePlane, mask: Volume? = nil) throws
            -> Double
        {
            try SliceConsistency(measure, plane: plane)(prediction, against: reference, mask: mask)
        }
        // Steps of the prediction from slice to slice: 2, 0, 1, 3; of the reference: 1 each.
        #expect(try value(.difference, .axial) == 1.5)
        #expect(try value(.error, .axial) == 0.5)
        #expect(try value(.difference, .sagittal) == 5.0 / 3)
        #expect(try value(.ratio, .axial) == 1.5)
        let mask = Volume(grid: grid, voxels: [1, 0, 1, 1, 0, 1])
        #expect(try value(.difference, .axial, mask: mask) == 2.5)
        #expect(
            throws: MetricError.smallerThanWindow(
                metric: "slice_difference_coronal", shape: [2, 1, 3], window: [1, 2, 1])
        ) { try value(.difference, .coronal) }
    }

    @Test func growsWithFlicker() async {
        await checkLaw(cases: 20) { generator in
            let (_, reference) = randomPair(least: 4, using: &generator)
            var flickering = reference
            for z in stride(from: 0, to: reference.shape.z, by: 2) {
                for y in 0..<reference.shape.y {
                    for x in 0..<reference.shape.x { flickering[x, y, z] += 2 }
                }
            }
            let axial = SliceConsistency(.error, plane: .axial)
            try #require(try axial(reference, against: reference) == 0)
            try #require(try axial(flickering, against: reference) > 0.5)
            // Whole slices move together, so other planes see nothing of it.
            let coronal = SliceConsistency(.error, plane: .coronal)
            try #require(abs(try coronal(flickering, against: reference)) < 1e-6)
        }
    }

    @Test func stripeEnergyIsThatOfTheGains() async {
        await checkLaw(cases: 20) { generator in
            let (_, reference) = randomPair(least: 7, using: &generator)
            // Gain and offset differ from slice to slice; the formula is applied to them directly.
            let slices = (0..<reference.shape.z).map { _ in
                (
                    Float.random(in: 0.8...1.2, using: &generator),
                    Float.random(in: -0.1...0.1, using: &generator)
                )
            }
            var striped = reference
            let area = reference.shape.x * reference.shape.y
            for index in striped.voxels.indices {
                let (gain, offset) = slices[index / area]
                striped.voxels[index] = gain * reference.voxels[index] + offset
            }
            let all = reference.voxels.map { Double($0) }
            let mean = all.reduce(0, +) / Double(all.count)
            let variance = all.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(all.count)
            var sum = 0.0
            for (k, (lower, upper)) in zip(slices, slices.dropFirst()).enumerated() {
                for index in k * area..<(k + 2) * area {
                    let change = Double(upper.0 - lower.0) * all[index] + Double(upper.1 - lower.1)
                    sum += change * change
                }
            }
            let expected = sum / Double(2 * area * (slices.count - 1)) / 2 / variance
            let found = try SliceConsistency(.stripeEnergy, plane: .axial)(striped, against: reference)
            try #require(abs(found - expected) < 1e-4 * expected)
            // A gain and an offset of the whole volume are no stripes.
            let whole = try SliceConsistency(.stripeEnergy, plane: .axial)(
                reference.map { 3 * $0 + 1 }, against: reference)
            try #require(whole < 1e-9)
        }
    }
}
