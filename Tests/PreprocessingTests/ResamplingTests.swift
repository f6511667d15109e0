import Foundation
@testable import Preprocessing
import TestSupport
import Testing

/// Laws of resampling, on random grids.
struct ResamplingTests {
    /// The value of a function at each voxel's place in the world.
    private func volume(on grid: VoxelGrid, _ value: (SIMD3<Double>) -> Double) -> Volume {
        var volume = Volume(grid: grid)
        for z in 0..<grid.shape.z {
            for y in 0..<grid.shape.y {
                for x in 0..<grid.shape.x {
                    volume[x, y, z] = Float(value(grid.world(atVoxel: [Double(x), Double(y), Double(z)])))
                }
            }
        }
        return volume
    }

    /// A voxel that is not a number makes its own neighbourhood NaN, and no more.
    @Test(arguments: Interpolation.allCases) func notANumberStaysWhereItIs(interpolation: Interpolation) async {
        await checkLaw(cases: 30) { generator in
            let source = randomGrid(&generator, extents: 4...12)
            var volume = Volume(grid: source, voxels: generator.floats(source.count, in: 1...2))
            let hole = Int.random(in: 0..<source.count, using: &generator)
            volume.voxels[hole] = .nan
            let target = randomGrid(&generator, extents: 4...12)
            let nearest = volume.map { $0.isNaN ? 1 : 0 }.resampled(onto: target, interpolation: .nearest)
            for outside in [Float(0), .nan] {
                let result = volume.resampled(
                    onto: target, interpolation: interpolation, outside: outside)
                let expected = volume.map { $0.isNaN ? 0 : $0 }.resampled(
                    onto: target, interpolation: interpolation, outside: outside)
                for (index, value) in result.voxels.enumerated() {
                    try #require(value.isNaN == (nearest.voxels[index] == 1 || expected.voxels[index].isNaN))
                }
            }
        }
    }

    /// Splines overshoot at edges; scaled intensities stay within [0, 1], in the prepared volume and on the way back.
    @Test func cubicInterpolationKeepsTheRangeOfScaledIntensities() async throws {
        let resample = Resample(spacing: 0.7, interpolation: .cubic)
        await checkLaw(cases: 20) { generator in
            let grid = VoxelGrid(shape: [12, 10, 11], spacing: [1, 1.2, 2])
            let steps = generator.floats(grid.count).map { $0 > 0.3 ? Float(70) : -900 }
            let source = Volume(grid: grid, voxels: steps)
            let bare = try resample.apply(to: source).volume.intensityRange
            try #require(bare.lowerBound < -900 && bare.upperBound > 70)
            let prepared = try PreprocessingPipeline([
                RescaleIntensity(.window(IntensityWindow(0, 80)), background: .lowest), resample,
            ]).apply(to: source)
            let range = prepared.volume.intensityRange
            try #require(range.lowerBound == 0 && range.upperBound == 70 / 80)
            let back = try prepared.restoreGrid(of: prepared.volume.map { $0 > 0.4 ? 1 : 0 }).intensityRange
            try #require(back.lowerBound >= 0 && back.upperBound <= 1)
        }
    }

    /// The largest difference between two volumes on one grid, at voxels whose place is `margin` voxels inside another
    /// grid.
    private func difference(_ a: Volume, _ b: Volume, inside grid: VoxelGrid, margin: Double = 0) -> Float {
        var largest: Float = 0
        let last = SIMD3<Double>(grid.shape &- 1) - margin
        for z in 0..<a.shape.z {
            for y in 0..<a.shape.y {
                for x in 0..<a.shape.x {
                    let place = grid.voxel(atWorld: a.grid.world(atVoxel: [Double(x), Double(y), Double(z)]))
                    guard all(place .>= margin - 1e-9), all(place .<= last + 1e-9) else { continue }
                    largest = max(largest, abs(a[x, y, z] - b[x, y, z]))
                }
            }
        }
        return largest
    }

    /// Axes in any order and direction, or turned and sheared.
    private func randomGrid(
        _ generator: inout SeededGenerator, extents: ClosedRange<Int> = 1...14
    ) -> VoxelGrid {
        let shape = SIMD3((0..<3).map { _ in generator.size(in: extents) })
        var columns = (0..<3).map { axis in
            var column = SIMD3<Double>.zero
            column[axis] =
                Double.random(in: 0.5...3, using: &generator) * (Bool.random(using: &generator) ? 1 : -1)
            return column
        }
        columns.shuffle(using: &generator)
        if Bool.random(using: &generator) {
            for axis in 0..<3 {
                columns[axis] += SIMD3((0..<3).map { _ in Double.random(in: -0.15...0.15, using: &generator) })
            }
        }
        let shift = SIMD3((0..<3).map { _ in Double.random(in: -4...4, using: &generator) })
        var affine = Affine(columns: columns[0], columns[1], columns[2])
        affine.translation = shift - affine(SIMD3<Double>(shape &- 1) / 2)
        return VoxelGrid(shape: shape, affine: affine)
    }

