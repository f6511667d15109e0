import Preprocessing
import TestSupport
import Testing

/// Pairs of volumes, shapes, presets and the way back.
struct PairTests {
    private func randomVolume(_ generator: inout SeededGenerator, extents: ClosedRange<Int> = 3...14) -> Volume
    {
        let shape = SIMD3((0..<3).map { _ in generator.size(in: extents) })
        let spacing = SIMD3((0..<3).map { _ in Double.random(in: 0.5...3, using: &generator) })
        let grid = VoxelGrid(shape: shape, spacing: spacing)
            .permuted(
                AxisPermutation(
                    sources: [0, 1, 2].shuffled(using: &generator),
                    isReversed: (0..<3).map { _ in Bool.random(using: &generator) }))
        var volume = Volume(grid: grid)
        for _ in 0..<3 {
            volume.voxels[Int.random(in: 0..<grid.count, using: &generator)] = Float.random(
                in: 1...2, using: &generator)
        }
        return volume
    }

    @Test func aPartnerGoesOntoTheSameGrid() async {
        await checkLaw(cases: 100) { generator in
            let source = randomVolume(&generator)
            // The same grid, but for what a header rounds.
            var affine = source.grid.affine
            affine.translation += 1e-3
            let partner = Volume(
                grid: VoxelGrid(shape: source.shape, affine: affine),
                voxels: generator.floats(source.grid.count))
            let pipeline = PreprocessingPipeline.brain(spacing: 1.5).appending(PadToMultiple(of: 4))
            let one = try pipeline.apply(to: source)
            let other = try one.pipeline.apply(to: partner)
            try #require(one.volume.grid == other.volume.grid)
            let range = other.volume.intensityRange
            try #require(range.lowerBound >= 0 && range.upperBound <= 1)
            // Fitting changes nothing for the volume itself, and fitting again nothing at all.
            try #require(try one.pipeline.apply(to: source).volume == one.volume)
            try #require(try other.pipeline.apply(to: source).volume == one.volume)
            let labels = try one.pipeline.forLabels.apply(to: partner.map { $0 > 0 ? 7 : 0 })
            try #require(
                labels.volume.grid == one.volume.grid && Set(labels.volume.voxels).isSubset(of: [0, 7]))
        }
    }

    @Test func aPartnerOnAnotherGridIsRefusedByTheDistance() throws {
        var volume = Volume(grid: VoxelGrid(shape: [8, 8, 8], spacing: [2, 2, 2]))
        volume[3, 3, 3] = 1
        let fitted = try PreprocessingPipeline([CropToForeground(margin: 1)]).apply(to: volume).pipeline
        let moved = Volume(
            grid: VoxelGrid(shape: [8, 8, 8], affine: Affine(spacing: [2, 2, 2], translation: [0, 0.5, 0])))
        let error = #expect(throws: PreprocessingError.self) { try fitted.apply(to: moved) }
        #expect(error.map { "\($0)".contains("up to 0.5 mm apart, and at most 0.02 mm") } == true)
    }

    @Test func everyGridComesBackExactly() async {
        await checkLaw(cases: 100) { generator in
            let source = randomVolume(&generator)
            let shape = SIMD3((0..<3).map { _ in Int.random(in: 1...20, using: &generator) })
            let target = randomVolume(&generator).grid
            let steps: [any VolumeTransform] = [
                Reorient(to: .ras), Resample(spacing: 1.2), CropToForeground(), CropOrPad(to: shape),
                PadToMultiple(of: 3, plane: nil), CropToBox(from: [-1, 1, 0], shape: [4, 5, 6]),
                ResampleOnto(target, interpolation: .cubic),
            ]
            let chosen = steps.shuffled(using: &generator).prefix(Int.random(in: 1...7, using: &generator))
            let prepared = try PreprocessingPipeline(Array(chosen)).apply(to: source)
            try #require(try prepared.restoreGrid(of: prepared.volume).grid == source.grid)
        }
    }

    @Test func thickSlicesThatWereInterpolatedAreFoundAgain() async {
        await checkLaw(cases: 20) { generator in
            // Of 5 mm on 1 mm, every fifth slice is an old one.
            let source = Volume.random(shape: [7, 6, 9], spacing: [1, 1, 5], using: &generator)
            let prepared = try PreprocessingPipeline([Resample(spacing: 1)]).apply(to: source)
            try #require(prepared.volume.shape == [7, 6, 45])
            let restored = try prepared.restore(prepared.volume)
            try #require(largestDifference(restored.voxels, source.voxels) < 1e-6)
        }
    }

    @Test func aShapeIsAboutTheCentre() {
        func line(_ count: Int, to wanted: Int, fill: Float? = nil) -> [Float] {
            let grid = VoxelGrid(shape: [count, 1, 1])
            let volume = Volume(grid: grid, voxels: (1...count).map(Float.init))
            return CropOrPad(to: [wanted, 1, 1], fill: fill).apply(to: volume).volume.voxels
        }
        #expect(line(5, to: 2) == [2, 3])
        #expect(line(4, to: 1) == [3])
        #expect(line(2, to: 5, fill: 0) == [0, 1, 2, 0, 0])
        #expect(line(2, to: 5) == [1, 1, 2, 1, 1])
        #expect(line(3, to: 3) == [1, 2, 3])
    }

    @Test func aCropThatCutsTheForegroundWarns() throws {
        var volume = Volume(grid: VoxelGrid(shape: [10, 10, 10]))
        for x in 1..<9 { volume[x, 5, 5] = 1 }
        let prepared = try PreprocessingPipeline([CropOrPad(to: [6, 12, 4])]).apply(to: volume)
        #expect(
            prepared.geometryWarnings == [
                "cropping to 6 x 12 x 4 voxels cuts off some of the foreground, whose box has 8 x 1 x 1"
            ])
        #expect(
            try PreprocessingPipeline([CropOrPad(to: [8, 12, 4])]).apply(to: volume).geometryWarnings.isEmpty)
    }

    @Test func aBoxAboveAnIntensity() {
        var volume = Volume(grid: VoxelGrid(shape: [8, 8, 8]), repeating: -2)
        volume[1, 2, 3] = 0.0001
        volume[4, 2, 3] = 1000
        volume[6, 6, 6] = -1
        #expect(CropToForeground(above: 0).apply(to: volume).volume.shape == [4, 1, 1])
        #expect(CropToForeground(above: 2000).apply(to: volume).volume == volume)
    }

    @Test func publishedPreparationsHaveTheirShapes() throws {
        var generator = SeededGenerator(seed: 5)
        var head = Volume(grid: VoxelGrid(shape: [60, 70, 50], spacing: [2, 2, 2.5]))
        for z in 10..<40 {
            for y in 10..<60 { for x in 10..<50 { head[x, y, z] = Float.random(in: 1...2, using: &generator) } }
        }
        func shape(_ pipeline: PreprocessingPipeline) throws -> SIMD3<Int> {
            let prepared = try pipeline.apply(to: head)
            #expect(prepared.volume.grid.orientation == .ras && prepared.volume[0, 0, 0] == 0)
            #expect(prepared.volume.grid.spacing == .one && prepared.geometryWarnings.isEmpty)
            return prepared.volume.shape
        }
        #expect(try shape(.brainCTToMRI()) == [160, 160, 160])
        #expect(try shape(.brats()) == [176, 176, 160])
        #expect(try shape(.latentBrain()) == [144, 192, 144])
        #expect(try shape(.latentBrain(shape: [192, 192, 144])) == [192, 192, 144])
    }
}
