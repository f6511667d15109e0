import Foundation
import TensorFiles
import TestSupport
import Testing
import VoxelBridge

/// The command with 3-D latent models, compared with results of other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct LatentTranslateTests {
    private func url(_ name: String) -> String { Fixtures.reference("aldm/\(name)").path }

    private func reference(_ name: String) throws -> Safetensors {
        try Safetensors(contentsOf: url("\(name).safetensors"))
    }

    /// A tensor `[1, 1, x, y, z]` of the reference as a volume.
    private func volume(_ tensor: Tensor, item: Int = 0) -> Volume {
        let one = tensor.slice(axis: 0, item..<item + 1)
        let shape = SIMD3(one.shape[2], one.shape[3], one.shape[4])
        return Volume(grid: VoxelGrid(shape: shape), voxels: one.reversingSpatialAxes().values)
    }

    private func translate(_ arguments: [String]) async throws -> Tool.Outcome {
        try await Tool.run(["translate"] + arguments)
    }

    private func succeed(_ arguments: [String]) async throws {
        let outcome = try await translate(arguments)
        try #require(outcome.status == 0, "\(outcome.messages)")
    }

    /// Configurations are found beside the files of weights.
    @Test func severalTargetsAgreeWithTheReference() async throws {
        try await withTemporaryFolder { folder in
            let numbers = try reference("sampling_a")
            let source = folder.appending(path: "source.nii")
            try volume(numbers.tensor("source")).write(to: source)
            let common = [
                "--model", url("unet_a.safetensors"), "--first-stage", url("autoencoder_a.safetensors"),
                "--raw",
                "--steps", "8", "--eta", "0", "--noise", url("sampling_a.safetensors"),
            ]
            let named = folder.appending(path: "{target}.nii").path
            try await succeed([source.path, named, "--target", "1", "--target", "FLAIR"] + common)
            for (name, target) in [("t1ce", 1), ("flair", 3)] {
                let result = try Volume(contentsOf: folder.appending(path: "\(name).nii"))
                let expected = volume(try numbers.tensor("ddim8.volume.\(target)"))
                #expect(relativeL2(result.voxels, expected.voxels) < 1e-5)
            }
            let quantised = folder.appending(path: "q.nii")
            try await succeed([source.path, quantised.path, "--target", "t1ce", "--requantise"] + common)
            let expected = volume(try numbers.tensor("ddim8.volume.1.requantised"))
            #expect(try relativeL2(Volume(contentsOf: quantised).voxels, expected.voxels) < 1e-5)
            // A folder; and a run in tiles of which one covers the volume.
            let results = folder.appending(path: "results")
            try await succeed([source.path, results.path + "/", "--target", "1", "--tile", "16"] + common)
            let tiled = try Volume(contentsOf: results.appending(path: "t1ce.nii.gz"))
            #expect(try tiled == Volume(contentsOf: folder.appending(path: "t1ce.nii")))
        }
    }

    @Test func checkpointsAgreeBeforeAndAfterImport() async throws {
        try await withTemporaryFolder { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let (ldm, first) = (
                try reference("checkpoint_ldm_out"), try reference("checkpoint_first_stage_out")
            )
            try volume(ldm.tensor("source")).write(to: path("source.nii"))
            let configurations = ["--config", url("autoencoder_a.json"), "--config", url("unet_a.json")]
            let sampling = [
                "--target", "flair", "--raw", "--steps", "8", "--eta", "0", "--noise",
                url("checkpoint_ldm_out.safetensors"),
            ]
            let checkpoint = url("checkpoint_ldm.ckpt")
            for (weights, expected) in [("ema", "ema.3"), ("model", "raw.3")] {
                try await succeed(
                    [path("source.nii"), path("\(weights).nii"), "--model", checkpoint, "--weights", weights]
                        + configurations + sampling)
                let result = try Volume(contentsOf: path("\(weights).nii"))
                #expect(try relativeL2(result.voxels, volume(ldm.tensor(expected)).voxels) < 1e-5)
            }
            let outcome = try await Tool.run(["import", checkpoint, path("aldm.safetensors")] + configurations)
            #expect(outcome.status == 0 && outcome.messages.contains("the ema weights of the denoiser"))
            try await succeed(
                [path("source.nii"), path("imported.nii"), "--model", path("aldm.safetensors")] + sampling)
            #expect(
                try Data(contentsOf: URL(filePath: path("imported.nii")))
                    == Data(contentsOf: URL(filePath: path("ema.nii"))))

            let targets = try first.tensor("target").values.map { Int($0) }
            for (item, target) in targets.enumerated() {
                try volume(first.tensor("x"), item: item).write(to: path("x.nii"))
                try await succeed([
                    path("x.nii"), path("first.nii"), "--model", url("checkpoint_first_stage.ckpt"), "--config",
                    url("autoencoder_a.json"), "--target", "\(target)", "--raw",
                ])
                let expected = volume(try first.tensor("translated"), item: item)
                #expect(try relativeL2(Volume(contentsOf: path("first.nii")).voxels, expected.voxels) < 1e-5)
            }
        }
    }

    /// Latents as files, in the layout of the public code.
    @Test func latentsAreWrittenAndDecoded() async throws {
        try await withTemporaryFolder { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let io = try reference("autoencoder_a_io")
            try volume(io.tensor("x")).write(to: path("x.nii"))
            let model = ["--model", url("autoencoder_a.safetensors"), "--raw"]
            try await succeed(
                [path("x.nii"), path("z.safetensors"), "--encode-only", "--target", "t1ce"] + model)
            let latents = try Safetensors(contentsOf: path("z.safetensors"))
            #expect(try latents.tensor("latent").values == io.tensor("quantised").slice(axis: 0, 0..<1).values)
            let translated = try latents.tensor("translated.t1ce")
            let expected = try io.tensor("translated_latent.1").slice(axis: 0, 0..<1)
            #expect(translated.shape == expected.shape && relativeL2(translated.values, expected.values) < 1e-5)
            try await succeed([path("z.safetensors"), path("y.nii"), "--decode"] + model)
            let decoded = try Volume(contentsOf: path("y.nii"))
            #expect(try relativeL2(decoded.voxels, volume(io.tensor("decoded")).voxels) < 1e-5)
        }
    }

    /// Without --raw: any grid, and the same bytes from an interrupted run and from any number of threads.
    @Test func aPreparedVolumeLiesOnItsOwnGrid() async throws {
        try await withTemporaryFolder { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let grid = VoxelGrid(
                shape: [21, 17, 19], affine: Affine(columns: [0, 0, -5], [5, 0, 0], [0, 5, 0]))
            try Volume.brainPhantom(on: grid).write(to: path("brain.nii"))
            let common = [
                "--model", url("unet_a.safetensors"), "--first-stage", url("autoencoder_a.safetensors"),
                "--steps",
                "4", "--target", "t2", "--seed", "3",
            ]
            let outcome = try await translate([path("brain.nii"), path("fit.nii"), "--shape", "fit"] + common)
            #expect(outcome.status == 0 && outcome.messages.contains("--spacing 1 resamples them"))
            let result = try Volume(contentsOf: path("fit.nii"))
            #expect(result.grid.matches(grid) && result.voxels[0] == 0)
            try await succeed(
                [path("brain.nii"), path("again.nii"), "--shape", "fit", "--threads", "1"] + common)
            #expect(try Volume(contentsOf: path("again.nii")) == result)
            let cut = try await translate([path("brain.nii"), path("cut.nii"), "--shape", "8x8x8"] + common)
            #expect(
                cut.status == 0
                    && cut.messages.contains("% of the voxels above 0 lie outside the crop of 8x8x8"))
        }
    }

    @Test func aKilledTranslationContinuesFromItsState() async throws {
        try await withTemporaryFolder { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            try Volume.brainPhantom(on: VoxelGrid(shape: [21, 17, 19], spacing: [5, 5, 5]))
                .write(to: path("brain.nii"))
            let common = [
                "--model", url("unet_a.safetensors"), "--first-stage", url("autoencoder_a.safetensors"),
                "--shape", "fit", "--steps", "250", "--seed", "3",
            ]
            let targets = ["--target", "t2", "--target", "flair"]
            try await succeed([path("brain.nii"), path("whole-{target}.nii")] + common + targets)
            let states = ["--state", path("{target}.state")]
            let (process, ended) = try Tool.start(
                ["translate", path("brain.nii"), path("broken-{target}.nii")] + common + targets + states,
                output: folder)
            let state = path("flair.state")
            await Tool.signal(process.processIdentifier) { exists(state) }
            for await _ in ended {}
            try #require(process.terminationStatus == SIGKILL, "it was done before it was killed")

            let other = try await translate(
                [path("brain.nii"), path("other-{target}.nii")] + common
                    + ["--target", "flair", "--eta", "0"] + states)
            #expect(other.status == 1, "\(other.messages)")
            #expect(other.messages.contains("\(path("flair.state")): the state belongs to another run"))
            let rest = try await translate(
                [path("brain.nii"), path("broken-{target}.nii"), "--threads", "1"] + common + targets + states)
            #expect(rest.status == 0 && rest.messages.contains("Continuing after step"), "\(rest.messages)")
            for target in ["t2", "flair"] {
                let files = try ["whole", "broken"].map {
                    try Data(contentsOf: URL(filePath: path("\($0)-\(target).nii")))
                }
                #expect(files[0] == files[1], "\(target)")
                #expect(!FileManager.default.fileExists(atPath: path("\(target).state")))
            }
        }
    }

    @Test func whatDoesNotFitIsReported() async throws {
        try await withTemporaryFolder { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            try Volume(grid: VoxelGrid(shape: [16, 18, 12]), repeating: 1).write(to: path("odd.nii"))
            let before = try folder.files
            let model = [
                "--model", url("unet_a.safetensors"), "--first-stage", url("autoencoder_a.safetensors"),
            ]
            for (status, options, message) in [
                (2, ["--target", "pd"], "--target: there is no target 'pd'; the model has t1 (0), t1ce (1)"),
                (2, ["--target", "7"], "there is no target '7'"),
                (2, [], "give a target with --target: t1, t1ce"),
                (2, ["--target", "t1", "--target", "0"], "--target t1 was given twice"),
                (
                    2, ["--target", "t1", "--target", "t2"],
                    "the output must be a folder, or a name with {target}"
                ),
                (2, ["--target", "t1", "--steps", "600"], "--steps: 600 steps: expected 1 to 500"),
                (2, ["--target", "t1", "--steps", "300"], "choose 250 or 334"),
                (2, ["--target", "t1", "--eta", "2"], "--eta must be from 0 to 1, but is 2.0"),
                (2, ["--target", "t1", "--shape", "16x16"], "--shape must be like 144x192x144"),
                (2, ["--target", "t1", "--shape", "16x16x18"], "expected three multiples of 4"),
                (2, ["--target", "t1", "--tile", "10"], "--tile must be a multiple of 4"),
                (2, ["--target", "t1", "--mode", "ista"], "--mode applies only to 2-D networks"),
                (2, ["--target", "t1", "--style", "x.json"], "--style applies only to 2-D networks"),
                (
                    1, ["--target", "t1", "--raw", "--steps", "4"],
                    "odd.nii: the volume: found 16 x 18 x 12 voxels; expected multiples of 4 along each axis"
                ),
            ] {
                let outcome = try await translate([path("odd.nii"), path("out.nii")] + model + options)
                #expect(
                    outcome.status == Int32(status) && outcome.messages.contains(message), "\(outcome.messages)"
                )
            }
            // A folder is made only for results.
            let folders = try await translate(
                [path("odd.nii"), path("new") + "/", "--target", "t1", "--raw", "--steps", "4"] + model)
            #expect(folders.status == 1 && folders.messages.contains("expected multiples of 4"))
            let taken = try await translate([path("odd.nii"), path("odd.nii") + "/", "--target", "t1"] + model)
            #expect(taken.status == 2 && taken.messages.contains("exists and is not a folder"))
            let slices = Fixtures.reference("unet_b.safetensors").path
            let target = try await translate([
                path("odd.nii"), path("out.nii"), "--model", slices, "--target", "t1",
            ])
            #expect(
                target.status == 2 && target.messages.contains("--target applies only to 3-D latent models"))
            let wrong = try await translate([
                path("odd.nii"), path("out.nii"), "--model", url("unet_a.safetensors"), "--first-stage",
                url("autoencoder_b.safetensors"), "--target", "t1",
            ])
            #expect(
                wrong.status == 1 && wrong.messages.contains("this is not the first stage of the denoiser in"))
            let alone = try await translate([
                path("odd.nii"), path("out.nii"), "--model", url("unet_a.safetensors"), "--target", "t1",
            ])
            #expect(alone.status == 1 && alone.messages.contains("with --first-stage"))
            let unstated = try await translate([
                path("odd.nii"), path("out.nii"), "--model", url("checkpoint_ldm.ckpt"), "--target", "t1",
            ])
            #expect(unstated.status == 1 && unstated.messages.contains("nothing states num_groups"))
            #expect(try folder.files == before)
        }
    }

    @Test func modelsAreDescribed() async throws {
        let text = try await Tool.succeed("info", url("checkpoint_ldm.ckpt")).output
        for line in [
            "model        3-D latent translator", "holds        first_stage, denoiser (model), denoiser (ema)",
            "targets      t1 (0), t1ce (1), t2 (2), flair (3)",
            "  num_groups               not in the file: give it with --config",
            "  ch_mult                  [1,2]",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
        let json = try await Tool.succeed("info", url("unet_b.safetensors"), "--json").output
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect(object["targets"] as? [String] == ["class0", "class1", "class2"])
        let networks = try #require(object["networks"] as? [[String: Any]])
        let configuration = try #require(networks.first?["configuration"] as? [String: Any])
        #expect(configuration["conditioning"] as? String == "cross-attention")
        #expect(configuration["num_head_channels"] is NSNull)
    }
}