    @Test(arguments: Antialiasing.allCases)
    func linearKeepsAnAffineFunction(antialiasing: Antialiasing) async {
        await checkLaw(cases: 60) { generator in
            let (source, target) = (randomGrid(&generator), randomGrid(&generator))
            let slope = SIMD3((0..<3).map { _ in Double.random(in: -1...1, using: &generator) })
            func ramp(_ grid: VoxelGrid) -> Volume { volume(on: grid) { (slope * $0).sum() } }
            let found = ramp(source).resampled(onto: target, antialiasing: antialiasing)
            // A Gaussian keeps it where it does not reach the edge.
            let margin = antialiasing == .none ? 0 : 30.0
            try #require(difference(found, ramp(target), inside: source, margin: margin) < 2e-5)
        }
    }

    @Test func cubicKeepsACubicPolynomialAwayFromTheEdge() async {
        await checkLaw(cases: 6) { generator in
            let source = randomGrid(&generator, extents: 34...38)
            let target = randomGrid(&generator)
            let slope = SIMD3((0..<3).map { _ in Double.random(in: -0.05...0.05, using: &generator) })
            func cubic(_ grid: VoxelGrid) -> Volume {
                volume(on: grid) { point in
                    let t = (slope * point).sum()
                    return t * t * t - 2 * t * t + t
                }
            }
            let found = cubic(source).resampled(onto: target, interpolation: .cubic, antialiasing: .none)
            // The mirrored edge fades by 0.27 a voxel.
            try #require(difference(found, cubic(target), inside: source, margin: 12) < 1e-5)
        }
    }

    @Test(arguments: Interpolation.allCases)
    func samplesAreFoundAgain(interpolation: Interpolation) async {
        await checkLaw(cases: 60) { generator in
            let grid = randomGrid(&generator)
            let source = Volume(grid: grid, voxels: generator.floats(grid.count))
            let order = AxisPermutation(
                sources: [0, 1, 2].shuffled(using: &generator),
                isReversed: (0..<3).map { _ in Bool.random(using: &generator) })
            let found = source.resampled(onto: grid.permuted(order), interpolation: interpolation)
            try #require(found.voxels == source.permuted(order).voxels)
        }
    }

    @Test(arguments: Interpolation.allCases, Antialiasing.allCases)
    func axisByAxisIsPointByPoint(interpolation: Interpolation, antialiasing: Antialiasing) async {
        await checkLaw(cases: 60) { generator in
            let shape = SIMD3((0..<3).map { _ in generator.size(in: 1...14) })
            let source = Volume.random(shape: shape, using: &generator)
            let spacing = SIMD3((0..<3).map { _ in Double.random(in: 0.4...2.5, using: &generator) })
            let shift = SIMD3((0..<3).map { _ in Double.random(in: -3...3, using: &generator) })
            let target = VoxelGrid(
                shape: SIMD3((0..<3).map { _ in generator.size(in: 1...14) }),
                affine: Affine(spacing: spacing, translation: shift))
            let map = GridMap(from: target, to: source.grid)
            try #require(map.isAligned)
            let deviations = (0..<3).map {
                interpolation == .nearest
                    ? 0 : antialiasing.standardDeviation(squaredRatio: map.squaredRatio($0))
            }
            let block = VoxelBlock(shape: shape, values: source.voxels)
            let byAxis = block.resampledByAxis(map, interpolation, deviations: deviations, outside: -9)
            let byPoint = block.resampledByPoint(map, interpolation, deviations: deviations, outside: -9)
            try #require(largestDifference(byAxis, byPoint) < 1e-5)
            let found = source.resampled(
                onto: target, interpolation: interpolation, antialiasing: antialiasing, outside: -9)
            try #require(found.voxels == byAxis)
        }
    }

