import Foundation
import StyleKeys
import TestSupport
import Testing
import VolumeMetrics
import VolumePhantoms

/// What each subject is, and what it depends on.
struct PhantomCohortTests {
    /// A cohort of any settings on a small grid.
    private func cohort(_ generator: inout SeededGenerator) -> PhantomCohort {
        PhantomCohort(
            seed: generator.next(),
            shape: [
                generator.size(in: 8...24), generator.size(in: 8...24), generator.size(in: 8...24),
            ],
            spacing: Bool.random(using: &generator) ? nil : Double.random(in: 2...12, using: &generator),
            source: PhantomSource.allCases.randomElement(using: &generator)!,
            deformation: Double.random(in: 0...2, using: &generator))
    }

    @Test func aSubjectIsAFunctionOfItsNumber() async {
        await checkLaw(cases: 12) { generator in
            let cohort = cohort(&generator)
            let numbers = (0..<4).map { _ in Int.random(in: 0...10_000, using: &generator) }
            let alone = numbers.map(cohort.subject)
            let together = await withTaskGroup(of: (Int, PhantomSubject).self) { group in
                for (place, number) in numbers.enumerated().reversed() {
                    group.addTask { (place, cohort.subject(number)) }
                }
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            for (place, subject) in alone.enumerated() {
                let other = try #require(together[place])
                try #require(subject.source == other.source && subject.target == other.target)
                try #require(subject.mask == other.mask && subject.style == other.style)
            }
        }
    }

    @Test func seedsAndNumbersMakeOtherSubjects() {
        let cohort = PhantomCohort(seed: 3, shape: [20, 24, 24])
        var other = cohort
        other.seed = 4
        let subjects = [cohort.subject(0), cohort.subject(1), other.subject(0)]
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            #expect(subjects[a].mask != subjects[b].mask)
            #expect(subjects[a].style != subjects[b].style)
        }
    }

    @Test func aPairIsOnOneGridAndInRange() async {
        await checkLaw(cases: 25) { generator in
            let cohort = cohort(&generator)
            let subject = cohort.subject(Int.random(in: 0...99, using: &generator))
            let grid = subject.source.grid
            try #require(grid == cohort.grid && subject.target.grid == grid && subject.mask.grid == grid)
            try #require(grid.orientation == .ras)
            let middle = grid.world(atVoxel: (SIMD3<Double>(grid.shape) - 1) / 2)
            try #require(abs(middle.x) + abs(middle.y) + abs(middle.z) < 1e-9)
            let range: ClosedRange<Float> = cohort.source == .head ? -1024...3071 : 0...80
            for (index, mask) in subject.mask.voxels.enumerated() {
                let (source, target) = (subject.source.voxels[index], subject.target.voxels[index])
                try #require(range.contains(source) && target.isFinite && target >= 0)
                try #require(mask == 1 || mask == 0 && target == 0)
                if cohort.source == .brain { try #require(mask == 1 || source == 0) }
            }
        }
    }

    @Test func theHeadFitsTheGrid() async {
        await checkLaw(cases: 12) { generator in
            let cohort = PhantomCohort(seed: generator.next(), shape: [48, 56, 56], source: .head)
            let subject = cohort.subject(0)
            let (shape, voxel) = (cohort.grid.shape, cohort.grid.spacing.x)
            // What the skulls of adults hold, about.
            let litres = Double(subject.mask.voxels.reduce(0, +)) * voxel * voxel * voxel * 1e-6
            try #require((1.1...2.1).contains(litres), "\(litres)")
            // The brain touches no side of the grid; nor does the head, but for the neck below and a little skin.
            var skin = 0
            for z in 0..<shape.z {
                for y in 0..<shape.y {
                    for x in 0..<shape.x
                    where x == 0 || y == 0 || z == 0 || x == shape.x - 1 || y == shape.y - 1 || z == shape.z - 1
                    {
                        try #require(subject.mask[x, y, z] == 0)
                        if z > shape.z / 2, subject.source[x, y, z] > -500 { skin += 1 }
                    }
                }
            }
            try #require(skin < 60, "\(skin) of \(shape.z / 2 * (shape.x + shape.y) * 2)")
        }
    }

    @Test func tissuesHaveTheirNumbersOnCT() async {
        await checkLaw(cases: 2) { generator in
            let cohort = PhantomCohort(
                seed: generator.next(), shape: [90, 106, 106], acquisition: .ideal, source: .head)
            let subject = cohort.subject(0)
            /// The mean CT number where the ideal target is of a level.
            func number(_ level: Float) -> Float {
                let values = zip(subject.target.voxels, subject.source.voxels)
                    .filter { abs($0.0 - level) < 0.5 }.map(\.1)
                return values.reduce(0, +) / Float(values.count)
            }
            let (white, grey, fluid) = (800, Float(800 * 0.68), Float(800 * 0.25))
            try #require(abs(number(Float(white)) - 28) < 0.5)
            try #require(abs(number(grey) - 37) < 0.5)
            try #require(abs(number(fluid) - 5) < 1)
            try #require(subject.source.intensityRange == -1000...1100)
        }
    }

    @Test func stylesAreDrawnFromTheirRanges() async {
        await checkLaw(cases: 50) { generator in
            var acquisition = PhantomAcquisition()
            let low = Double.random(in: 0.1...1, using: &generator)
            acquisition.contrastExponent = low...low + Double.random(in: 0...1, using: &generator)
            acquisition.sourceNoise = 3...3
            let cohort = PhantomCohort(seed: generator.next(), shape: [8, 8, 8], acquisition: acquisition)
            let style = cohort.subject(Int.random(in: 0...999, using: &generator)).style
            try #require(acquisition.contrastExponent.contains(style.contrastExponent))
            try #require(style.sourceNoise == 3)
            try #require(
                acquisition.greyLevel.contains(style.greyLevel) && acquisition.bias.contains(style.bias))
        }
    }

