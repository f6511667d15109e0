import Foundation
import StyleKeys
import TestSupport
import Testing
import Volumes

/// A volume of one row.
private func row(_ voxels: [Float]) -> Volume {
    Volume(grid: VoxelGrid(shape: [voxels.count, 1, 1]), voxels: voxels)
}

/// From the least to the greatest intensity.
private let minMax = RescaleIntensity(.minMax)

private func randomKey(bins: Int, using generator: inout SeededGenerator) throws -> StyleKey {
    // Squares and cubes of even draws, so that keys differ in shape.
    let power = Float.random(in: 1...3, using: &generator)
    let voxels = generator.floats(300, in: 0...1).map { Float(pow(Double($0), Double(power))) }
    return try StyleKey(of: row(voxels), bins: bins, intensities: RescaleIntensity(.unit))
}

@Suite struct StyleKeyTests {
    @Test func followsItsDefinition() throws {
        // Four bins over [0.001, 1]: edges at 0.001, 0.25075, 0.5005, 0.75025, 1.
        let key = try StyleKey(of: row([0, 0, 0.1, 0.2, 0.3, 0.9, 1]), bins: 4, intensities: minMax)
        #expect(key.histogram == [4, 2, 0, 4])
        #expect(key.cumulative == [4, 6, 6, 10])
        #expect(key.difference == [-20, -20, -20, 40])
        #expect(key.tokens == [4, 2, 0, 4, 4, 6, 6, 10, -20, -20, -20, 40])
        #expect(key.bins == 4)
    }

