import Foundation
import LatentTranslation
import TestSupport
import Testing

struct LatentPreparationTests {
    @Test(
        .enabled(if: Fixtures.hasReference, Fixtures.missingReference),
        arguments: [
            ("prepared", [0.5, 99.5], [-1.0, 1.0]), ("prepared_0_9975", [0, 99.75], [0, 1]),
        ])
    func volumesArePreparedAsTheReference(name: String, percentiles: [Double], bounds: [Double]) throws {
        let file = try Reference.numbers("prepare")
        let (volumes, expected) = (try file.tensor("volumes"), try file.tensor(name))
        let preparation = LatentPreparation(
            shape: Array(expected.shape[1...]), percentiles: percentiles, bounds: bounds)
        func volume(_ tensor: Tensor, _ index: Int) -> Volume {
            Volume(
                tensor.slice(axis: 0, index..<index + 1).reshaped([1, 1] + tensor.shape[1...])
                    .reversingSpatialAxes())
        }
        let reference = volume(volumes, 0)
        for index in 0..<volumes.shape[0] {
            let prepared = try preparation.apply(to: volume(volumes, index), reference: reference)
            #expect(
                relativeL2(prepared.volume.voxels, volume(expected, index).voxels) < 1e-6, "\(name) \(index)")
        }
    }

    @Test func notANumberIsBackground() async {
        await checkLaw(cases: 20) { generator in
            let grid = VoxelGrid(shape: [9, 8, 7], spacing: [2, 1, 1])
            var source = Volume(grid: grid, voxels: generator.floats(grid.count, in: 1...9))
            var cleared = source
            for index in 0..<grid.count where index % 5 == 0 {
                (source.voxels[index], cleared.voxels[index]) = (.nan, 0)
            }
            var preparation = LatentPreparation(shape: [8, 8, 8])
            preparation.spacing = Bool.random(using: &generator) ? 1.5 : nil
            try #require(
                try preparation.apply(to: source).volume == preparation.apply(to: cleared).volume)
        }
    }

    /// What was cut out lies at its own place afterwards, whatever the orientation, and everything else is 0.
    @Test func theCropLiesAtItsPlaceAgain() async {
        await checkLaw(cases: 50) { generator in
            let shape = SIMD3<Int>(
                generator.size(in: 3...12), generator.size(in: 3...12), generator.size(in: 3...12))
            var affine = Affine(spacing: [1, 1, 1])
            if Bool.random(using: &generator) { affine = Affine(columns: [0, 0, -1], [1, 0, 0], [0, 1, 0]) }
            var source = Volume(grid: VoxelGrid(shape: shape, affine: affine))
            for _ in 0..<20 {
                let place = (0..<3).map { Int.random(in: 0..<shape[$0], using: &generator) }
                source[place[0], place[1], place[2]] = Float.random(in: 1...9, using: &generator)
            }
            let want = (0..<3).map { _ in generator.size(in: 1...14) }
            let preparation = LatentPreparation(shape: want, percentiles: [0, 100], bounds: [0, 1])
            let isFitting = Bool.random(using: &generator)
            let chosen =
                isFitting ? LatentPreparation(shape: nil, percentiles: [0, 100], bounds: [0, 1]) : preparation
            let prepared: PreparedVolume
            do { prepared = try chosen.apply(to: source, multiple: 4) } catch LatentTranslationError.noContrast
            {
                return
            }
            if isFitting {
                try #require((0..<3).allSatisfy { prepared.volume.shape[$0] % 4 == 0 })
            } else {
                try #require((0..<3).allSatisfy { prepared.volume.shape[$0] == want[$0] })
            }
            let restored = try prepared.restore(prepared.volume)
            try #require(restored.grid.matches(source.grid))
            var kept = 0
            for (found, own) in zip(restored.voxels, source.voxels) where abs(found - own) < 1e-5 && own > 0 {
                kept += 1
            }
            let positive = source.voxels.count { $0 > 0 }
            let share = try chosen.shareCutOff(of: source)
            try #require(abs(share - (1 - Double(kept) / Double(positive))) < 1e-9)
            if isFitting { try #require(share == 0) }
        }
    }

    /// A model file that says that there is no shape is not one that does not say it.
    @Test func aModelsPreparationIsStatedWhole() throws {
        var generator = SeededGenerator(seed: 2)
        var configuration = LatentModelConfiguration.small
        configuration.preparation = LatentPreparation(shape: nil, percentiles: [1, 99], bounds: [0, 1])
        configuration.preparation.spacing = 1
        let weights = try LatentWeights(
            parameters: generator.latentParameters(configuration), configuration: configuration)
        #expect(weights.configuration == configuration)
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "model.safetensors")
            try Safetensors.write(weights, metadata: weights.metadata, to: file)
            #expect(try LatentWeights(contentsOf: file).configuration == configuration)
        }
    }

    @Test func volumesWithoutForegroundOrContrastAreRefused() {
        let grid = VoxelGrid(shape: [4, 4, 4])
        #expect(throws: LatentTranslationError.noForeground) {
            try LatentPreparation(shape: [4, 4, 4]).apply(to: Volume(grid: grid))
        }
        #expect(throws: LatentTranslationError.noContrast(percentiles: [0.5, 99.5], intensity: 3)) {
            try LatentPreparation(shape: [4, 4, 4]).apply(to: Volume(grid: grid, repeating: 3))
        }
        #expect {
            try LatentPreparation(shape: [4, 4, 4]).apply(
                to: Volume(grid: grid, repeating: 3),
                reference: Volume(grid: VoxelGrid(shape: [4, 4, 5]), repeating: 3))
        } throws: {
            "\($0)".contains("4 x 4 x 5 voxels") && "\($0)".contains("the source's grid, 4 x 4 x 4")
        }
    }
}
