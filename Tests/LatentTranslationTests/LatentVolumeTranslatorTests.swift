import Foundation
@testable import LatentTranslation
import TestSupport
import Testing

/// Whole translations of a synthetic head with random weights: what must hold for any weights.
struct LatentVolumeTranslatorTests {
    static let model = Result {
        var generator = SeededGenerator(seed: 21)
        return try generator.latentModel()
    }

    static func head() -> Volume {
        .brainPhantom(on: VoxelGrid(shape: [28, 32, 26], spacing: [3, 3, 3]))
    }

    static func translator(steps: Int = 4, eta: Double = 1) throws -> LatentVolumeTranslator {
        try LatentVolumeTranslator(model.get(), steps: steps, eta: eta, seed: 9)
    }

    @Test func oneEncodingServesManyTargets() async throws {
        let (translator, head) = (try Self.translator(), Self.head())
        let encoded = try await translator.encode(head)
        #expect(encoded.latent.shape[1] == 3 && encoded.sourceGrid == head.grid)
        var results: [Volume] = []
        for target in ["t2", "FLAIR", "0"] {
            let volume = try await translator.translate(encoded, to: target)
            #expect(volume.grid == head.grid)
            #expect(try await translator.translate(head, to: target) == volume)
            // The source's background is 0, and so is what lies outside the crop.
            let foreground = ForegroundMask(of: head).isForeground
            #expect(zip(volume.voxels, foreground).allSatisfy { $1 || $0 == 0 })
            #expect(volume.voxels.contains { $0 != 0 })
            results.append(volume)
        }
        #expect(results[0] != results[1] && results[1] != results[2])
        var other = translator
        other.noise.seed = 10
        #expect(try await other.translate(encoded, to: "t2") != results[0])
    }

    @Test func aStateIsResumedToTheSameBitsAndPreviewsAreDecodedOnRequest() async throws {
        try await withTemporaryFolder { folder in
            let translator = try Self.translator()
            let encoded = try await translator.encode(Self.head())
            let file = folder.appending(path: "state")
            var (steps, result, previews) = (0, Volume?.none, [Volume]())
            for try await state in try await translator.states(of: encoded, to: "t2") {
                steps += 1
                if steps == 2 {
                    try state.sampling.write(to: file)
                    previews.append(try await state.volume())
                }
                if state.isComplete { result = try await state.volume() }
            }
            let whole = try #require(result)
            #expect(steps == 4 && previews[0].grid == whole.grid && previews[0] != whole)
            #expect(try await translator.translate(encoded, to: "t2") == whole)
            let saved = try SamplingState<Tensor>(contentsOf: file)
            for try await state in try await translator.states(of: encoded, to: "t2", resuming: saved)
            where state.isComplete {
                #expect(try await state.volume() == whole)
            }
            for (other, target) in [(try Self.translator(), "flair"), (try Self.translator(eta: 0), "t2")] {
                await #expect(throws: SamplingStateError.self) {
                    try await other.states(of: encoded, to: target, resuming: saved)
                }
            }
        }
    }

    @Test func aTileThatCoversTheVolumeChangesNothing() async throws {
        let (head, translator) = (Self.head(), try Self.translator())
        var tiled = translator
        tiled.tiling = LatentTiling(size: 64)
        let whole = try await translator.translate(head, to: "t2")
        #expect(try await tiled.translate(head, to: "t2") == whole)
        tiled.tiling = LatentTiling(size: 16, overlap: 8)
        let parts = try await tiled.translate(head, to: "t2")
        print("tiles of 16 with random weights: relative L2 \(relativeL2(parts.voxels, whole.voxels))")
        #expect(parts.grid == whole.grid && parts != whole)
    }

    /// Encoding, sampling and decoding: threads, a saved state and a covering tile change no bit.
    @Test func theWholePathHasTheSameBits() async throws {
        let head = Self.head()
        var first: [UInt32]?
        for threads in [1, 2, 3, 5] {
            var generator = SeededGenerator(seed: 21)
            let model = try generator.latentModel(options: ComputeOptions(threads: threads))
            for isTiled in [false, true] {
                var translator = try LatentVolumeTranslator(model, steps: 5, eta: 1, seed: 9)
                translator.tiling = isTiled ? LatentTiling(size: 64) : nil
                let encoded = try await translator.encode(head)
                var saved: SamplingState<Tensor>?
                var results: [Volume] = []
                for try await state in try await translator.states(of: encoded, to: "t2") {
                    if saved == nil { saved = state.sampling }
                    if state.isComplete { results.append(try await state.volume()) }
                }
                for try await state in try await translator.states(of: encoded, to: "t2", resuming: saved)
                where state.isComplete { results.append(try await state.volume()) }
                try #require(results.count == 2)
                for result in results {
                    let bits = result.voxels.map(\.bitPattern)
                    if first == nil { first = bits }
                    #expect(bits == first, "\(threads) threads, tiled: \(isTiled)")
                }
            }
        }
    }

    @Test func cancellationIsObserved() async throws {
        let translator = try Self.translator(steps: 200)
        let encoded = try await translator.encode(Self.head())
        let task = Task { try await translator.translate(encoded, to: "t2") }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func whatDoesNotFitIsNamed() async throws {
        var translator = try Self.translator()
        func message(_ body: () async throws -> Void) async -> String {
            do {
                try await body()
                return "no error"
            } catch { return "\(error)" }
        }
        let head = Self.head()
        #expect(
            await message { _ = try await translator.translate(head, to: "pd") }
                == "there is no target 'pd'; the model has t1 (0), t1ce (1), t2 (2), flair (3)")
        #expect(await message { _ = try await translator.translate(head, to: "4") }.contains("target '4'"))
        translator.preparation = nil
        #expect(
            await message { _ = try await translator.encode(Volume(grid: VoxelGrid(shape: [8, 8, 6]))) }
                == "the volume: found 8 x 8 x 6 voxels; expected multiples of 4 along each axis")
        let encoded = try await translator.encode(Volume(grid: VoxelGrid(shape: [8, 8, 4])))
        translator.givenNoise = (Tensor(shape: [1, 3, 4, 4, 4]), nil)
        #expect(
            await message { _ = try await translator.translate(encoded, to: "t1") }
                == "the noise to start at: found shape [1, 3, 4, 4, 4]; expected [1, 3, 2, 4, 4], as the latent has"
        )
        translator.givenNoise = (Tensor(shape: [1, 3, 2, 4, 4]), [Tensor(shape: [1, 3, 2, 4, 4])])
        #expect(
            await message { _ = try await translator.translate(encoded, to: "t1") }.contains(
                "the noises of steps: found 1; expected 4"))
        translator.tiling = LatentTiling(size: 10)
        #expect(
            await message { _ = try await translator.encode(head) }.contains(
                "the size of tiles: found 10; expected a multiple of 4"))
        translator.tiling = LatentTiling(size: 16, overlap: 12)
        #expect(await message { _ = try await translator.encode(head) }.contains("from 0 to 8"))
        translator.tiling = LatentTiling(size: 16, overlap: 16)
        #expect(
            await message { _ = try await translator.translated(Tensor(shape: [1, 3, 8, 8, 8]), to: 0) }
                .contains("16 voxels that overlap by 16"))
        let model = translator.model
        let latent = Tensor(shape: [2, 3, 2, 2, 2])
        #expect(throws: LatentTranslationError.self) { try model.translate(latent, to: [0]) }
        #expect(throws: LatentTranslationError.self) { try model.translate(latent, to: [0, 4]) }
        #expect(throws: LatentTranslationError.self) { try model.decode(Tensor(shape: [1, 4, 2, 2, 2])) }
        #expect(throws: LatentTranslationError.self) { try model.encode(Tensor(shape: [1, 1, 4, 4, 5])) }
        #expect(throws: LatentTranslationError.self) {
            try model.predict(
                latent, conditioningLatents: latent, timesteps: [1, 1], targets: [0, 0])
        }
    }
}