    @Test func scalesByTheRule() throws {
        let raw = try StyleKey(of: row([0.2, 0.3, 0.4]), bins: 4, intensities: RescaleIntensity(.unit))
        #expect(raw.histogram.map { ($0 * 3).rounded() } == [10, 20, 0, 0])
        let scaled = try StyleKey(of: row([-1000, 0, 1000]), bins: 4, intensities: minMax)
        #expect(scaled.histogram == [0, 5, 0, 5])
        // A window clips, and counts what it clips at its upper end.
        let window = RescaleIntensity(.window(IntensityWindow(0, 80)))
        #expect(
            try StyleKey(of: row([-1000, 30, 50, 70, 3000]), bins: 4, intensities: window).histogram == [
                0, 2.5, 2.5, 5,
            ])
    }

    @Test func resamplingHasALimit() throws {
        let volume = Volume(
            grid: VoxelGrid(shape: [2, 2, 2], spacing: [500, 500, 500]), voxels: (0..<8).map(Float.init))
        let error = #expect(throws: StyleKeyError.self) {
            try StyleKey(of: volume, resampling: Resample(spacing: 0.1))
        }
        #expect(error?.description.contains("choose a larger spacing") == true)
    }

    @Test func edgesDecideWhereTheDivisionRoundsAcrossThem() throws {
        // Thousandths of the range, and 999 bins whose edges are the thousandths but for rounding.
        let step = (1.0 - 0.001) / 999
        let edges = (0..<999).map { Double($0) * step + 0.001 } + [1]
        var counts = [Int](repeating: 0, count: 999)
        for thousandth in 1...1000 {
            let intensity = Double(thousandth) / 1000
            guard let bin = edges.lastIndex(where: { $0 <= intensity }) else { continue }
            counts[min(bin, 998)] += 1
        }
        let key = try StyleKey(of: row((0...1000).map(Float.init)), bins: 999, intensities: minMax)
        let total = counts.reduce(0, +)
        #expect(key.histogram == counts.map { Float(Double($0) / Double(total) * 10) })
        #expect(
            try StyleKey(of: row([1]), bins: 999, intensities: RescaleIntensity(.unit)).histogram.last == 10)
    }

    /// Bins are those of comparisons in 64 bits, however coarse the stored numbers are.
    @Test func everyVoxelIsInItsBin() async {
        await checkLaw(cases: 40) { generator in
            let (offset, range) =
                [(0, 1), (30_000, 300), (-1e6, 10), (5, 1e-3)].randomElement(using: &generator)!
                as (Float, Float)
            let bins = [2, 7, 64, 128, 1000].randomElement(using: &generator)!
            var voxels = generator.floats(400, in: 0...1).map { $0 * range + offset }
            if Bool.random(using: &generator) { voxels = voxels.map { ($0 * 16 / range).rounded() } }
            guard let low = voxels.min(), let high = voxels.max(), low < high else { return }
            let step = (1 - 0.001) / Double(bins)
            let edges = (0..<bins).map { Double($0) * step + 0.001 } + [1]
            var counts = [Int](repeating: 0, count: bins)
            for voxel in voxels {
                let intensity = (Double(voxel) - Double(low)) / (Double(high) - Double(low))
                guard let bin = edges.lastIndex(where: { $0 <= intensity }) else { continue }
                counts[min(bin, bins - 1)] += 1
            }
            let total = Double(counts.reduce(0, +))
            let key = try StyleKey(of: row(voxels), bins: bins, intensities: minMax)
            try #require(key.histogram == counts.map { Float(Double($0) / total * 10) })
        }
    }

    @Test func leavesOutBackgroundAndWhatIsNotFinite() throws {
        let clean = try StyleKey(of: row([0, 0.5, 1]), intensities: minMax)
        let dirty = try StyleKey(of: row([0, .nan, 0.5, .infinity, 1, -.infinity, 0, 0]), intensities: minMax)
        #expect(clean == dirty)
    }

    @Test func refusesAVolumeOfBackground() {
        let error = StyleKeyError.nothingButBackground(voxels: 3, rule: .minMax)
        #expect(throws: error) { try StyleKey(of: row([7, 7, 7]), intensities: minMax) }
        #expect(throws: error) { try StyleKey(of: row([.nan, .nan, .infinity]), intensities: minMax) }
        #expect(throws: StyleKeyError.nothingButBackground(voxels: 2, rule: .unit)) {
            try StyleKey(of: row([0, 1.01]), intensities: RescaleIntensity(.unit))
        }
        #expect(throws: StyleKeyError.tooFewBins(1)) { try StyleKey(of: row([0, 1]), bins: 1) }
    }

    @Test func tokensFollowFromOneAnother() async {
        await checkLaw { generator in
            let bins = Int.random(in: 2...200, using: &generator)
            let key = try randomKey(bins: bins, using: &generator)
            try #require(abs(key.histogram.reduce(0, +) - 10) < 1e-4)
            try #require(abs(key.cumulative.last! - 10) < 1e-6)
            try #require(key.difference[0] == key.difference[1])
            for bin in 1..<bins {
                let step = key.histogram[bin] - key.histogram[bin - 1]
                try #require(abs(key.cumulative[bin] - key.cumulative[bin - 1] - key.histogram[bin]) < 1e-5)
                try #require(abs(key.difference[bin] - 10 * step) < 1e-4)
            }
        }
    }

    @Test func scalingOfIntensitiesDoesNotChangeTheKey() async {
        await checkLaw { generator in
            // Powers of two keep every intensity exact.
            let voxels = generator.floats(200, in: 0...1).map { ($0 * 256).rounded() }
            let gain = Float(sign: .plus, exponent: Int.random(in: -10...10, using: &generator), significand: 1)
            let scaled = voxels.map { $0 * gain + gain * 64 }
            try #require(
                try StyleKey(of: row(voxels), intensities: minMax)
                    == StyleKey(of: row(scaled), intensities: minMax))
        }
    }

    @Test func averageIsTheMeanOfEachToken() async throws {
        await checkLaw { generator in
            let keys = try (0..<5).map { _ in try randomKey(bins: 16, using: &generator) }
            let average = try StyleKey(averaging: keys)
            let mean = (0..<48).map { index in keys.reduce(0) { $0 + $1.tokens[index] } / 5 }
            try #require(largestDifference(average.tokens, mean) < 1e-4)
            try #require(try StyleKey(averaging: [keys[0]]) == keys[0])
        }
        let narrow = try StyleKey(of: row([0, 1]), bins: 8)
        let wide = try StyleKey(of: row([0, 1]), bins: 16)
        #expect(throws: StyleKeyError.noKeys) { try StyleKey(averaging: []) }
        #expect(throws: StyleKeyError.binsDiffer(8, 16)) { try StyleKey(averaging: [narrow, wide]) }
        #expect(throws: StyleKeyError.binsDiffer(16, 8)) { try wide.distance(to: narrow) }
    }

    @Test func distanceIsTheShiftOfIntensity() throws {
        // One voxel each, 32 bins of 128 apart: a quarter of the range [0.001, 1].
        let dark = try StyleKey(of: row([0.25]), intensities: RescaleIntensity(.unit))
        let bright = try StyleKey(of: row([0.5]), intensities: RescaleIntensity(.unit))
        let bins = Double(bright.histogram.firstIndex(of: 10)! - dark.histogram.firstIndex(of: 10)!)
        #expect(bins == 32)
        #expect(abs(try dark.distance(to: bright) - 0.999 * bins / 128) < 1e-7)
    }

    @Test func distanceIsAMetric() async {
        await checkLaw { generator in
            let a = try randomKey(bins: 64, using: &generator)
            let b = try randomKey(bins: 64, using: &generator)
            let c = try randomKey(bins: 64, using: &generator)
            try #require(try a.distance(to: a) == 0)
            try #require(try a.distance(to: b) == b.distance(to: a))
            try #require(try a.distance(to: c) <= a.distance(to: b) + b.distance(to: c) + 1e-12)
        }
    }
}

