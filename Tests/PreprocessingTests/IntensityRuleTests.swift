import Foundation
import TestSupport
import Testing
import Volumes
import VoxelSupport

@testable import Preprocessing

/// A head in cross-section: `outside` around a ball of tissue from 100 to 200.
private func ball(outside: Float, noise: Float = 0, using generator: inout SeededGenerator) -> Volume {
    var volume = Volume(grid: VoxelGrid(shape: [20, 22, 18]), repeating: outside)
    for z in 0..<18 {
        for y in 0..<22 {
            for x in 0..<20 {
                let place = SIMD3(Float(x) - 9.5, Float(y) - 10.5, Float(z) - 8.5)
                let isInside = (place * place).sum() < 49
                if isInside { volume[x, y, z] = Float.random(in: 100...200, using: &generator) }
                if !isInside, noise > 0 {
                    volume[x, y, z] += Float.random(in: -noise...noise, using: &generator)
                }
            }
        }
    }
    return volume
}

/// Laws of the rules, on random volumes.
struct IntensityRuleTests {
    private func randomRule(_ generator: inout SeededGenerator) -> IntensityRule {
        switch Int.random(in: 0..<5, using: &generator) {
        case 0:
            let low = Double.random(in: -1000...100, using: &generator)
            return .window(IntensityWindow(low, low + Double.random(in: 1...2000, using: &generator)))
        case 1:
            let low = Double.random(in: 0...49, using: &generator)
            return .percentiles(low: low, high: Double.random(in: 50...100, using: &generator))
        case 2: return .minMax
        case 3: return .zScore(deviations: Double.random(in: 0.5...5, using: &generator))
        default: return .histogram(generator.floats(9, in: 0.1...1))
        }
    }

