import Foundation
import LatentTranslation
import TensorFiles
import TestSupport
import Testing
import VolumeIO
import Volumes

@testable import LatentTraining

/// Prepared volumes, the choice of examples, and stored latents.
struct ModalityDataTests {
    private func withData<Result>(
        _ body: (URL, ModalityManifest, (training: ModalityDataset, validation: ModalityDataset?)) throws ->
            Result
    ) throws -> Result {
        try withTemporaryFolder { folder in
            let manifest = try SmallCohort.write(to: folder)
            let data = try ModalityDataset.prepare(
                manifest, cache: folder.appending(path: "cache"), configuration: SmallCohort.configuration())
            return try body(folder, manifest, data)
        }
    }

    @Test func volumesArePreparedAsForTranslationInTheBoxOfTheReference() throws {
        try withData { _, manifest, data in
            #expect(data.training.names == ["a", "b", "c"] && data.validation?.names == ["d"])
            #expect(data.training.classes(of: 1) == [0, 2])
            let subject = manifest.subjects[0]
            let reference = try Volume(contentsOf: subject.volumes["t1"]!)
            let expected = try SmallCohort.configuration().model.preparation.apply(
                to: Volume(contentsOf: subject.volumes["flair"]!), reference: reference)
            #expect(try data.training.volume(0, 2, flips: []).values == expected.volume.voxels)
        }
    }

    @Test func aChangedFileIsPreparedAgain() throws {
        try withData { folder, manifest, data in
            let before = try data.training.volume(0, 1, flips: [])
            var generator = SeededGenerator(seed: 77)
            try SmallCohort.volume(&generator).write(to: manifest.subjects[0].volumes["t2"]!)
            let again = try ModalityDataset.prepare(
                manifest, cache: folder.appending(path: "cache"), configuration: SmallCohort.configuration())
            #expect(again.training.fingerprint != data.training.fingerprint)
            #expect(again.validation?.fingerprint == data.validation?.fingerprint)
            #expect(try again.training.volume(0, 1, flips: []) != before)
            // Whoever opened the earlier one does not get the other unawares.
            #expect(throws: (any Error).self) { try data.training.volume(0, 1, flips: []) }
        }
    }

    @Test func twoFlipsAreNone() async {
        await checkLaw { generator in
            let shape = [1, 2] + (0..<3).map { _ in generator.size(in: 1...4) }
            let tensor = Tensor(shape: shape, values: generator.floats(shape.reduce(1, *)))
            let flips = Flips(rawValue: generator.size(in: 0...7))
            let flipped = tensor.flipped(flips)
            try #require(flipped.flipped(flips) == tensor)
            let place = zip(shape[2...], [Flips.z, .y, .x]).map { flips.contains($1) ? $0 - 1 : 0 }
            try #require(flipped[0, 1, 0, 0, 0] == tensor[0, 1, place[0], place[1], place[2]])
        }
    }

    @Test func sourceAndTargetAreDrawnWithoutReplacement() throws {
        try withData { _, _, data in
            var drawer = ExampleDrawer(data.training, needsPairs: true, flips: 0.1, seed: 5)
            let count = 6000
            let examples = (0..<count).map { drawer.example($0) }
            for epoch in 0..<20 {
                #expect(Set(examples[3 * epoch..<3 * epoch + 3].map(\.subject)) == [0, 1, 2])
            }
            var pairs: [[Int]: Int] = [:]
            for example in examples {
                let classes = data.training.classes(of: example.subject)
                #expect(example.source != example.target)
                #expect(classes.contains(example.source) && classes.contains(example.target))
                pairs[[example.subject, example.source, example.target], default: 0] += 1
            }
            // 6 pairs of subjects with three modalities, 2 of the one with two; each as often as the others of its subject.
            #expect(pairs.count == 6 + 2 + 6)
            for (pair, found) in pairs {
                let expected = Double(count) / 3 / (pair[0] == 1 ? 2 : 6)
                #expect(abs(Double(found) - expected) < 5 * expected.squareRoot())
            }
            for axis in [Flips.x, .y, .z] {
                let flipped = Double(examples.count { $0.flips.contains(axis) })
                #expect(abs(flipped - 600) < 5 * 540.0.squareRoot())
            }
            #expect(Set(examples.map(\.noise.seed)).count == count)
            let places = examples.map(\.place)
            #expect(abs(places.reduce(0, +) / Double(count) - 0.5) < 0.02)
            // A function of the number alone.
            var again = ExampleDrawer(data.training, needsPairs: true, flips: 0.1, seed: 5)
            #expect(again.example(4321) == examples[4321])
        }
    }

    @Test func onlySourcesThatAreWantedAreDrawn() throws {
        try withData { _, _, data in
            var drawer = ExampleDrawer(data.training, needsPairs: true, sources: ["t1"], flips: 0.1, seed: 5)
            let t1 = try #require(data.training.targets.firstIndex(of: "t1"))
            let examples = (0..<600).map { drawer.example($0) }
            let drawn = drawer.validationExamples(100)
            for example in examples + drawn {
                #expect(example.source == t1 && example.target != t1)
                #expect(data.training.classes(of: example.subject).contains(example.target))
            }
            // Each subject that has T1, to each of its other modalities.
            let pairs = data.training.subjects.indices.map { data.training.classes(of: $0) }
                .filter { $0.contains(t1) }.reduce(0) { $0 + $1.count - 1 }
            #expect(Set(examples.map { [$0.subject, $0.target] }).count == pairs && drawn.count == pairs)
        }
    }

    @Test func storedLatentsAreThoseOfTheirNetworksAndVolumes() throws {
        try withData { folder, _, data in
            let configuration = try SmallCohort.configuration().model
            let cache = folder.appending(path: "latents")
            func latents(_ seed: UInt64) throws -> (cache: LatentCache, model: LatentModel) {
                let start = LatentParameters(configuration, seed: seed)
                let model = try start.model(options: ComputeOptions())
                return (try LatentCache(cache, model: model, parameters: start.firstStage), model)
            }
            let first = try latents(1)
            let volume = try data.training.volume(0, 2, flips: .y)
            let expected = try first.model.encode(volume)
            for _ in 0..<2 {
                #expect(try first.cache.latent(data.training, 0, 2, flips: .y) == expected)
                #expect(
                    try first.cache.translated(data.training, 0, 2, to: 1, flips: .y)
                        == first.model.translate(expected, to: [1]))
            }
            // Other networks in the same folder do not take what is stored.
            let second = try latents(2)
            #expect(
                try second.cache.latent(data.training, 0, 2, flips: .y) == second.model.encode(volume))
            // A damaged file is computed again.
            let file = cache.appending(path: "a+flair+2.safetensors")
            try Data(contentsOf: file).dropLast(3).write(to: file)
            #expect(
                try second.cache.latent(data.training, 0, 2, flips: .y) == second.model.encode(volume))
        }
    }
}