@Suite struct StyleKeyFileTests {
    @Test func fileGivesBackTheSameBits() async {
        await checkLaw(cases: 20) { generator in
            let key = try StyleKey(
                histogram: generator.floats(128), cumulative: generator.floats(128),
                difference: generator.floats(128, in: -1e30...1e30))
            try withTemporaryFolder { folder in
                let file = folder.appending(path: "key.json")
                try Data("older".utf8).write(to: file)
                try key.write(to: file)
                try #require(try StyleKey(contentsOf: file) == key)
                try #require(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["key.json"])
            }
        }
    }

    @Test func takesTokensThatDoNotFollowFromOneAnother() throws {
        let json = #"{"comment": "T1", "histogram": [1, 2], "cumulative": [-4, 0.5], "difference": [0, 7e2]}"#
        let key = try JSONDecoder().decode(StyleKey.self, from: Data(json.utf8))
        #expect(key.tokens == [1, 2, -4, 0.5, 0, 700])
    }

    @Test(arguments: [
        (
            #"{"histogram": [1, 2], "cumulative": [1, 3]}"#,
            "difference: found no such field; expected an array"
        ),
        (#"{"histogram": [1, 2], "cumulative": [1], "difference": [1, 2]}"#, #"1 in "cumulative" and"#),
        (#"{"histogram": [1], "cumulative": [1], "difference": [1]}"#, "at least 2 bins"),
        (
            #"{"histogram": [1, "a"], "cumulative": [1, 3], "difference": [1, 2]}"#,
            "histogram[1]: found \"a\"; expected a number"
        ),
        (
            #"{"histogram": [1, null], "cumulative": [1, 3], "difference": [1, 2]}"#,
            "histogram[1]: found null; expected a number"
        ),
        (
            #"{"histogram": [1, 2], "cumulative": 3, "difference": [1, 2]}"#,
            "cumulative: found 3; expected an array"
        ),
        (
            #"{"histogram": [1, 1e60], "cumulative": [1, 3], "difference": [1, 2]}"#,
            "found inf in histogram[1] of a style key"
        ),
        ("[1, 2]", "found an array; expected an object"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
    ])
    func saysWhatIsWrongWithAFile(json: String, complaint: String) throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "bad.json")
            try Data(json.utf8).write(to: file)
            let error = #expect(throws: StyleKeyError.self) { try StyleKey(contentsOf: file) }
            let message = try #require(error).description
            #expect(message.contains(file.path) && message.contains(complaint), "\(message)")
        }
    }

    @Test func namesAFileThatIsMissingOrCannotBeWritten() throws {
        let key = try StyleKey(of: row([0, 1]))
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "none/key.json")
            let unread = #expect(throws: StyleKeyError.self) { try StyleKey(contentsOf: file) }
            #expect(unread?.description.contains(file.path) == true)
            let unwritten = #expect(throws: StyleKeyError.self) { try key.write(to: file) }
            #expect(unwritten?.description.contains(file.path) == true)
        }
    }

    @Test func refusesTokensThatAreNotNumbers() {
        #expect(throws: StyleKeyError.self) {
            try StyleKey(histogram: [1, 2], cumulative: [1, .nan], difference: [0, 0])
        }
    }
    @Test func pathsAreTakenAsText() throws {
        let key = try StyleKey(of: row([0, 1]))
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "key.json").path
            try key.write(to: path)
            #expect(try StyleKey(contentsOf: path) == key)
        }
    }

    @Test func aKeyIsDescribedInOneLine() throws {
        let key = try StyleKey(of: row([0, 1]), intensities: minMax)
        let other = try StyleKey(of: row([0, 0.5, 1]), intensities: minMax)
        #expect("\(key)".hasPrefix("style key of 128 bins ("))
        #expect("\(key)" != "\(other)" && String(reflecting: key) == "\(key)")
        var dumped = ""
        dump(key, to: &dumped)
        #expect(dumped.count < 200, "\(dumped)")
    }

    @Test func errorsAreLocalized() {
        let error: any Error = StyleKeyError.noKeys
        #expect(error.localizedDescription == "\(error)")
    }
}