    @Test func aRuleFittedIsAppliedAndInverted() async {
        await checkLaw(cases: 200) { generator in
            let (gain, offset) = (
                Float.random(in: 0.01...1e4, using: &generator), Float.random(in: -1e3...1e3, using: &generator)
            )
            let volume = ball(outside: 0, using: &generator).map { $0 * gain + offset }
            let rule = randomRule(&generator)
            guard let fit = try? IntensityFit(RescaleIntensity(rule), to: volume) else {
                // A window may leave nothing; it must not be refused.
                if case .window = rule { throw CancellationError() }
                return
            }
            try #require(fit.scaled.voxels.allSatisfy { (0...1).contains($0) })
            let ordered = zip(volume.voxels, fit.scaled.voxels).sorted { $0.0 < $1.0 }
            try #require(
                zip(ordered, ordered.dropFirst()).allSatisfy { $0.1 <= $1.1 || $0.1 == 0 || $1.1 == 0 })
            let extent = Float(fit.scale.range.upperBound - fit.scale.range.lowerBound)
            let inside = zip(volume.voxels, fit.scaled.voxels).filter { $1 > 0.01 && $1 < 0.99 }
            for (intensity, scaled) in inside {
                let back = fit.scale.inverse(scaled)
                // Between the ends of a histogram's map the inverse is as steep as the map is flat.
                if case .histogram = rule {
                    try #require(abs(fit.scale(back) - scaled) < 1e-4)
                } else {
                    try #require(abs(back - intensity) <= 1e-5 * max(extent, abs(intensity)))
                }
            }
        }
    }

    /// Gain and offset of a scanner do not matter, but for a window.
    @Test func gainAndOffsetDoNotMatter() async {
        await checkLaw(cases: 50) { generator in
            let rule = randomRule(&generator)
            if case .window = rule { return }
            let volume = ball(outside: 0, using: &generator)
            let gain = Float.random(in: 0.1...50, using: &generator)
            let other = volume.map { $0 * gain - 300 * gain }
            let results = try [volume, other].map { try RescaleIntensity(rule).apply(to: $0).volume.voxels }
            try #require(largestDifference(results[0], results[1]) < 2e-4)
        }
    }

    /// One hot voxel of thousands moves no tissue by more than its share of the percentiles.
    @Test func oneHotVoxelMovesNoTissue() async {
        await checkLaw(cases: 100) { generator in
            let volume = ball(outside: 0, using: &generator)
            var hot = volume
            let index = volume.voxels.indices.filter { volume.voxels[$0] > 0 }.randomElement(using: &generator)!
            hot.voxels[index] =
                Float.random(in: 1e3...1e9, using: &generator) * (Bool.random(using: &generator) ? 1 : -1)
            for rule in [IntensityRule.percentiles(), .window(IntensityWindow(90, 210))] {
                var results = try [volume, hot].map { try RescaleIntensity(rule).apply(to: $0).volume.voxels }
                for i in 0...1 { results[i].remove(at: index) }
                try #require(largestDifference(results[0], results[1]) < 0.005)
            }
            // From the least to the greatest it moves all of it, and is warned of.
            let fit = try IntensityFit(RescaleIntensity(.minMax), to: hot)
            try #require(fit.warnings.contains { if case .fewVoxelsSetTheRange = $0 { true } else { false } })
        }
        var generator = SeededGenerator(seed: 3)
        let fit = try? IntensityFit(RescaleIntensity(.minMax), to: ball(outside: 0, using: &generator))
        #expect(fit?.warnings.isEmpty == true)
    }

    /// Whatever is outside, and whoever says so, the inside is scaled alike.
    @Test func theOutsideDoesNotMatter() async {
        await checkLaw(cases: 50) { generator in
            let volume = ball(outside: 0, using: &generator)
            let mask = ForegroundMask(of: volume)
            var rule = randomRule(&generator)
            if case .minMax = rule { rule = .window(IntensityWindow(50, 250)) }
            // Percentiles may begin at the background where it is near; at 300 below it is not.
            let outsides: [Float] = [-1000, -300, .nan]
            let expected = try IntensityFit(
                RescaleIntensity(rule), to: mask.clearingBackground(of: volume, to: -5000))
            for outside in outsides {
                let other = mask.clearingBackground(of: volume, to: outside)
                let steps = [
                    try IntensityFit(RescaleIntensity(rule), to: other),
                    try IntensityFit(RescaleIntensity(rule), to: other, mask: mask),
                ]
                for fit in steps {
                    try #require(fit.scaled.voxels == expected.scaled.voxels, "\(rule), \(outside)")
                }
            }
        }
    }

    @Test func noSignalIsZeroWhereTheBackgroundIsNear() throws {
        var generator = SeededGenerator(seed: 1)
        let fit = try IntensityFit(RescaleIntensity(), to: ball(outside: 40, noise: 3, using: &generator))
        #expect(abs(fit.scale.range.lowerBound - 40) < 1 && abs(fit.scale.range.upperBound - 200) < 1)
        let tissue = ball(outside: 0, using: &generator).voxels.map { $0 > 0 }
        #expect(fit.scaled[0, 0, 0] == 0 && fit.foreground.isForeground == tissue)
        let far = try IntensityFit(RescaleIntensity(), to: ball(outside: -1000, using: &generator))
        #expect(abs(far.scale.range.lowerBound - 100) < 1)
    }

    @Test func theDistributionBecomesTheHistogram() throws {
        var generator = SeededGenerator(seed: 5)
        let volume = ball(outside: 0, using: &generator)
        let shares: [Float] = [1, 0, 0, 3, 2, 0, 0, 4]
        let fit = try IntensityFit(RescaleIntensity(.histogram(shares)), to: volume)
        var counts = [Float](repeating: 0, count: 8)
        for value in fit.scaled.voxels where value > 0 { counts[min(Int((value - 0.001) / 0.999 * 8), 7)] += 1 }
        let total = counts.reduce(0, +)
        for (count, share) in zip(counts, shares) { #expect(abs(count / total - share / 10) < 0.01) }
    }

    /// Of a foreground of one intensity, as in a mask, the range begins at the background.
    @Test func aForegroundOfOneIntensityIsOne() throws {
        var volume = Volume(grid: VoxelGrid(shape: [4, 4, 4]))
        volume[1, 1, 1] = 5
        #expect(try RescaleIntensity().apply(to: volume).volume[1, 1, 1] == 1)
    }

    @Test func thereMustBeARange() throws {
        let grid = VoxelGrid(shape: [3, 3, 3])
        for rule in [IntensityRule.percentiles(), .minMax, .zScore()] {
            #expect {
                try RescaleIntensity(rule).apply(to: Volume(grid: grid, repeating: 7))
            } throws: { "\($0)" == "every voxel of the volume is 7.0; expected a range of intensities" }
        }
        let far = PreprocessingError.constantVolume(0x1p40)
        #expect("\(far)".contains("differences below 131072 are lost at 32 bits"))
        let nothing = ForegroundMask(above: 0, in: Volume(grid: grid))
        var generator = SeededGenerator(seed: 1)
        #expect {
            try IntensityFit(
                RescaleIntensity(), to: .random(shape: grid.shape, using: &generator), mask: nothing)
        } throws: { if case PreprocessingError.emptyMask = $0 { true } else { false } }
    }

    // MARK: As text

    @Test func rulesAreReadAsTheyAreWritten() async {
        await checkLaw(cases: 100) { generator in
            let rule = randomRule(&generator)
            let json = try JSONEncoder().encode([rule])
            try #require(try JSONDecoder().decode([IntensityRule].self, from: json) == [rule])
            if case .histogram = rule { return }
            try #require(try IntensityRule("\(rule)") == rule)
            let step = RescaleIntensity(rule, background: .atMost(Double.random(in: -9...9, using: &generator)))
            try #require(
                try JSONDecoder().decode(RescaleIntensity.self, from: JSONEncoder().encode(step)) == step)
        }
    }

    @Test func rulesHaveShortForms() throws {
        #expect(try IntensityRule("window:brain") == .window(IntensityWindow(0, 80)))
        #expect(try IntensityRule("window:-160, 240") == .window(.softTissue))
        #expect(try IntensityRule("percentiles") == .percentiles(low: 0.1, high: 99.9))
        #expect(try IntensityRule("z-score") == .zScore(deviations: 3))
        #expect("\(IntensityRule.percentiles())" == "percentiles:0.1,99.9")
        #expect(try Background("-1024") == .value(-1024) && Background("below:-500") == .atMost(-500))
        for text in [
            "", "window", "window:", "window:80,0", "window:1,2,3", "window:nan,1", "percentiles:-1,50",
            "percentiles:0,101",
            "minmax", "z-score:0", "unit:1",
        ] {
            #expect(throws: IntensityRuleError.self, "\(text)") { try IntensityRule(text) }
        }
        #expect(throws: IntensityRuleError.self) { try Background("dark") }
    }
}

/// Exact quantiles without sorting.
struct OrderStatisticsTests {
    @Test func quantilesAreThoseOfTheSortedValues() async {
        await checkLaw(cases: 200) { generator in
            let count = generator.size(in: 1...400)
            let scale = Float.random(in: 1e-6...1e6, using: &generator)
            // Many equal values, and values of either sign.
            var values = generator.floats(count, in: -3...9).map { ($0 * 4).rounded() / 4 * scale }
            let sorted = values.sorted()
            values += [.nan, .infinity, -.infinity]
            values.shuffle(using: &generator)
            let fractions = (0..<5).map { _ in Double.random(in: 0...1, using: &generator) } + [0, 1]
            let found = try #require(OrderStatistics(values).quantiles(fractions))
            for (fraction, quantile) in zip(fractions, found) {
                let place = fraction * Double(count - 1)
                let (low, high) = (sorted[Int(place)], sorted[min(Int(place) + 1, count - 1)])
                let expected = Double(low) + (place - place.rounded(.down)) * (Double(high) - Double(low))
                try #require(quantile == expected)
            }
        }
        #expect(OrderStatistics([.nan]).quantile(0.5) == nil)
    }
}
