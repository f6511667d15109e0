import Foundation
import TensorFiles
import TestSupport
import Testing

/// Checkpoints on the command line.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct ImportTests {
    private let checkpoint = Fixtures.reference("checkpoint_a.pth").path
    private let inputs = Fixtures.reference("unet_a_io.safetensors").path

    /// A folder with the one field of the configuration that weights do not show.
    private func withHeads(_ body: (URL, String) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let heads = folder.appending(path: "heads.json")
            try Data("{\"num_head_channels\": 16}".utf8).write(to: heads)
            try await body(folder, heads.path)
        }
    }

    private func predict(_ folder: URL, _ model: String, _ options: String...) async throws -> [Float] {
        let output = folder.appending(path: "out.safetensors")
        let outcome = try await Tool.run(["predict", inputs, output.path, "--model", model] + options)
        try #require(outcome.status == 0, "\(outcome.messages)")
        return try Safetensors(contentsOf: output).tensor("out").values
    }

    @Test func anImportedFileIsAWholeModel() async throws {
        try await withHeads { folder, heads in
            let model = folder.appending(path: "model.safetensors").path
            let outcome = try await Tool.succeed("import", checkpoint, model, "--config", heads)
            #expect(outcome.messages == "Wrote \(model): the ema weights of \(checkpoint)\n")
            let file = Fixtures.reference("checkpoint_a_ema_out.safetensors")
            let expected = try Safetensors(contentsOf: file).tensor("out").values
            let imported = try await predict(folder, model)
            #expect(relativeL2(imported, expected) < 2e-5)
            #expect(try await predict(folder, checkpoint, "--config", heads) == imported)
            #expect(try await predict(folder, checkpoint, "--config", heads, "--weights", "ema") == imported)

            let trained = try await predict(folder, checkpoint, "--config", heads, "--weights", "model")
            try await Tool.succeed("import", checkpoint, model, "--config", heads, "--weights", "model")
            #expect(try await predict(folder, model) == trained)
            #expect(trained != imported)
        }
    }

    @Test(arguments: [("f16", "F16", 2e-3), ("bf16", "BF16", 2e-2)])
    func numbersMayBeStoredInHalf(type: String, stored: String, tolerance: Double) async throws {
        try await withHeads { folder, heads in
            let (whole, half) = (
                folder.appending(path: "1.safetensors"), folder.appending(path: "2.safetensors")
            )
            try await Tool.succeed("import", checkpoint, whole.path, "--config", heads, "--quiet")
            try await Tool.succeed("import", whole.path, half.path, "--type", type, "--quiet")
            let found = try await predict(folder, half.path)
            #expect(relativeL2(found, try await predict(folder, whole.path)) < tolerance)
            let text = try await Tool.succeed("info", half.path)
            #expect(text.output.contains("stored as    \(stored)\n"))
            let sizes = try [whole, half].map { try Data(contentsOf: $0).count }
            #expect(abs(2 * sizes[1] - sizes[0]) < 100_000)
        }
    }

    @Test func weightsAreDescribed() async throws {
        let text = try await Tool.succeed("info", checkpoint)
        for line in [
            "format       PyTorch checkpoint", "holds        model, ema", "weights      ema",
            "parameters   1374787, in 266 tensors", "stored as    F32", "  channel_mult             [1, 1, 2]",
            "  num_head_channels        not in the file: give it with --config",
            "  context_dim              128",
        ] {
            #expect(text.output.contains(line + "\n"), "\(line)")
        }
        let json = try await Tool.succeed("info", checkpoint, "--json").output
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect(object["parameters"] as? Int == 1_374_787)
        let configuration = try #require(object["configuration"] as? [String: Any])
        #expect(configuration["model_channels"] as? Int == 32)
        #expect(configuration["num_head_channels"] is NSNull)
        try await withHeads { folder, heads in
            let model = folder.appending(path: "model.safetensors").path
            try await Tool.succeed("import", checkpoint, model, "--config", heads)
            let text = try await Tool.succeed("info", model)
            #expect(text.output.contains("  num_head_channels        16\n"))
            #expect(text.output.contains("holds        ema\n"))
        }
    }

    @Test func missingOrContradictoryFieldsAreReported() async throws {
        try await withHeads { folder, heads in
            let model = folder.appending(path: "model.safetensors").path
            let other = Fixtures.reference("unet_b.json").path
            for (options, message) in [
                ([], "do not determine num_head_channels; give it with --config FILE.json"),
                (["--config", other], "\(other): num_res_blocks: found 1; expected 2"),
            ] {
                let outcome = try await Tool.run(["import", checkpoint, model] + options)
                #expect(outcome.status == 1 && outcome.messages.contains(message), "\(outcome.messages)")
            }
            try await Tool.succeed("import", checkpoint, model, "--config", heads)
            let outcome = try await Tool.run(
                "predict", inputs, folder.appending(path: "out.safetensors").path, "--model", model,
                "--weights",
                "model")
            #expect(outcome.status == 1)
            #expect(outcome.messages.contains("there are no 'model' weights; there are 'ema'"))
            #expect(try folder.files == ["heads.json", "model.safetensors"])
        }
    }
}
