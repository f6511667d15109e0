import Preprocessing
import TestSupport
import Testing
import VolumeIO
import VolumePhantoms

/// Cohorts about a real brain.
struct AnatomyTests {
    /// A skull-stripped T1 image and the CT number of each of its voxels.
    private let phantom = PhantomCohort(
        seed: 8, shape: [64, 76, 76], acquisition: .ideal, source: .head
    ).subject(0)

    /// How well two masks agree: twice what they share over what they hold.
    private func dice(_ a: Volume, _ b: Volume) -> Float {
        let shared = zip(a.voxels, b.voxels).map { $0 * $1 }.reduce(0, +)
        return 2 * shared / (a.voxels.reduce(0, +) + b.voxels.reduce(0, +))
    }

    /// An undeformed subject of an anatomy, its brain in the middle of a grid like another volume's.
    private func undeformed(_ anatomy: PhantomAnatomy, over reference: Volume) -> PhantomSubject {
        PhantomCohort(
            seed: 1, shape: reference.shape, spacing: reference.grid.spacing.x, anatomy: anatomy,
            acquisition: .ideal, source: .head, deformation: 0
        ).subject(0)
    }

    @Test func tissuesComeFromTheImage() throws {
        let subject = undeformed(try PhantomAnatomy(t1: phantom.target), over: phantom.target)
        let count = { (volume: Volume, range: ClosedRange<Float>) in
            Float(volume.voxels.count { range.contains($0) })
        }
        // As much grey and white matter as in the image, between the levels of the ideal contrast.
        for range: ClosedRange<Float> in [400...672, 672...900] {
            let share = count(subject.target, range) / count(phantom.target, range)
            #expect((0.8...1.25).contains(share), "\(share)")
        }
        let size = subject.mask.voxels.reduce(0, +) / phantom.mask.voxels.reduce(0, +)
        #expect((0.95...1.15).contains(size), "\(size)")
        // A skull was added, of which a voxel of 3 mm holds a part; and none in the brain.
        #expect(subject.source.intensityRange.upperBound > 600)
        #expect(zip(subject.source.voxels, subject.mask.voxels).allSatisfy { $1 == 0 || $0 < 400 })
    }

    @Test func theBrainIsCutOutOfAWholeHead() throws {
        // Skin, fat and muscle shine on T1, and bone is dark.
        var whole = phantom.target
        for index in whole.voxels.indices where phantom.mask.voxels[index] == 0 {
            let number = phantom.source.voxels[index]
            whole.voxels[index] = (-150 ... -30).contains(number) ? 850 : (30...120).contains(number) ? 450 : 20
        }
        for index in whole.voxels.indices where phantom.source.voxels[index] < -500 { whole.voxels[index] = 0 }
        let stripped = undeformed(try PhantomAnatomy(t1: phantom.target), over: phantom.target)
        let found = undeformed(try PhantomAnatomy(t1: whole), over: phantom.target)
        let agreement = dice(stripped.mask, found.mask)
        #expect(agreement > 0.9, "\(agreement)")
    }

    @Test func noBrainIsNoAnatomy() {
        let grid = VoxelGrid(shape: [20, 20, 20], spacing: [4, 4, 4])
        #expect(throws: PhantomError.noBrain) { try PhantomAnatomy(t1: Volume(grid: grid)) }
        #expect(throws: PhantomError.noBrain) { try PhantomAnatomy(t1: Volume(grid: grid, repeating: 7)) }
        var dot = Volume(grid: grid)
        dot[3, 4, 5] = 1
        #expect(throws: PhantomError.noBrain) { try PhantomAnatomy(t1: dot) }
    }

    @Test(.enabled(if: Fixtures.hasData, Fixtures.missingData))
    func aRealBrainFillsTheGrid() throws {
        let t1 = try Volume(contentsOf: Fixtures.data("colin27_t1_2mm.nii.gz"))
        let cohort = PhantomCohort(
            seed: 2, shape: [40, 48, 40], anatomy: try PhantomAnatomy(t1: t1), source: .head)
        let subject = cohort.subject(0)
        let voxel = cohort.grid.spacing.x
        let litres = Double(subject.mask.voxels.reduce(0, +)) * voxel * voxel * voxel * 1e-6
        #expect((1.2...2.2).contains(litres), "\(litres)")
        #expect(subject.source.intensityRange.upperBound > 500)
    }

    @Test func distancesAreThoseOfASearch() async {
        await checkLaw(cases: 40) { generator in
            let grid = VoxelGrid(
                shape: [generator.size(in: 1...7), generator.size(in: 1...7), generator.size(in: 1...7)])
            let share = Float.random(in: 0...0.3, using: &generator)
            let members = (0..<grid.count).map { _ in Float.random(in: 0...1, using: &generator) < share }
            let places = (0..<grid.count).map {
                SIMD3(
                    Float($0 % grid.shape.x), Float($0 / grid.shape.x % grid.shape.y),
                    Float($0 / grid.shape.x / grid.shape.y))
            }
            for (place, found) in zip(places, distanceMap(to: members, shape: grid.shape)) {
                let expected =
                    zip(places, members).filter(\.1)
                    .map { (($0.0 - place) * ($0.0 - place)).sum().squareRoot() }.min() ?? .infinity
                try #require(found == expected || abs(found - expected) < 1e-5)
            }
        }
    }
}
