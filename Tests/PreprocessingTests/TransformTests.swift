import Foundation
import Preprocessing
import TestSupport
import Testing
import Volumes

/// Laws of the steps, on random volumes.
struct TransformTests {
    private func randomShape(_ generator: inout SeededGenerator) -> SIMD3<Int> {
        SIMD3((0..<3).map { _ in Int.random(in: 1...12, using: &generator) })
    }

    private func randomOrientation(_ generator: inout SeededGenerator) -> Orientation {
        let letters = [["R", "L"], ["A", "P"], ["S", "I"]].map { $0.randomElement(using: &generator)! }
        return Orientation(code: letters.shuffled(using: &generator).joined())!
    }

    /// A volume whose intensity at a point of the world is a linear function of the point.
    private func ramp(on grid: VoxelGrid) -> Volume {
        var volume = Volume(grid: grid)
        for z in 0..<grid.shape.z {
            for y in 0..<grid.shape.y {
                for x in 0..<grid.shape.x {
                    let point = grid.world(atVoxel: [Double(x), Double(y), Double(z)])
                    volume[x, y, z] = Float(0.3 * point.x - 0.2 * point.y + 0.5 * point.z)
                }
            }
        }
        return volume
    }

    private func randomGrid(_ generator: inout SeededGenerator) -> VoxelGrid {
        let spacing = SIMD3((0..<3).map { _ in Double.random(in: 0.5...3, using: &generator) })
        let grid = VoxelGrid(shape: randomShape(&generator), spacing: spacing)
        return grid.permuted(AxisPermutation(from: .ras, to: randomOrientation(&generator)))
    }

    @Test func reorientingIsUndoneToTheBit() async {
        await checkLaw(cases: 200) { generator in
            let grid = randomGrid(&generator)
            let volume = Volume(grid: grid, voxels: generator.floats(grid.count))
            let target = randomOrientation(&generator)
            let pipeline = PreprocessingPipeline([Reorient(to: target)])
            let prepared = try pipeline.apply(to: volume)
            try #require(prepared.volume.grid.orientation == target)
            let restored = try prepared.restore(prepared.volume)
            try #require(restored.voxels == volume.voxels)
            try #require(restored.grid.affine.largestDifference(from: grid.affine) < 1e-9)
        }
    }

