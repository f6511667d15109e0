import Foundation
import TestSupport
import Testing
import VoxelBridge

/// The whole path, on pictures of brains.
struct VolumeTranslatorTests {
    private func translator(
        spacing: Double = 3, plane: SlicePlane = .axial, steps: [Int] = [0]
    ) -> VolumeTranslator<HistogramMatchingDenoiser> {
        VolumeTranslator(
            preprocessing: .brain(spacing: spacing),
            sampler: SliceSampler(
                scheduler: Scheduler(BrownianBridge(), timesteps: steps),
                // The phantoms' slices are thick: anatomy changes much from one to the next.
                denoiser: HistogramMatchingDenoiser(radius: 1), plane: plane))
    }

    /// A grid of any orientation, spacing and tilt around the phantom's ellipsoid.
    private func randomGrid(_ generator: inout SeededGenerator) -> VoxelGrid {
        let tilt = Double.random(in: -0.4...0.4, using: &generator)
        let (cosine, sine) = (cos(tilt), sin(tilt))
        let axes: [SIMD3<Double>] = [[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]
            .shuffled(using: &generator).map { Bool.random(using: &generator) ? $0 : -$0 }
        let spacing = (0..<3).map { _ in Double.random(in: 2...4, using: &generator) }
        let shape = SIMD3<Int>(spacing.map { Int(70 / $0) })
        let columns = zip(axes, spacing).map { $0 * $1 }
        let corner = SIMD3<Double>(generator.floats(3, in: -100...100).map { Double($0) })
        return VoxelGrid(
            shape: shape, affine: Affine(columns: columns[0], columns[1], columns[2], translation: corner))
    }

    @Test func theResultLiesOnTheSourcesGrid() async {
        await checkLaw(cases: 25) { generator in
            let source = Volume.brainPhantom(on: randomGrid(&generator))
            let plane = SlicePlane.allCases.randomElement(using: &generator)!
            // The style of the source itself, so that the result is the source again but for the resampling.
            let result = try await translator(plane: plane).translate(source, style: StyleKey(of: source))
            try #require(result.grid == source.grid)
            try #require(result.voxels.allSatisfy { (0...1).contains($0) })
            try #require(zip(result.voxels, source.voxels).allSatisfy { $1 > 0 || $0 == 0 })
            let scaled = try RescaleIntensity().apply(to: source).volume.voxels
            let error = relativeL2(result.voxels, scaled)
            try #require(error < 0.25, "the result is not the source: \(error)")
            // Turned the wrong way it is farther off: right and left, front and back are not alike.
            let turned = result.permuted(AxisPermutation(sources: [0, 1, 2], isReversed: [true, true, true]))
            try #require(relativeL2(turned.voxels, scaled) > error)
        }
    }

    @Test func aSourceOnThePreparedGridIsLeftInPlace() async throws {
        let source = Volume.brainPhantom(on: VoxelGrid(shape: [24, 28, 20], spacing: [3, 3, 3]))
        let result = try await translator().translate(source, style: StyleKey(of: source))
        // Nothing is resampled: what is left are the bins of the key and the levelling.
        #expect(relativeL2(result.voxels, try RescaleIntensity().apply(to: source).volume.voxels) < 0.04)
    }

    @Test func theStyleIsTakenOn() async throws {
        let grid = VoxelGrid(shape: [36, 40, 32], spacing: [2, 2, 2])
        let source = Volume.brainPhantom(on: grid)
        // Another contrast, of the same order of brightness.
        let style = try StyleKey(of: .brainPhantom(on: grid, fluid: 15, white: 100, grey: 40))
        let result = try await translator(spacing: 2).translate(source, style: style)
        let before = try StyleKey(of: source).distance(to: style)
        let after = try StyleKey(of: result, intensities: RescaleIntensity(.unit)).distance(to: style)
        #expect(before > 0.1)
        #expect(after < 0.1 * before, "\(before) became \(after)")
    }

    @Test func theBitsAreTheSameForAnyBatches() async {
        let source = Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 18], spacing: [3.5, 3, 4]))
        await checkLaw(cases: 10) { generator in
            let style = try StyleKey(of: source)
            var translator = translator(steps: [999, 500, 1, 0])
            translator.sampler.corrector = ScoreCorrector()
            (translator.sampler.batchSize, translator.sampler.batchesInFlight) = (1, 1)
            let expected = try await translator.translate(source, style: style)
            translator.sampler.batchSize = Int.random(in: 1...40, using: &generator)
            translator.sampler.batchesInFlight = Int.random(in: 1...8, using: &generator)
            try #require(try await translator.translate(source, style: style) == expected)
        }
    }

    @Test func slicesOfEachPlaneAreLevelled() async throws {
        let source = Volume.brainPhantom(on: VoxelGrid(shape: [30, 34, 26], spacing: [2.5, 2.5, 2.5]))
        var generator = SeededGenerator(seed: 11)
        for plane in SlicePlane.allCases {
            let permutation = plane.permutation(for: source.grid)
            var turned = source.permuted(permutation)
            let length = turned.shape.x * turned.shape.y
            for slice in 0..<turned.shape.z {
                let gain = Float.random(in: 0.8...1, using: &generator)
                for index in slice * length..<(slice + 1) * length { turned.voxels[index] *= gain }
            }
            let flickering = turned.permuted(permutation.inverse)
            let result = try await translator(spacing: 2.5, plane: plane)
                .translate(flickering, style: StyleKey(of: source))
            let clean = try RescaleIntensity().apply(to: source).volume
            let flicker = SliceConsistency(.error, plane: plane)
            let before = try flicker(RescaleIntensity().apply(to: flickering).volume, against: clean)
            let after = try flicker(result, against: clean)
            #expect(after < 0.6 * before, "\(plane): \(before) became \(after)")
        }
    }

    @Test func progressReachesItsEnd() async throws {
        let source = Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 18], spacing: [3.5, 3, 4]))
        let (reports, continuation) = AsyncStream.makeStream(of: SamplingProgress.self)
        _ = try await translator(steps: [500, 0]).translate(source, style: StyleKey(of: source)) {
            continuation.yield($0)
        }
        continuation.finish()
        let last = await reports.reduce(nil as SamplingProgress?) { $1 }
        #expect(last?.fractionCompleted == 1 && last?.steps == 2)
    }

    @Test func cancellationEndsTheWork() async throws {
        let source = Volume.brainPhantom(on: VoxelGrid(shape: [30, 34, 26], spacing: [2.5, 2.5, 2.5]))
        let translator = translator(spacing: 1, steps: Array((0..<1000).reversed()))
        let (reports, continuation) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            try await translator.translate(source, style: StyleKey(of: source)) { _ in continuation.yield() }
        }
        // Only once it is under way.
        for await _ in reports { break }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test(arguments: [0, -1000, 7.5] as [Float])
    func aConstantVolumeIsRefused(value: Float) async throws {
        let grid = VoxelGrid(shape: [10, 10, 10])
        let style = try StyleKey(of: .brainPhantom(on: VoxelGrid(shape: [20, 24, 18], spacing: [3, 3, 3])))
        await #expect {
            try await translator().translate(Volume(grid: grid, repeating: value), style: style)
        } throws: { error in
            guard case PreprocessingError.constantVolume(value) = error else { return false }
            return "\(error)".contains("\(value)")
        }
    }

    /// Intensities may have any scale and offset, as those of CT have.
    @Test func scaleAndOffsetOfTheSourceDoNotMatter() async throws {
        let source = Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 18], spacing: [3.5, 3, 4]))
        let style = try StyleKey(of: source)
        let result = try await translator().translate(source, style: style)
        let shifted = try await translator().translate(source.map { 8 * $0 - 1024 }, style: style)
        #expect(relativeL2(shifted.voxels, result.voxels) < 1e-3)
    }

    /// The background of a result is that of the source as prepared: air below the window, what is outside of a mask.
    @Test func backgroundFollowsFromThePreparedSource() async throws {
        let grid = VoxelGrid(shape: [20, 24, 18], spacing: [3.5, 3, 4])
        var generator = SeededGenerator(seed: 12)
        let brain = Volume.brainPhantom(on: grid, fluid: 10, white: 30, grey: 40)
        let style = try StyleKey(of: brain)
        var ct = brain
        for i in ct.voxels.indices where brain.voxels[i] == 0 {
            ct.voxels[i] = Float.random(in: -1030 ... -970, using: &generator)
        }
        var translator = translator()
        translator.preprocessing = .brain(spacing: 3, intensities: RescaleIntensity(.window(.brain)))
        var warnings: [IntensityWarning] = []
        let result = try await translator.translate(ct, style: style, warn: { warnings.append($0) })
        #expect(warnings.isEmpty)
        #expect(zip(result.voxels, brain.voxels).allSatisfy { ($0 == 0) == ($1 == 0) })
        // The same from the stripped brain, however it was filled, and with a mask.
        let mask = ForegroundMask(above: 0, in: brain)
        for outside in [Float(0), -1024, .nan] {
            let stripped = mask.clearingBackground(of: ct, to: outside)
            #expect(try await translator.translate(stripped, style: style) == result)
        }
        let half = ForegroundMask(
            above: 0,
            in: Volume(
                grid: grid, voxels: brain.voxels.enumerated().map { $0.offset % 20 < 10 ? $0.element : 0 }))
        let masked = try await translator.translate(ct, style: style, mask: half)
        #expect(zip(masked.voxels, half.isForeground).allSatisfy { ($0 == 0) != $1 })
        let states = try translator.states(of: ct, style: style, mask: half)
        for try await state in states where state.isComplete { #expect(try state.volume() == masked) }
    }

    /// Interpolated slices have intensities that thick ones have not: a key must be that of what is translated.
    @Test func theStyleOfThickSlicesIsThatOfThePreparedVolume() async {
        await checkLaw(cases: 8) { generator in
            let thickness = Double.random(in: 6...12, using: &generator)
            let source = Volume.brainPhantom(
                on: VoxelGrid(shape: [24, 28, Int(60 / thickness)], spacing: [3, 3, thickness]))
            let translator = translator()
            let prepared = try translator.preprocessing.apply(to: source).volume
            let seen = try StyleKey(of: prepared, intensities: RescaleIntensity(.unit))
            let distances = try [translator.style(of: source), StyleKey(of: source)].map {
                try $0.distance(to: seen)
            }
            try #require(distances[0] < 1e-4 && distances[1] > 0.005, "\(distances)")
        }
    }

    /// A model states how its targets were scaled, and their spacing.
    @Test func aStyleIsScaledAndResampledAsTheModelsTargets() throws {
        let reference = Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 18], spacing: [3.5, 3, 4]))
        let key = try translator().style(of: reference)
        #expect(key == (try StyleKey(of: reference, resampling: Resample(spacing: 3))))
        #expect(key != (try StyleKey(of: reference)))
        // A volume with that spacing keeps its own voxels.
        let fine = Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 18], spacing: [3, 3, 3]))
        #expect(try translator().style(of: fine) == StyleKey(of: fine))
    }
}
