import Foundation
import TensorFiles
import TestSupport
import Testing
import VoxelBridge

/// A model contains the settings of its training, which `translate` uses.
struct CarriedSettingsTests {
    private static let field = "voxelbridge_translation"

    private func model(_ folder: URL) -> URL { folder.appending(path: "run/model.safetensors") }

    /// A folder with a network that has been trained for some steps.
    private func withModel(_ settings: String, _ body: (URL) async throws -> Void) async throws {
        try await TrainingPairs.withFolder(settings) { folder in
            let outcome = try await Tool.run(TrainingPairs.arguments(folder, run: "run"))
            try #require(outcome.status == 0, "\(outcome.messages)")
            try await body(folder)
        }
    }

    /// Copies the model with other metadata.
    private func copy(_ folder: URL, to name: String, _ change: (inout [String: String]) -> Void) throws -> URL
    {
        let file = try Safetensors(contentsOf: model(folder))
        var metadata = file.metadata
        change(&metadata)
        let copy = folder.appending(path: name)
        try Safetensors.write(file, metadata: metadata, to: copy)
        return copy
    }

    private func translate(_ folder: URL, _ model: URL, _ options: String...) async throws -> Tool.Outcome {
        try await Tool.run(
            [
                "translate", folder.appending(path: "carl-ct.nii.gz").path,
                folder.appending(path: "out.nii").path, "--model", model.path, "--steps", "4", "--verbose",
            ] + options)
    }

    private func translated(_ folder: URL, _ model: URL, _ options: String...) async throws -> Data {
        let outcome = try await Tool.run(
            [
                "translate", folder.appending(path: "carl-ct.nii.gz").path,
                folder.appending(path: "out.nii").path, "--model", model.path, "--style",
                folder.appending(path: "run/style.json").path, "--steps", "4",
            ] + options)
        try #require(outcome.status == 0, "\(outcome.messages)")
        return try Data(contentsOf: folder.appending(path: "out.nii"))
    }

    @Test(arguments: [
        ("brownian_bridge", "noise", "sin"), ("symmetric_bridge", "difference", "linear"),
        ("diffusion", "velocity", "linear"), ("rectified_flow", "velocity", "linear"),
    ])
    func theModelSaysWhatItWasTrainedFor(kind: String, objective: String, schedule: String) async throws {
        let settings = TrainingPairs.settings(
            """
            , "process": { "kind": "\(kind)", "schedule": "\(schedule)" }, "objective": "\(objective)"
            """
        ).replacing("\"spacing\": 8", with: "\"spacing\": 7.5, \"plane\": \"coronal\"")
        try await withModel(settings) { folder in
            let stripped = try copy(folder, to: "bare.safetensors") { $0[Self.field] = nil }
            let (carried, bare) = (
                try await translated(folder, model(folder)), try await translated(folder, stripped)
            )
            let given = try await translated(
                folder, stripped, "--process", kind, "--objective", objective, "--schedule", schedule,
                "--spacing", "7.5", "--plane", "coronal")
            #expect(carried == given)
            #expect(carried != bare)
            // What is given comes first.
            let other = try await translated(
                folder, model(folder), "--process", "brownian_bridge", "--objective", "gradient", "--schedule",
                "linear", "--spacing", "1", "--plane", "axial")
            #expect(other == bare)
        }
    }

    @Test func infoAndImportKeepTheSettings() async throws {
        let settings = TrainingPairs.settings(
            ", \"process\": { \"kind\": \"diffusion\", \"timesteps\": 400 }, \"objective\": \"velocity\"")
        try await withModel(settings) { folder in
            let half = folder.appending(path: "half.safetensors")
            try await Tool.succeed("import", model(folder).path, half.path, "--type", "f16")
            let files = try [model(folder), half].map { try Safetensors(contentsOf: $0) }
            #expect(files[1].type(of: files[1].names[0]) == .f16)
            #expect(files[0].metadata[Self.field] != nil)
            #expect(files[0].metadata == files[1].metadata)
            let text = try await Tool.succeed("info", half.path)
            for line in [
                "translation", "  process.kind             diffusion", "  process.timesteps        400",
                "  objective                velocity", "  spacing                  8.0",
                "  plane                    axial",
            ] {
                #expect(text.output.contains(line + "\n"), "\(line)")
            }
            let json = try await Tool.succeed("info", half.path, "--json").output
            let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
            let translation = try #require(object["translation"] as? [String: Any])
            #expect(translation["objective"] as? String == "velocity")
            // Not more steps than the model's process has.
            let tooMany = try await translate(
                folder, half, "--style", folder.appending(path: "run/style.json").path, "--steps", "401")
            #expect(tooMany.status == 2)
            #expect(tooMany.messages.contains("--steps must be from 3 to 400, the timesteps of the process"))
        }
    }

    @Test func invalidSettingsAreReported() async throws {
        try await withModel(TrainingPairs.settings()) { folder in
            let spoiled = try copy(folder, to: "spoiled.safetensors") { $0[Self.field] = "{\"spacing\": -2}" }
            for command in [["info", spoiled.path], ["import", spoiled.path, spoiled.path + ".safetensors"]] {
                let outcome = try await Tool.run(command)
                #expect(outcome.status == 1)
                #expect(
                    outcome.messages.contains("\(spoiled.path): voxelbridge_translation.spacing: found -2.0;"))
            }
        }
    }

    @Test func aNetworkThatTakesAStyleAsksForOne() async throws {
        try await withModel(TrainingPairs.settings()) { folder in
            let outcome = try await translate(folder, model(folder))
            #expect(outcome.status == 2)
            #expect(outcome.messages.contains("\(model(folder).path) takes a style"))
            #expect(outcome.messages.contains("--style"))
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "out.nii").path))
        }
    }

    @Test func aNetworkThatTakesNoStyleAsksForNone() async throws {
        try await withModel(TrainingPairs.settings(network: "\"use_spatial_transformer\": false")) { folder in
            let style = folder.appending(path: "run/style.json").path
            #expect(!FileManager.default.fileExists(atPath: style))
            let without = try await translate(folder, model(folder))
            #expect(without.status == 0, "\(without.messages)")
            #expect(!without.messages.contains("Warning"))
            let result = try Data(contentsOf: folder.appending(path: "out.nii"))
            // A style is ignored with a warning.
            let with = try await translate(
                folder, model(folder), "--style", folder.appending(path: "anna-t1.nii.gz").path)
            #expect(with.status == 0 && with.messages.contains("Warning"))
            #expect(try Data(contentsOf: folder.appending(path: "out.nii")) == result)
        }
    }
}