    @Test func resamplingKeepsTheWorldInPlace() async {
        await checkLaw(cases: 200) { generator in
            let volume = ramp(on: randomGrid(&generator))
            let spacing = Double.random(in: 0.5...3, using: &generator)
            let prepared = try PreprocessingPipeline([
                Resample(spacing: spacing, antialiasing: .none)
            ]).apply(to: volume)
            let resampled = prepared.volume
            for axis in 0..<3 { try #require(abs(resampled.grid.spacing[axis] - spacing) < 1e-3) }
            // Linear interpolation keeps a linear function, up to the outermost voxels' centres.
            let expected = ramp(on: resampled.grid)
            let last = SIMD3<Double>(volume.shape &- 1)
            for z in 0..<resampled.shape.z {
                for y in 0..<resampled.shape.y {
                    for x in 0..<resampled.shape.x {
                        let world = resampled.grid.world(atVoxel: [Double(x), Double(y), Double(z)])
                        let voxel = volume.grid.voxel(atWorld: world)
                        guard all(voxel .>= -1e-9), all(voxel .<= last + 1e-9) else { continue }
                        try #require(abs(resampled[x, y, z] - expected[x, y, z]) < 1e-3)
                    }
                }
            }
            let restored = try prepared.restore(resampled)
            try #require(restored.grid.matches(volume.grid))
        }
    }

    @Test func resamplingToItsOwnSpacingChangesNothing() async throws {
        var generator = SeededGenerator(seed: 1)
        let volume = Volume.random(shape: [4, 5, 6], spacing: [2, 2, 2], using: &generator)
        #expect(try Resample(spacing: 2).apply(to: volume).volume == volume)
    }

    @Test func resamplingCoversTheFieldOfView() throws {
        let volume = Volume(grid: VoxelGrid(shape: [10, 10, 4], spacing: [1, 1, 2.5]), repeating: 3)
        let resampled = try Resample(spacing: 1).apply(to: volume).volume
        #expect(resampled.shape == [10, 10, 10])
        #expect(resampled.voxels.allSatisfy { $0 == 3 })
    }

    @Test func aHeaderCannotMakeResamplingFillMemory() {
        let volume = Volume(grid: VoxelGrid(shape: [2, 2, 2], spacing: [1e6, 1e6, 1e6]))
        #expect(throws: PreprocessingError.self) { try Resample(spacing: 1).apply(to: volume) }
    }

    @Test func croppingAndPaddingAreUndoneToTheBit() async {
        await checkLaw(cases: 200) { generator in
            let grid = randomGrid(&generator)
            var volume = Volume(grid: grid)
            // A few bright voxels on a background of zero.
            for _ in 0..<3 { volume.voxels[Int.random(in: 0..<grid.count, using: &generator)] = 1 }
            let multiple = Int.random(in: 1...8, using: &generator)
            let margin = Int.random(in: 0...2, using: &generator)
            let plane = SlicePlane.allCases.randomElement(using: &generator)!
            let prepared = try PreprocessingPipeline([
                CropToForeground(margin: margin), PadToMultiple(of: multiple, plane: plane),
            ]).apply(to: volume)
            let stack = prepared.volume.permuted(plane.permutation(for: prepared.volume.grid))
            try #require(stack.shape.x % multiple == 0 && stack.shape.y % multiple == 0)
            let restored = try prepared.restore(prepared.volume)
            try #require(restored.voxels == volume.voxels && restored.grid.matches(grid))
            // Nothing moves in the world.
            let spot = volume.voxels.firstIndex(of: 1)!
            let voxel = SIMD3(
                spot % grid.shape.x, spot / grid.shape.x % grid.shape.y, spot / grid.shape.x / grid.shape.y)
            let there = prepared.volume.grid.voxel(atWorld: grid.world(atVoxel: SIMD3<Double>(voxel)))
            let rounded = SIMD3<Int>(there.rounded(.toNearestOrEven))
            try #require(prepared.volume[rounded.x, rounded.y, rounded.z] == 1)
        }
    }

    @Test func cropIsTheSmallestBox() {
        var volume = Volume(grid: VoxelGrid(shape: [8, 9, 10]), repeating: -5)
        volume[2, 3, 4] = 10
        volume[5, 3, 6] = 10
        #expect(CropToForeground().apply(to: volume).volume.shape == [4, 1, 3])
        #expect(CropToForeground(margin: 2).apply(to: volume).volume.shape == [8, 5, 7])
    }

    @Test func theWholePipelineComesBackToTheSourceGrid() async {
        await checkLaw(cases: 100) { generator in
            let grid = randomGrid(&generator)
            guard grid.count > 1 else { return }
            let volume = Volume(grid: grid, voxels: generator.floats(grid.count))
            let plane = SlicePlane.allCases.randomElement(using: &generator)!
            let prepared = try PreprocessingPipeline.brain(spacing: 1.5)
                .appending(PadToMultiple(of: 4, plane: plane))
                .apply(to: volume)
            let stack = prepared.volume.permuted(plane.permutation(for: prepared.volume.grid))
            try #require(stack.shape.x % 4 == 0 && stack.shape.y % 4 == 0)
            try #require(prepared.volume.grid.orientation == .ras)
            let restored = try prepared.restoreGrid(of: prepared.volume)
            try #require(restored.grid.matches(grid))
        }
    }

    @Test func aVolumeOnAnotherGridIsNotRestored() throws {
        var generator = SeededGenerator(seed: 1)
        let volume = Volume.random(shape: [4, 5, 6], using: &generator)
        let prepared = try PreprocessingPipeline.brain().apply(to: volume)
        let other = Volume.random(shape: [5, 5, 6], using: &generator)
        #expect(throws: PreprocessingError.self) { try prepared.restore(other) }
    }
}

struct PreprocessingDescriptionTests {
    @Test func resultsAreDescribedInOneLine() throws {
        var volume = Volume(grid: VoxelGrid(shape: [4, 4, 4]))
        volume[1, 1, 1] = 5
        let prepared = try PreprocessingPipeline([RescaleIntensity()]).apply(to: volume)
        #expect("\(prepared)" == "4 x 4 x 4 voxels of 1 x 1 x 1 mm, RAS, intensities 0 to 1")
        #expect("\(ForegroundMask(of: volume))" == "1 of 64 voxels are foreground")
        let error: any Error = PreprocessingError.constantVolume(1)
        #expect(error.localizedDescription == "\(error)")
    }
}
