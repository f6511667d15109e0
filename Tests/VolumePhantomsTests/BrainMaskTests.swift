import Preprocessing
import TestSupport
import Testing
import VolumeIO
import VolumePhantoms

/// The brain in a CT of a whole head.
struct BrainMaskTests {
    private func dice(_ mask: ForegroundMask, _ truth: [Bool]) -> Double {
        let both = zip(mask.isForeground, truth).count { $0 && $1 }
        return 2 * Double(both) / Double(mask.isForeground.count { $0 } + truth.count { $0 })
    }

    @Test(arguments: 0..<5)
    func theBrainOfASyntheticHeadIsFound(number: Int) throws {
        let cohort = PhantomCohort(seed: 41, shape: [74, 90, 90], spacing: 2.7, source: .head)
        let subject = cohort.subject(number)
        let truth = subject.mask.voxels.map { $0 > 0 }
        let mask = try ForegroundMask.brain(inCT: subject.source)
        #expect(dice(mask, truth) > 0.97, "\(dice(mask, truth))")
        // In other units, padded with NaN, on thick slices that run the other way.
        let unsigned = subject.source.map { $0 + 1024 }
        #expect(dice(try ForegroundMask.brain(inCT: unsigned), truth) > 0.97)
        #expect(try CTNumbers(unsigned).conversion?.contains("not HU") == true)
        let clinical = subject.source.map {
            $0 < -100 ? $0 + 1000 : $0 < 100 ? ($0 + 100) * 11 + 900 : $0 + 3000
        }
        #expect(dice(try ForegroundMask.brain(inCT: clinical), truth) > 0.97)
        let thick = try PreprocessingPipeline([Reorient(to: Orientation(code: "LPS")!)]).apply(
            to: subject.source
        ).volume.everyOther
        let thickTruth = try PreprocessingPipeline([Reorient(to: Orientation(code: "LPS")!)]).apply(
            to: subject.mask
        ).volume.everyOther
        #expect(dice(try ForegroundMask.brain(inCT: thick), thickTruth.voxels.map { $0 > 0 }) > 0.96)
    }

    @Test(.enabled(if: Fixtures.hasData, Fixtures.missingData))
    func theTemplatesBrainIsFound() throws {
        let template = try Volume(contentsOf: Fixtures.data("ct_template_2mm.nii.gz"))
        let stripped = try Volume(contentsOf: Fixtures.data("ct_template_brain_2mm.nii.gz"))
        // An average of stripped heads: the brain of half of the people, at half of its level of 2600.
        let mask = try ForegroundMask.brain(inCT: template)
        #expect(dice(mask, stripped.voxels.map { $0 > 1300 }) > 0.95)
    }

    /// The phantom in the scanner is a skull without a brain.
    @Test(.enabled(if: Fixtures.hasData, Fixtures.missingData))
    func aHeadWithoutABrainIsRefused() throws {
        let phantom = try Volume(contentsOf: Fixtures.data("ct_head_oblique.nii.gz"))
        #expect {
            try ForegroundMask.brain(inCT: phantom)
        } throws: { "\($0)".contains("0.03 litres of soft tissue") }
    }

    @Test func whatIsNoHeadIsRefused() {
        for value in [Float(0), -1000, 40, .nan] {
            let volume = Volume(grid: VoxelGrid(shape: [12, 12, 12], spacing: [3, 3, 3]), repeating: value)
            #expect(throws: PreprocessingError.self) { try ForegroundMask.brain(inCT: volume) }
        }
    }
}

extension Volume {
    /// Every other slice, twice as thick.
    fileprivate var everyOther: Volume {
        var affine = grid.affine
        affine = Affine(
            columns: affine.columns.x, affine.columns.y, affine.columns.z * 2, translation: affine.translation)
        let slices = stride(from: 0, to: shape.z, by: 2)
        return Volume(
            grid: VoxelGrid(shape: [shape.x, shape.y, (shape.z + 1) / 2], affine: affine),
            voxels: slices.flatMap { slice($0) })
    }
}
