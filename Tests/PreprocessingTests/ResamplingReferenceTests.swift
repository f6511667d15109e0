@testable import Preprocessing
import TestSupport
import Testing
import VolumeIO

/// Resampling against SciPy 1.15, inside the outermost voxels' centres: outside SciPy has zero, where a volume here reaches
/// half a voxel farther.
struct ResamplingReferenceTests {
    @Test(.enabled(if: Fixtures.hasReference, Fixtures.missingReference), arguments: Interpolation.allCases)
    func aShearedVolumeOnAnotherGrid(interpolation: Interpolation) throws {
        let moving = try Volume(contentsOf: Fixtures.reference("resample_moving.nii.gz"))
        let order = [.nearest: 0, .linear: 1, .cubic: 3][interpolation]!
        let expected = try Volume(contentsOf: Fixtures.reference("resample_order\(order).nii.gz"))
        let found = moving.resampled(onto: expected.grid, interpolation: interpolation, antialiasing: .none)
        let last = SIMD3<Double>(moving.shape &- 1)
        var differences: [Float] = []
        for z in 0..<found.shape.z {
            for y in 0..<found.shape.y {
                for x in 0..<found.shape.x {
                    let world = found.grid.world(atVoxel: [Double(x), Double(y), Double(z)])
                    let voxel = moving.grid.voxel(atWorld: world)
                    guard all(voxel .> 1e-6), all(voxel .< last - 1e-6) else { continue }
                    differences.append(abs(found[x, y, z] - expected[x, y, z]))
                }
            }
        }
        #expect(differences.count > 20_000)
        let range = expected.intensityRange
        let allowed = 1e-5 * (range.upperBound - range.lowerBound)
        let share = Double(differences.count { $0 <= allowed }) / Double(differences.count)
        // Of order 0, places halfway between two voxels may go either way.
        #expect(interpolation == .nearest ? share > 0.999 : share == 1, "\(differences.max()!)")
    }

    /// One line of voxels along an axis, at positions along it.
    private func values(
        _ samples: [Float], axis: Int, at positions: [Double], deviation: Double = 0
    ) -> [Float] {
        var shape = SIMD3(1, 1, 1)
        shape[axis] = samples.count
        let block = VoxelBlock(shape: shape, values: samples)
        if deviation > 0 {
            return block.filtered(AxisFilter(count: samples.count, gaussian: deviation), along: axis).values
        }
        let filter = AxisFilter(count: samples.count, positions: positions, interpolation: .cubic)
        return block.filtered(filter, along: axis).values
    }

    @Test(arguments: 0..<3)
    func cubicSplinesOfShortLines(axis: Int) {
        func check(_ samples: [Float], at positions: [Double], are expected: [Float]) {
            #expect(largestDifference(values(samples, axis: axis, at: positions), expected) < 2e-5)
        }
        check(
            [0, 0, 5, 1, 0, 3, 9, 2, 2, 7], at: [0, 0.3, 2.5, 4.75, 8.6, 9],
            are: [0, -0.22178, 3.639262, 1.623176, 5.753009, 7])
        check([2, 7], at: [0, 0.25, 0.5, 1], are: [2, 2.78125, 4.5, 7])
        check([2, 7, 1], at: [0, 0.25, 1.5, 2], are: [2, 2.81640625, 3.90625, 1])
        check([4], at: [0, 0.4], are: [4, 4])
    }

    @Test(arguments: 0..<3)
    func theGaussianOfARatio(axis: Int) {
        let deviation = Antialiasing.gaussian.standardDeviation(squaredRatio: 2.5 * 2.5)
        #expect(abs(deviation - 0.97302036) < 1e-6)
        let smoothed = values([0, 0, 5, 1, 0, 3, 9, 2, 2, 7], axis: axis, at: [], deviation: deviation)
        #expect(
            largestDifference(
                smoothed,
                [
                    0.251469, 1.258784, 2.303209, 1.799703, 1.668608, 3.580225, 5.027494, 4.000988, 3.825455,
                    5.549855,
                ]) < 1e-5)
    }
}
