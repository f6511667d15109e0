import Foundation
import TestSupport
import Testing
import VolumePhantoms
import VoxelSupport

/// One subject in several contrasts.
struct PhantomContrastTests {
    /// The bytes of cohorts, which never change.
    @Test func seedsGiveTheBytesTheyAlwaysGave() {
        func fingerprint(_ source: PhantomSource) -> UInt64 {
            let cohort = PhantomCohort(seed: 11, shape: [48, 56, 56], source: source)
            var fingerprint = Fingerprint()
            for number in 0..<3 {
                let subject = cohort.subject(number)
                for volume in [subject.source, subject.target, subject.mask] {
                    fingerprint.combine(volume.voxels)
                }
            }
            return fingerprint.value
        }
        #expect(fingerprint(.window) == 8_206_100_335_649_817_678)
        #expect(fingerprint(.head) == 3_657_298_676_954_502_951)
        #expect(fingerprint(.brain) == 16_329_580_964_166_640_716)
    }

    @Test func ctAndT1AreTheSourceAndTheTarget() async {
        await checkLaw(cases: 8) { generator in
            let source = PhantomSource.allCases.randomElement(using: &generator)!
            let cohort = PhantomCohort(seed: generator.next(), shape: [20, 24, 22], source: source)
            let number = Int.random(in: 0...99, using: &generator)
            let (subject, images) = (
                cohort.subject(number), cohort.images(of: number, in: PhantomContrast.allCases)
            )
            try #require(images[.ct] == subject.source && images[.t1] == subject.target)
            try #require(images.mask == subject.mask && images.style == subject.style)
            // An image does not depend on which others are asked for.
            let contrast = PhantomContrast.allCases.randomElement(using: &generator)!
            let alone = cohort.images(of: number, in: [contrast])
            try #require(alone.volumes.count == 1 && alone[contrast] == images[contrast])
            for contrast in [PhantomContrast.t1, .t2, .flair, .pd] {
                let image = try #require(images[contrast])
                try #require(image.grid == cohort.grid)
                for (value, mask) in zip(image.voxels, images.mask.voxels) {
                    try #require(value.isFinite && value >= 0 && (mask == 1 || value == 0))
                }
            }
        }
    }

    /// The mean levels of the tissues, found on an ideal T1 image.
    private struct Levels {
        let fluid, grey, white: Float

        init(_ contrast: PhantomContrast, of images: PhantomImages) {
            func mean(_ level: Float) -> Float {
                let values = zip(images[.t1]!.voxels, images[contrast]!.voxels)
                    .filter { abs($0.0 - level) < 0.5 }.map(\.1)
                return values.reduce(0, +) / Float(values.count)
            }
            (fluid, grey, white) = (mean(800 * 0.25), mean(800 * 0.68), mean(800))
        }
    }