    @Test func theVolumeEndsHalfAVoxelBeyondItsOutermostCentres() async {
        await checkLaw(cases: 60) { generator in
            let (source, target) = (randomGrid(&generator), randomGrid(&generator))
            let found = Volume(grid: source, repeating: 7).resampled(onto: target, outside: -1)
            let end = SIMD3<Double>(source.shape) - 0.5
            for z in 0..<target.shape.z {
                for y in 0..<target.shape.y {
                    for x in 0..<target.shape.x {
                        let place = source.voxel(
                            atWorld: target.world(atVoxel: [Double(x), Double(y), Double(z)]))
                        if all(place .> -0.4999), all(place .< end - 1e-4) {
                            // To the bit, whatever the weights.
                            try #require(found[x, y, z] == 7)
                        } else if any(place .< -0.5001) || any(place .> end + 1e-4) {
                            try #require(found[x, y, z] == -1)
                        }
                    }
                }
            }
        }
    }

    @Test func labelsAreNeverMixed() async {
        await checkLaw(cases: 60) { generator in
            let (grid, target) = (randomGrid(&generator), randomGrid(&generator))
            let labels = Volume(
                grid: grid, voxels: (0..<grid.count).map { _ in [3, 17, 52].randomElement(using: &generator)! })
            let found = labels.resampled(onto: target, interpolation: .nearest, outside: 0)
            try #require(Set(found.voxels).isSubset(of: [0, 3, 17, 52]))
        }
    }

    @Test func everyRunGivesTheSameBits() async {
        await checkLaw(cases: 4) { generator in
            let source = Volume.random(shape: [70, 41, 33], spacing: [0.7, 1.3, 2], using: &generator)
            var target = VoxelGrid(shape: [61, 50, 47], spacing: [1, 1.1, 0.9])
            for interpolation in Interpolation.allCases {
                let found = source.resampled(onto: target, interpolation: interpolation)
                for _ in 0..<3 {
                    try #require(source.resampled(onto: target, interpolation: interpolation) == found)
                }
            }
            target = randomGrid(&generator, extents: 40...50)
            let found = source.resampled(onto: target, interpolation: .cubic)
            for _ in 0..<3 { try #require(source.resampled(onto: target, interpolation: .cubic) == found) }
        }
    }

    // MARK: Anti-aliasing

    private func deviation(_ values: some Collection<Float>) -> Double {
        let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
        return (values.reduce(0.0) { $0 + pow(Double($1) - mean, 2) } / Double(values.count)).squareRoot()
    }

    @Test(arguments: [false, true])
    func stripesThatAreTooFineVanish(isTurned: Bool) {
        // 1.1 mm apart, on a grid of 0.5 mm; a grid of 2.5 mm cannot show them.
        let grid = VoxelGrid(shape: [240, 40, 4], spacing: [0.5, 0.5, 3])
        let stripes = volume(on: grid) { 600 + 300 * sin(2 * Double.pi * $0.x / 1.1) }
        let angle = isTurned ? 0.01 : 0
        let target = VoxelGrid(
            shape: [36, 4, 3],
            affine: Affine(
                columns: [2.5 * cos(angle), 2.5 * sin(angle), 0], [-2.5 * sin(angle), 2.5 * cos(angle), 0],
                [0, 0, 3],
                translation: [12, 4, 0.3]))
        #expect(GridMap(from: target, to: grid).isAligned == !isTurned)
        for interpolation in [Interpolation.linear, .cubic] {
            let smooth = stripes.resampled(onto: target, interpolation: interpolation)
            #expect(deviation(smooth.voxels) < 1)
            #expect(abs(smooth.voxels.reduce(0, +) / Float(smooth.voxels.count) - 600) < 1)
        }
        #expect(deviation(stripes.resampled(onto: target, antialiasing: .none).voxels) > 150)
    }

    @Test func noiseShrinksWithTheNumberOfVoxelsThatMakeOne() async {
        await checkLaw(cases: 4) { generator in
            let grid = VoxelGrid(shape: [120, 120, 8], spacing: [0.5, 0.5, 3])
            let noise = Volume(
                grid: grid,
                voxels: (0..<grid.count).map { _ in Float.random(in: -104...104, using: &generator) })
            let target = VoxelGrid(
                shape: [20, 20, 8], affine: Affine(spacing: [2.5, 2.5, 3], translation: [5, 5, 0]))
            let found = deviation(noise.resampled(onto: target).voxels)
            // The Gaussian of 2.08 voxels leaves 1 / (4 pi 2.08 ** 2) of the variance in a plane: 8.1 of 60.
            try #require(abs(found - 8.1) < 0.8, "\(found)")
        }
    }
}
