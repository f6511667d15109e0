import Foundation
import TensorFiles
import TestSupport
import Testing
import VoxelBridge

/// The command with networks, compared with results of other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct NetworkTests {
    private let weights = Fixtures.reference("unet_b.safetensors").path

    /// A folder with the reference's source and style.
    private func withSource(_ body: (URL, Safetensors) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let reference = try Safetensors(contentsOf: Fixtures.reference("sampling_b.safetensors"))
            let slices = try reference.tensor("source")
            let shape = SIMD3(slices.shape[2], slices.shape[1], slices.shape[0])
            try Volume(grid: VoxelGrid(shape: shape), voxels: slices.values)
                .write(to: folder.appending(path: "source.nii"))
            let tokens = try reference.tensor("key")
            let bins = tokens.shape[1]
            try StyleKey(
                histogram: Array(tokens.values[..<bins]), cumulative: Array(tokens.values[bins..<2 * bins]),
                difference: Array(tokens.values[(2 * bins)...])
            ).write(to: folder.appending(path: "style.json"))
            try await body(folder, reference)
        }
    }

    private func translate(_ folder: URL, _ options: [String]) async throws -> Tool.Outcome {
        try await Tool.run(
            [
                "translate", folder.appending(path: "source.nii").path,
                folder.appending(path: "result.nii").path, "--model", weights, "--style",
                folder.appending(path: "style.json").path, "--raw",
            ] + options)
    }

    @Test(arguments: [
        ("ista-middle.M1.paper.reference-step", "--mode ista-middle --scaling paper"),
        (
            "ista.M2.reference.marginal-step",
            "--corrections 2 --solver ddim"
        ),
        ("independent.M0.paper.reference-step", "--mode independent"),
        ("ista.M1.paper.reference-step.noise", "--scaling paper --prediction-type noise"),
        ("ista.M1.paper.reference-step.ysubx", "--scaling paper --objective difference --step-rule reference"),
    ])
    func translatesAsTheReference(name: String, options: String) async throws {
        try await withSource { folder, reference in
            let options = ["--steps", "8", "--no-bound"] + options.split(separator: " ").map(String.init)
            let outcome = try await translate(folder, options)
            try #require(outcome.status == 0, "\(outcome.messages)")
            let result = try Volume(contentsOf: folder.appending(path: "result.nii"))
            #expect(try relativeL2(result.voxels, reference.tensor(name).values) < 1e-4)
        }
    }

    @Test func theBytesAreTheSameForAnyThreadsAndBatches() async throws {
        try await withSource { folder, _ in
            var files: Set<Data> = []
            for (threads, batch) in [("1", "1"), ("2", "3"), ("2", "16")] {
                let outcome = try await translate(
                    folder, ["--steps", "3", "--threads", threads, "--batch", batch])
                try #require(outcome.status == 0, "\(outcome.messages)")
                files.insert(try Data(contentsOf: folder.appending(path: "result.nii")))
            }
            #expect(files.count == 1)
        }
    }

    /// Without --raw the volume is prepared so that it fits the network, whatever its grid.
    @Test func aVolumeOfAnySizeFits() async throws {
        try await withSource { folder, _ in
            try Volume.brainPhantom(on: VoxelGrid(shape: [13, 17, 5], spacing: [5, 5, 11]))
                .write(to: folder.appending(path: "brain.nii"))
            let result = folder.appending(path: "result.nii")
            try await Tool.succeed(
                "translate", folder.appending(path: "brain.nii").path, result.path, "--model", weights,
                "--config", Fixtures.reference("unet_b.json").path, "--style",
                folder.appending(path: "style.json").path, "--spacing", "8", "--steps", "3", "--plane",
                "sagittal")
            #expect(try Volume(contentsOf: result).shape == [13, 17, 5])
        }
    }

    @Test(arguments: ["a", "b", "c", "d"])
    func predictsAsTheReference(name: String) async throws {
        try await withTemporaryFolder { folder in
            let input = Fixtures.reference("unet_\(name)_io.safetensors")
            let output = folder.appending(path: "out.safetensors")
            let outcome = try await Tool.succeed(
                "predict", input.path, output.path, "--model",
                Fixtures.reference("unet_\(name).safetensors").path, "--config",
                Fixtures.reference("unet_\(name).json").path)
            #expect(outcome.output.isEmpty)
            let predicted = try Safetensors(contentsOf: output).tensor("out")
            let expected = try Safetensors(contentsOf: input).tensor("out")
            #expect(predicted.shape == expected.shape)
            #expect(relativeL2(predicted.values, expected.values) < 2e-5)
        }
    }

    /// Errors about inputs that do not fit the network name the file.
    @Test func inputsThatDoNotFitAreReported() async throws {
        try await withSource { folder, _ in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            try Volume(grid: VoxelGrid(shape: [31, 32, 7])).write(to: folder.appending(path: "odd.nii"))
            try StyleKey(histogram: [5, 5], cumulative: [5, 10], difference: [0, 0])
                .write(to: folder.appending(path: "two.json"))
            let before = try folder.files

            let odd = try await Tool.run(
                "translate", path("odd.nii"), path("result.nii"), "--model", weights, "--style",
                path("style.json"), "--raw")
            #expect(odd.status == 1)
            #expect(odd.messages.contains("\(path("odd.nii")): its axial slices are 31 x 32 voxels"))
            #expect(odd.messages.contains("multiples of 2; leave out --raw"))

            let bins = try await translate(folder, ["--style", path("two.json")])
            #expect(bins.status == 1)
            #expect(
                bins.messages.contains(
                    "\(path("two.json")): the style key has 2 bins and the network takes 128"))

            let weightsOfAnother = try await translate(
                folder, ["--config", Fixtures.reference("unet_a.json").path])
            #expect(weightsOfAnother.status == 1)
            #expect(weightsOfAnother.messages.contains("unet_a.json: num_res_blocks: found 2; expected 1"))
            #expect(weightsOfAnother.messages.contains("as the parameters in \(weights) show"))
            #expect(try folder.files == before)
        }
    }
}