    /// Style keys of subjects imaged in styles of their own lie farther apart than their anatomies put them.
    @Test func styleVariesFromSubjectToSubject() throws {
        func spread(_ acquisition: PhantomAcquisition) throws -> Double {
            let cohort = PhantomCohort(seed: 5, shape: [36, 40, 40], acquisition: acquisition)
            let keys = try (0..<6).map { try StyleKey(of: cohort.subject($0).target) }
            var sum = 0.0
            for a in 0..<6 { for b in 0..<a { sum += try keys[a].distance(to: keys[b]) } }
            return sum / 15
        }
        // The contrast alone does it, without noise or bias.
        let drawn = PhantomAcquisition()
        var contrasts = PhantomAcquisition.ideal
        (contrasts.fluidLevel, contrasts.greyLevel) = (drawn.fluidLevel, drawn.greyLevel)
        contrasts.contrastExponent = drawn.contrastExponent
        let (one, many) = (try spread(.ideal), try spread(contrasts))
        #expect(many > 2 * one, "\(many) against \(one)")
    }

    @Test func slicesDisagreeAsTheAcquisitionSays() throws {
        func difference(_ change: (inout PhantomAcquisition) -> Void) throws -> Double {
            var acquisition = PhantomAcquisition.ideal
            change(&acquisition)
            let cohort = PhantomCohort(seed: 6, shape: [36, 40, 40], acquisition: acquisition)
            let subject = cohort.subject(0)
            return try SliceConsistency(.difference, plane: .axial)(
                subject.target, against: subject.target, mask: subject.mask)
        }
        let clean = try difference { _ in }
        #expect(try difference { $0.sliceGain = 0.1...0.1 } > 1.05 * clean)
        #expect(try difference { $0.noise = 0.1...0.1 } > 1.05 * clean)
        #expect(try difference { $0.sliceThickness = 2...2 } < 0.8 * clean)
    }

    /// The ideal target is left alone but for a factor in each slice.
    @Test func aSliceHasOneGain() throws {
        var acquisition = PhantomAcquisition.ideal
        let grid: SIMD3<Int> = [36, 40, 40]
        let clean = PhantomCohort(seed: 7, shape: grid, acquisition: acquisition).subject(2).target
        acquisition.sliceGain = 0.05...0.05
        let spoiled = PhantomCohort(seed: 7, shape: grid, acquisition: acquisition).subject(2).target
        var gains: [Float] = []
        for z in 0..<grid.z {
            let ratios = zip(spoiled.slice(z), clean.slice(z)).filter { $1 > 0 }.map { $0 / $1 }
            guard let low = ratios.min(), let high = ratios.max() else { continue }
            #expect(high - low < 1e-5)
            gains.append(low)
        }
        let mean = gains.reduce(0, +) / Float(gains.count)
        let variance = gains.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Float(gains.count)
        #expect((0.03...0.07).contains(variance.squareRoot()))
    }
}

struct PhantomDescriptionTests {
    @Test func subjectsAreDescribedByTheirGrid() {
        let cohort = PhantomCohort(seed: 3, shape: [8, 8, 8], spacing: 25)
        #expect("\(cohort)" == "phantom cohort with seed 3, 8 x 8 x 8 voxels of 25 x 25 x 25 mm, RAS")
        let text = "\(cohort.subject(1))"
        #expect(text.hasPrefix("phantom subject 1\n  source: 8 x 8 x 8 voxels") && text.count < 300, "\(text)")
        let error: any Error = PhantomError.noBrain
        #expect(error.localizedDescription == "\(error)")
    }
}