    @Test func tissuesHaveTheOrderOfTheirContrast() async {
        await checkLaw(cases: 2) { generator in
            let cohort = PhantomCohort(seed: generator.next(), shape: [90, 106, 106], acquisition: .ideal)
            let images = cohort.images(of: 0, in: PhantomContrast.allCases)
            let (t2, flair, pd) = (
                Levels(.t2, of: images), Levels(.flair, of: images), Levels(.pd, of: images)
            )
            for levels in [t2, flair, pd] { try #require(abs(levels.white - 800) < 1, "\(levels)") }
            try #require(t2.fluid > 2 * t2.grey && t2.grey > 1.2 * t2.white, "\(t2)")
            try #require(flair.fluid < 0.02 * flair.white && flair.grey > 1.08 * flair.white, "\(flair)")
            try #require(pd.fluid > pd.grey && pd.grey > 1.05 * pd.white && pd.fluid < 1.5 * pd.white, "\(pd)")
            // The spin-echo equation by hand, from the times in milliseconds: TR 4000, TE 100.
            func signal(_ density: Double, _ t1: Double, _ t2: Double) -> Double {
                density * (1 - exp(-4000 / t1)) * exp(-100 / t2)
            }
            let expected = signal(1, 2569, 329) / signal(0.77, 500, 70)
            try #require(abs(Double(t2.fluid / t2.white) / expected - 1) < 0.01, "\(t2), \(expected)")
        }
    }

    /// Lesions are of white matter: dark on T1, bright on T2 and brightest on FLAIR; and nothing else changes.
    @Test func lesionsAreBrightWhereFluidIsSuppressed() throws {
        func images(_ lesions: ClosedRange<Int>) -> PhantomImages {
            var acquisition = PhantomAcquisition.ideal
            acquisition.lesions = lesions
            return PhantomCohort(seed: 5, shape: [72, 84, 84], acquisition: acquisition)
                .images(of: 0, in: PhantomContrast.allCases)
        }
        let (healthy, sick) = (images(0...0), images(6...6))
        let changed = healthy.mask.voxels.indices.filter {
            healthy[.flair]!.voxels[$0] != sick[.flair]!.voxels[$0]
        }
        #expect((20...5000).contains(changed.count), "\(changed.count)")
        for index in changed {
            #expect(sick[.flair]!.voxels[index] > healthy[.flair]!.voxels[index])
            #expect(sick[.t2]!.voxels[index] > healthy[.t2]!.voxels[index])
            #expect(sick[.t1]!.voxels[index] < healthy[.t1]!.voxels[index])
            #expect(healthy[.t1]!.voxels[index] > 800 * 0.25)
        }
        let brightest = try #require(
            sick[.flair]!.voxels.indices.max { sick[.flair]!.voxels[$0] < sick[.flair]!.voxels[$1] })
        #expect(changed.contains(brightest))
        #expect(sick[.flair]!.voxels[brightest] > 1.5 * 800)
        #expect(healthy.mask == sick.mask)
    }

    /// Each contrast has noise and a bias field of its own.
    @Test func artefactsOfContrastsAreIndependent() throws {
        let shape: SIMD3<Int> = [40, 46, 46]
        func ratios(_ change: (inout PhantomAcquisition) -> Void) -> [PhantomContrast: [Float]] {
            var acquisition = PhantomAcquisition.ideal
            let clean = PhantomCohort(seed: 8, shape: shape, acquisition: acquisition)
                .images(of: 3, in: PhantomContrast.allCases)
            change(&acquisition)
            let spoiled = PhantomCohort(seed: 8, shape: shape, acquisition: acquisition)
                .images(of: 3, in: PhantomContrast.allCases)
            return Dictionary(
                uniqueKeysWithValues: [PhantomContrast.t1, .t2, .pd].map { contrast in
                    let pairs = zip(spoiled[contrast]!.voxels, clean[contrast]!.voxels)
                    return (contrast, pairs.filter { $1 > 0 }.map { $0 / $1 - 1 })
                })
        }
        let changes: [(inout PhantomAcquisition) -> Void] = [
            { ($0.bias, $0.t2.bias, $0.protonDensity.bias) = (0.3...0.3, 0.3...0.3, 0.3...0.3) },
            { ($0.noise, $0.t2.noise, $0.protonDensity.noise) = (0.03...0.03, 0.03...0.03, 0.03...0.03) },
        ]
        for change in changes {
            let ratios = ratios(change)
            for (a, b) in [(PhantomContrast.t1, PhantomContrast.t2), (.t1, .pd), (.t2, .pd)] {
                let (x, y) = (ratios[a]!, ratios[b]!)
                try #require(x.count == y.count && x.count > 1000)
                func dot(_ x: [Float], _ y: [Float]) -> Double {
                    zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) }
                }
                #expect(dot(x, y) / (dot(x, x) * dot(y, y)).squareRoot() < 0.9)
            }
        }
    }

    @Test func imagesAreDescribedALineEach() {
        let text = "\(PhantomCohort(seed: 3, shape: [8, 8, 8], spacing: 25).images(of: 1, in: [.pd, .t2]))"
        #expect(
            text.hasPrefix("phantom subject 1\n  t2: 8 x 8 x 8 voxels") && text.contains("\n  pd: "), "\(text)")
    }
}
