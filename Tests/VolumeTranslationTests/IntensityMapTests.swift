import TestSupport
import Testing
import VoxelBridge

/// The laws of histogram matching.
struct IntensityMapTests {
    /// Random intensities from -1 to 1 with some background, spread evenly or crowded at the dark end.
    private func randomSource(_ generator: inout SeededGenerator, count: Int = 4000) -> Volume {
        let isCrowded = Bool.random(using: &generator)
        let voxels = generator.floats(count, in: 0...1).enumerated().map { index, value in
            index % 5 == 0 ? -1 : 2 * (0.002 + 0.998 * (isCrowded ? value * value : value)) - 1
        }
        return Volume(grid: VoxelGrid(shape: [count, 1, 1]), voxels: voxels)
    }

    /// A style of so many bins, many of them empty.
    private func randomStyle(_ generator: inout SeededGenerator) throws -> StyleKey {
        let bins = Int.random(in: 2...200, using: &generator)
        var histogram = generator.floats(bins, in: 0...1)
        for bin in histogram.indices where Bool.random(using: &generator) { histogram[bin] = 0 }
        histogram[Int.random(in: 0..<bins, using: &generator)] = 1
        return try style(histogram)
    }

    private func style(_ histogram: [Float]) throws -> StyleKey {
        var sum: Float = 0
        let cumulative = histogram.map { share in
            sum += share
            return sum
        }
        let scale = 10 / sum
        return try StyleKey(
            histogram: histogram.map { $0 * scale }, cumulative: cumulative.map { $0 * scale },
            difference: histogram)
    }

    /// The distribution of intensities from -1 to 1.
    private func key(of volume: Volume, bins: Int) throws -> StyleKey {
        try StyleKey(of: volume.map { ($0 + 1) / 2 }, bins: bins, intensities: RescaleIntensity(.unit))
    }

    @Test func isMonotoneAndStaysInRange() async {
        await checkLaw(cases: 200) { generator in
            let map = try IntensityMap(
                from: randomSource(&generator, count: 500), to: randomStyle(&generator))
            let images = stride(from: Float(-1.2), through: 1.2, by: 0.0007).map { map($0) }
            try #require(images.allSatisfy { (-1...1).contains($0) })
            try #require(zip(images, images.dropFirst()).allSatisfy { $0 <= $1 })
        }
    }

    @Test func backgroundStaysToTheBit() async {
        await checkLaw { generator in
            let map = try IntensityMap(
                from: randomSource(&generator, count: 100), to: randomStyle(&generator))
            for background in [-1, -1.5, 2 * Float(0.0009) - 1] { try #require(map(background) == -1) }
            // The foreground does not become background: styles begin at 0.001.
            try #require(map(2 * 0.002 - 1) >= 2 * 0.001 - 1)
        }
    }

    @Test func theDistributionBecomesTheStyles() async {
        await checkLaw(cases: 200) { generator in
            let source = randomSource(&generator)
            let style = try randomStyle(&generator)
            let map = try IntensityMap(from: source, to: style)
            let mapped = source.map { map($0) }
            let distance = try key(of: mapped, bins: style.bins).distance(to: style)
            // Within an interval of its table the map takes the source to be spread evenly.
            try #require(distance < 0.01)
        }
    }

    @Test func aStyleOfTheSourceItselfChangesLittle() async {
        await checkLaw { generator in
            let source = randomSource(&generator)
            let map = try IntensityMap(from: source, to: key(of: source, bins: 128))
            let binWidth: Float = 2 / 128
            let change = largestDifference(source.voxels.map { map($0) }, source.voxels)
            try #require(change <= 1.5 * binWidth)
        }
    }

    /// A style of one intensity is a flat picture, darkest voxels included.
    @Test(arguments: [0, 1, 63, 126, 127])
    func aStyleOfOneBinGivesThatBinAlone(bin: Int) throws {
        var histogram = [Float](repeating: 0, count: 128)
        histogram[bin] = 10
        var generator = SeededGenerator(seed: 5)
        let source = randomSource(&generator)
        let map = try IntensityMap(from: source, to: style(histogram))
        func edge(_ bin: Int) -> Float { 2 * (0.001 + 0.999 * Float(bin) / 128) - 1 }
        let images = source.voxels.filter { $0 > -1 }.map { map($0) }
        #expect(images.min()! >= edge(bin) - 1e-6)
        #expect(images.max()! <= edge(bin + 1) + 1e-6)
    }

    @Test func stylesThatAreNoHistogramAreRefused() throws {
        var generator = SeededGenerator(seed: 6)
        let source = randomSource(&generator)
        let negative = try StyleKey(histogram: [3, -1, 8], cumulative: [3, 2, 10], difference: [0, 0, 0])
        let empty = try StyleKey(histogram: [0, 0], cumulative: [0, 0], difference: [0, 0])
        for style in [negative, empty] {
            #expect {
                try IntensityMap(from: source, to: style)
            } throws: { error in
                guard case TranslationError.styleIsNoHistogram = error else { return false }
                return "\(error)".contains("\"histogram\"")
            }
        }
    }

    @Test func aSourceOfBackgroundAloneIsRefused() throws {
        let source = Volume(grid: VoxelGrid(shape: [4, 4, 4]), repeating: -1)
        let style = try style([1, 1])
        #expect(throws: StyleKeyError.nothingButBackground(voxels: 64, rule: .unit)) {
            try IntensityMap(from: source, to: style)
        }
    }
}
