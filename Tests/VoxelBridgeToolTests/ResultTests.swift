import Foundation
import TensorFiles
import TestSupport
import Testing
import VoxelBridge

/// The results of the commands other than `translate` and `predict`.
struct ResultTests {
    private let phantom = Volume.brainPhantom(on: VoxelGrid(shape: [18, 20, 14], spacing: [3.5, 4, 4]))

    private func withVolumes(_ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try phantom.write(to: folder.appending(path: "a.nii.gz"), text: "a phantom")
            try phantom.map { $0 * $0 }.write(to: folder.appending(path: "b.nii"))
            try await body(folder)
        }
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ output: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(output.utf8))
    }

    // MARK: key

    @Test(
        .enabled(if: Fixtures.hasReference && Fixtures.hasData, Fixtures.missingReference),
        arguments: [128, 32])
    func aKeyIsThatOfNumPy(bins: Int) async throws {
        let volume = Fixtures.data("colin27_t1_2mm.nii.gz").path
        let outcome = try await Tool.succeed("key", volume, "--bins", "\(bins)")
        #expect(outcome.messages.isEmpty)
        let key = try decode(StyleKey.self, outcome.output)
        let expected = try Safetensors(contentsOf: Fixtures.reference("style_key_colin27.safetensors"))
            .tensor("key_\(bins)")
        #expect(relativeL2(key.tokens, expected.values) < 1e-6)
    }

    @Test func aKeyOfSeveralIsTheirMean() async throws {
        try await withVolumes { folder in
            let (a, b) = (folder.appending(path: "a.nii.gz"), folder.appending(path: "b.nii"))
            let file = folder.appending(path: "key.json")
            let outcome = try await Tool.succeed(
                "key", a.path, b.path, "--bins", "16", "--output", file.path)
            #expect(outcome.output.isEmpty)
            #expect(outcome.messages == "Wrote \(file.path)\n")
            let keys = try [a, b].map { try StyleKey(of: Volume(contentsOf: $0), bins: 16) }
            #expect(try StyleKey(contentsOf: file) == StyleKey(averaging: keys))
        }
    }

    // MARK: evaluate

    @Test(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
    func metricsAreThoseOfScikitImage() async throws {
        let expected = try decode(
            [String: Double].self, String(contentsOf: Fixtures.reference("metrics.json"), encoding: .utf8))
        let files = ["metrics_prediction.nii.gz", "metrics_reference.nii.gz"].map {
            Fixtures.reference($0).path
        }
        let json = try await Tool.succeed("evaluate", files[0], files[1], "--json")
        let found = try decode([String: Double].self, json.output)
        let names = [
            ("nrmse_euclidean", "nrmse_euclidean"), ("nrmse_min-max", "nrmse_min-max"),
            ("nrmse_mean", "nrmse_mean"), ("nrmse_prediction_range", "nrmse_prediction_range"),
            ("nmse", "nmse"), ("mae", "mae"), ("psnr", "psnr"), ("ssim", "ssim_uniform7"),
        ]
        for (name, reference) in names {
            let (value, correct) = (try #require(found[name], "\(found)"), try #require(expected[reference]))
            #expect(abs(value - correct) < 1e-5 * abs(correct), "\(name)")
        }
        // Without --json the same, a line each.
        let text = try await Tool.succeed("evaluate", files[0], files[1])
        let lines = text.output.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(Set(lines.map { String($0[0]) }) == Set(found.keys))
        for line in lines {
            let value = try #require(Double(line[1]))
            let exact = try #require(found[String(line[0])])
            #expect(abs(value - exact) <= 1e-5 * abs(exact))
        }
    }

    @Test func aMaskAndTheDataRangeCount() async throws {
        try await withVolumes { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            func metrics(_ options: String...) async throws -> String {
                let arguments = ["evaluate", path("a.nii.gz"), path("wrong.nii"), "--json"] + options
                let outcome = try await Tool.run(arguments)
                try #require(outcome.status == 0, "\(outcome.messages)")
                return outcome.output
            }
            // Wrong by 10 in the lower half, and the mask is the upper one.
            var (wrong, mask) = (phantom, Volume(grid: phantom.grid))
            let half = phantom.grid.count / 2
            for index in phantom.voxels.indices {
                if index < half { wrong.voxels[index] += 10 } else { mask.voxels[index] = 1 }
            }
            try wrong.write(to: folder.appending(path: "wrong.nii"))
            try mask.write(to: folder.appending(path: "mask.nii"))
            let plain = try decode([String: Double].self, await metrics("--data-range", "100"))
            #expect(abs(plain["mae"]! - 5) < 1e-5)
            // The mean squared error is 50: 20 log10(100) - 10 log10(50).
            #expect(abs(plain["psnr"]! - 23.0103) < 1e-4)
            #expect(try await metrics("--mask", path("mask.nii")).contains("\"mae\" : 0,"))
            #expect(try await metrics("--plane", "coronal").contains("\"slice_difference_coronal\" : "))
        }
    }

    @Test func equalVolumesAreTheBestThereIs() async throws {
        try await withVolumes { folder in
            let a = folder.appending(path: "a.nii.gz").path
            let text = try await Tool.succeed("evaluate", a, a)
            #expect(text.output.contains("psnr") && text.output.contains("inf"))
            let json = try await Tool.succeed("evaluate", a, a, "--json")
            #expect(json.output.contains("\"psnr\" : \"Infinity\""))
        }
    }

    @Test func volumesAtDifferentPlacesAreWarnedOf() async throws {
        try await withVolumes { folder in
            var affine = phantom.grid.affine
            affine.translation.x += 5
            try Volume(grid: VoxelGrid(shape: phantom.shape, affine: affine), voxels: phantom.voxels)
                .write(to: folder.appending(path: "moved.nii"))
            let outcome = try await Tool.succeed(
                "evaluate", folder.appending(path: "a.nii.gz").path, folder.appending(path: "moved.nii").path)
            #expect(outcome.messages.contains("Warning:") && outcome.messages.contains("moved.nii"))
        }
    }

    // MARK: info

    private struct Facts: Decodable {
        let format: String
        let shape: [Int]
        let spacing: [Double]
        let orientation: String
        let affine: [[Double]]
        let dataType: String
        let description: String
        let intensities: Intensities?

        struct Intensities: Decodable {
            let minimum: Float
            let maximum: Float
            let notFinite: Int
        }
    }

    @Test func infoTellsWhatIsInAFile() async throws {
        try await withVolumes { folder in
            let a = folder.appending(path: "a.nii.gz").path
            let outcome = try await Tool.succeed("info", a, "--json")
            #expect(outcome.messages.isEmpty)
            let facts = try decode(Facts.self, outcome.output)
            #expect(facts.format == "NIfTI-1" && facts.shape == [18, 20, 14] && facts.orientation == "RAS")
            #expect(facts.spacing == [3.5, 4, 4] && facts.description == "a phantom")
            #expect(facts.affine == [[3.5, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])
            #expect(facts.intensities?.maximum == phantom.intensityRange.upperBound)
            #expect(facts.intensities?.notFinite == 0)
            let text = try await Tool.succeed("info", a).output
            for fact in ["18 x 20 x 14", "3.5, 4, 4 mm", "RAS", "NIfTI-1", "a phantom"] {
                #expect(text.contains(fact), "\(fact) is missing in:\n\(text)")
            }
        }
    }

    @Test(.enabled(if: Fixtures.hasData, Fixtures.missingData))
    func infoTellsOfASeriesToo() async throws {
        let outcome = try await Tool.succeed("info", Fixtures.data("perfusion_4d.nii.gz").path, "--json")
        let facts = try decode(Facts.self, outcome.output)
        #expect(facts.shape == [52, 68, 20, 10] && facts.intensities == nil)
    }

    // MARK: preprocess, montage

    @Test func preprocessWritesWhatTheModelWouldSee() async throws {
        try await withVolumes { folder in
            let output = folder.appending(path: "out.nii.gz")
            let outcome = try await Tool.succeed(
                "preprocess", folder.appending(path: "b.nii").path, output.path, "--spacing", "5", "--multiple",
                "8", "--plane", "coronal")
            #expect(outcome.output.isEmpty && outcome.messages == "Wrote \(output.path)\n")
            let expected = try PreprocessingPipeline.brain(spacing: 5)
                .appending(PadToMultiple(of: 8, plane: .coronal))
                .apply(to: Volume(contentsOf: folder.appending(path: "b.nii"))).volume
            let found = try Volume(contentsOf: output)
            #expect(found.voxels == expected.voxels && found.shape == expected.shape)
            #expect(found.shape.x % 8 == 0 && found.shape.z % 8 == 0)
        }
    }

    @Test func aPairAndItsLabelsArePreparedBySavedSteps() async throws {
        try await withVolumes { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let labels = phantom.map { $0 > 85 ? 2 : $0 > 0 ? 1 : 0 }
            try labels.write(to: path("labels.nii"))
            try await Tool.succeed(
                "preprocess", path("a.nii.gz"), path("a_in.nii"), "--spacing", "3", "--margin", "1",
                "--interpolation", "cubic", "--save-pipeline", path("steps.json"))
            try await Tool.succeed(
                "preprocess", path("b.nii"), path("b_in.nii"), "--pipeline", path("steps.json"))
            try await Tool.succeed(
                "preprocess", path("labels.nii"), path("labels_in.nii"), "--pipeline", path("steps.json"),
                "--labels")
            let a = try Volume(contentsOf: path("a_in.nii"))
            let (b, c) = (
                try Volume(contentsOf: path("b_in.nii")), try Volume(contentsOf: path("labels_in.nii"))
            )
            #expect(a.grid.matches(b.grid) && a.grid.matches(c.grid))
            #expect(Set(c.voxels) == [0, 1, 2] && b.intensityRange == 0...1)
            let refused = try await Tool.run(
                "preprocess", path("a_in.nii"), path("no.nii"), "--pipeline", path("steps.json"))
            #expect(refused.status == 1 && refused.messages.contains("mm apart"), "\(refused.messages)")
        }
    }

    @Test func aVolumeGoesOntoAnothersGrid() async throws {
        try await withVolumes { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let shape = try await Tool.succeed(
                "preprocess", path("a.nii.gz"), path("small.nii"), "--preset", "brats", "--spacing", "6",
                "--shape",
                "6,5,7", "--orientation", "PIR")
            #expect(shape.messages.contains("cuts off some of the foreground"), "\(shape.messages)")
            try await Tool.succeed("preprocess", path("b.nii"), path("moved.nii"), "--onto", path("small.nii"))
            let (small, moved) = (
                try Volume(contentsOf: path("small.nii")), try Volume(contentsOf: path("moved.nii"))
            )
            #expect(small.shape == [6, 5, 7] && "\(small.grid.orientation)" == "PIR")
            #expect(moved.grid == small.grid)
        }
    }

    @Test func volumesInDifferentPlacesAreComparedWithAWarningInMillimetres() async throws {
        try await withVolumes { folder in
            var affine = phantom.grid.affine
            affine.translation.x += 0.5
            let moved = Volume(grid: VoxelGrid(shape: phantom.shape, affine: affine), voxels: phantom.voxels)
            let file = folder.appending(path: "moved.nii").path
            try moved.write(to: file)
            let outcome = try await Tool.succeed("evaluate", file, folder.appending(path: "a.nii.gz").path)
            #expect(outcome.messages.contains("they are up to 0.5 mm apart"), "\(outcome.messages)")
        }
    }

    @Test func aMontageIsAnImage() async throws {
        try await withVolumes { folder in
            let image = folder.appending(path: "figure.png")
            let outcome = try await Tool.succeed(
                "montage", folder.appending(path: "a.nii.gz").path, folder.appending(path: "b.nii").path,
                "--labels", "one,two", "--convention", "neurological", "--output", image.path)
            #expect(outcome.output.isEmpty)
            #expect(try Data(contentsOf: image).starts(with: [0x89, 0x50, 0x4e, 0x47]))
        }
    }
}