struct LatentTilingTests {
    /// Functions of each element alone are the same in tiles, bit for bit, at any size and overlap.
    @Test func tilesThatAgreeGiveTheirBits() async {
        await checkLaw(cases: 60) { generator in
            let unit = [1, 2, 4].randomElement(using: &generator)!
            let extents = (0..<3).map { _ in 4 * generator.size(in: 1...6) }
            let size = 4 * generator.size(in: 1...5)
            let tiling = LatentTiling(size: size, overlap: 4 * Int.random(in: 0...size / 8, using: &generator))
            let x = randomTensor([1, 2] + extents, &generator)
            let squared = try tiling.apply(to: [x], inputUnit: 1, outputUnit: 1) { parts in
                Tensor(shape: parts[0].shape, values: parts[0].values.map { $0 * $0 })
            }
            try #require(squared.values == x.values.map { $0 * $0 })
            // To and from a coarser grid.
            let coarse = try tiling.apply(to: [x], inputUnit: 1, outputUnit: unit) { $0[0].everyNth(unit) }
            try #require(coarse == x.everyNth(unit))
            let fine = try tiling.apply(to: [coarse], inputUnit: unit, outputUnit: 1) {
                $0[0].repeated(unit)
            }
            try #require(fine == coarse.repeated(unit))
        }
    }

    /// Where tiles differ their mean lies between them, and changes gradually.
    @Test func tilesThatDifferAreBlended() throws {
        let x = Tensor(shape: [1, 1, 4, 4, 24])
        var tile: Float = 0
        let blended = try LatentTiling(size: 16, overlap: 8).apply(to: [x], inputUnit: 1, outputUnit: 1) {
            tile += 1
            return Tensor(shape: $0[0].shape, repeating: tile)
        }
        let row = Array(blended.values.prefix(24))
        #expect(row.prefix(8).allSatisfy { $0 == 1 } && row.suffix(8).allSatisfy { $0 == 2 })
        #expect(zip(row[7...16], row[8...16]).allSatisfy { $0 < $1 && $1 - $0 < 0.2 })
    }
}

extension Tensor {
    /// Every n-th element along each spatial axis, and each element n times.
    fileprivate func everyNth(_ n: Int) -> Tensor { resampled(shape[2...].map { $0 / n }) { $0 * n } }
    fileprivate func repeated(_ n: Int) -> Tensor { resampled(shape[2...].map { $0 * n }) { $0 / n } }

    private func resampled(_ extents: [Int], _ place: (Int) -> Int) -> Tensor {
        let other = Array(shape[..<2]) + extents
        return Tensor(
            shape: other,
            values: indices(of: other).map { index in
                let source = index.prefix(2) + index.dropFirst(2).map(place)
                return values[zip(source, shape).reduce(0) { $0 * $1.1 + $1.0 }]
            })
    }
}
