import Foundation
import LatentTranslation
import TestSupport
import Testing

/// Files of weights, as the public code's training leaves them and as they are converted.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct LatentWeightsTests {
    @Test func aFirstStagesCheckpointAgrees() async throws {
        let model = try LatentModel(
            contentsOf: Reference.url("checkpoint_first_stage.ckpt"),
            configurations: [Reference.url("autoencoder_a.json")])
        #expect(model.configuration.denoiser == nil)
        let expected = try Reference.numbers("checkpoint_first_stage_out")
        let like = try model.translate(
            model.encode(expected.flipped("x")), to: expected.integers("target"))
        expectClose(try model.decode(like), try expected.flipped("translated"), "first stage's checkpoint")
    }

    @Test(arguments: [LatentWeights.Selection.ema, .model])
    func aWholeModelsCheckpointAgrees(selection: LatentWeights.Selection) async throws {
        try await withTemporaryFolder { folder in
            let checkpoint = Reference.url("checkpoint_ldm.ckpt")
            let weights = try LatentWeights(
                contentsOf: checkpoint, configurations: Reference.configurations,
                selection: selection == .ema ? nil : selection)
            #expect(weights.selection == selection && weights.available == [.model, .ema])
            #expect(weights.assumptions.isEmpty)
            let numbers = try Reference.numbers("checkpoint_ldm_out")
            let expected = try numbers.flipped(selection == .ema ? "ema.3" : "raw.3")
            let imported = folder.appending(path: "aldm.safetensors")
            try Safetensors.write(weights, metadata: weights.metadata, to: imported)
            var outputs: [Volume] = []
            for model in [try LatentModel(weights), try LatentModel(contentsOf: imported)] {
                #expect(model.configuration == weights.configuration)
                var translator = try LatentVolumeTranslator(model, steps: 8, eta: 0)
                translator.preparation = nil
                translator.givenNoise = (try numbers.flipped("noise"), nil)
                let volume = try await translator.translate(Volume(numbers.flipped("source")), to: "flair")
                expectClose(volume.tensor, expected, "checkpoint, \(selection)")
                outputs.append(volume)
            }
            #expect(outputs[0] == outputs[1])
            #expect(try LatentWeights(contentsOf: imported).available == [selection])
        }
    }

    @Test func sizesShowInNamesAndShapes() throws {
        for name in ["a", "b"] {
            let partial = name == "a" ? 4 : 2
            try withTemporaryFolder { folder in
                func write(_ text: String, _ name: String) throws -> URL {
                    let url = folder.appending(path: name)
                    try Data(text.utf8).write(to: url)
                    return url
                }
                let stated = [
                    try write("{\"first_stage\": {\"num_groups\": \(partial)}}", "1.json"),
                    try write("{\"num_head_channels\": \(name == "a" ? 4 : 8), \"num_groups\": 4}", "2.json"),
                ]
                let weights = try LatentWeights(
                    contentsOf: Reference.url("unet_\(name).safetensors"),
                    firstStage: Reference.url("autoencoder_\(name).safetensors"), configurations: stated)
                let whole = try Reference.model(name).configuration
                var shown = weights.configuration
                // What only training uses does not show.
                shown.firstStage.weighsCodebookTerm = whole.firstStage.weighsCodebookTerm
                var expected = whole
                for level in expected.firstStage.attentionResolutions
                where expected.firstStage.resolution < level {
                    expected.firstStage.attentionResolutions = []
                }
                expected.denoiser?.attentionResolutions.sort()
                #expect(shown == expected)
                #expect(weights.assumptions.count == (name == "a" ? 0 : 1))
            }
        }
    }

    @Test func namesBehindTheWrappersOfTrainingToolsAreRead() throws {
        let file = try Reference.numbers("autoencoder_a")
        let plain = Dictionary(uniqueKeysWithValues: try file.names.map { ($0, try file.tensor($0)) })
        let configuration = try LatentWeights(
            contentsOf: Reference.url("autoencoder_a.safetensors"),
            configurations: [Reference.url("autoencoder_a.json")]
        ).configuration
        for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "model.module.", "first_stage_model."] {
            let wrapped = Dictionary(uniqueKeysWithValues: plain.map { (prefix + $0.key, $0.value) })
            let weights = try LatentWeights(parameters: wrapped, configuration: configuration)
            #expect(weights.count == plain.count && weights.selection == nil)
        }
    }

    /// What a file and a configuration are changed to, and what the error says.
    @Test func filesThatDoNotFitAreRefusedByName() throws {
        let file = try Reference.numbers("autoencoder_a")
        let plain = Dictionary(uniqueKeysWithValues: try file.names.map { ($0, try file.tensor($0)) })
        var configuration = try Reference.model("a").configuration
        configuration.denoiser = nil
        func message(_ change: (inout [String: Tensor], inout LatentModelConfiguration) -> Void) -> String {
            var (parameters, configuration) = (plain, configuration)
            change(&parameters, &configuration)
            do {
                _ = try LatentModel(LatentWeights(parameters: parameters, configuration: configuration))
                return "no error"
            } catch { return "\(error)" }
        }
        let norm = "spade.block.0.norm_0.spades"
        let old = message { parameters, _ in
            parameters["spade.in_spade.norm_0.spades.t1.mlp_gamma.weight"] = Tensor(shape: [1])
        }
        #expect(old.contains("spade.in_spade") && old.contains("public code of 2024"))
        let renamed = message { parameters, _ in
            for name in parameters.keys where name.contains("spades.0.") {
                parameters[name.replacing("spades.0.", with: "spades.t1.")] = parameters.removeValue(
                    forKey: name)
            }
        }
        #expect(renamed.contains("public code of 2024"))
        #expect(
            message { parameters, _ in parameters["encoder.norm_out.weight"] = nil }
                .contains("1 missing:\n  encoder.norm_out.weight"))
        #expect(
            message { parameters, _ in parameters["encoder.more.weight"] = Tensor(shape: [1]) }
                .contains("1 not expected:\n  encoder.more.weight"))
        #expect(
            message { parameters, _ in parameters["decoder.norm_out.bias"] = Tensor(shape: [3]) }
                .contains("decoder.norm_out.bias [3], expected [8]"))
        #expect(
            message { parameters, _ in parameters["\(norm).2.mlp_beta.bias"]!.values[0] = .nan }
                == "no error", "a target's norms are read with the target")
        #expect(
            message { parameters, _ in parameters["quant_conv.bias"]!.values[0] = .infinity }
                .contains("quant_conv.bias holds NaN"))
        #expect(
            message { parameters, _ in parameters["quantize.embedding.weight"] = nil }
                .contains("there is no parameter quantize.embedding.weight"))
        #expect(
            message { _, configuration in configuration.firstStage.channels = 16 }
                .contains("first_stage.ch: found 16; expected 8, as the parameters in"))
        #expect(
            message { _, configuration in configuration.firstStage.groups = 3 }
                .contains("first_stage.ch: found 8; expected a multiple of 3"))
        #expect(
            message { _, configuration in configuration.targets = ["a", "a", "b", "c"] }
                .contains("targets: found a, a, b, c; expected 4 different names"))
        #expect(
            message { _, configuration in configuration.preparation.shape = [20, 20, 21] }
                .contains("preparation.shape: found [20, 20, 21]; expected three multiples of 2"))
        #expect(message { parameters, _ in parameters = [:] }.contains("neither a denoiser nor a first stage"))
    }

    @Test func firstStagesOfOtherDenoisersAreRefused() throws {
        func message(_ denoiser: String, _ firstStage: String?, _ configurations: [String]) -> String {
            do {
                _ = try LatentWeights(
                    contentsOf: Reference.url(denoiser), firstStage: firstStage.map(Reference.url),
                    configurations: configurations.map(Reference.url))
                return "no error"
            } catch { return "\(error)" }
        }
        #expect(
            message("unet_a.safetensors", "autoencoder_b.safetensors", [])
                .contains("autoencoder_b.safetensors: this is not the first stage of the denoiser in"))
        #expect(
            message("unet_a.safetensors", "autoencoder_b.safetensors", []).contains("num_classes 3; expected 4")
        )
        #expect(message("unet_a.safetensors", nil, []).contains("no first stage"))
        #expect(
            message("unet_a.safetensors", "unet_b.safetensors", [])
                .contains(
                    "unet_b.safetensors: these are not the weights of a latent translator: there is no first"))
        #expect(
            message("checkpoint_ldm.ckpt", nil, []).contains(
                "nothing states num_groups, and the 32 of published networks do not divide 8 channels"))
        #expect(
            message("checkpoint_ldm.ckpt", nil, ["autoencoder_b.json", "unet_a.json"])
                .contains("first_stage.ch: found 4; expected 8, as the parameters in"))
    }

    /// Checkpoints with bytes changed, cut off or doubled, within the pickle for the most part: each is read or refused.
    @Test func mutatedCheckpointsAreReadOrRefused() async {
        await #expect(processExitsWith: .success) {
            try withTemporaryFolder { folder in
                for name in ["checkpoint_ldm.ckpt", "checkpoint_first_stage.ckpt"] {
                    let whole = try [UInt8](Data(contentsOf: Reference.url(name)))
                    var (read, before) = (0, Cost.now())
                    for seed in 0..<60 {
                        var (generator, bytes) = (SeededGenerator(seed: UInt64(seed)), whole)
                        // The archive's first entry is the pickle.
                        for _ in 0..<Int.random(in: 1...3, using: &generator) {
                            let place = Int.random(in: 0..<min(bytes.count, 120_000), using: &generator)
                            switch Int.random(in: 0..<4, using: &generator) {
                            case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
                            case 1: bytes[place] = "(0)]}tRbQqhus.NX".utf8.randomElement(using: &generator)!
                            case 2: bytes.swapAt(place, min(bytes.count - 1, place + 40))
                            default: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                            }
                        }
                        let url = folder.appending(path: "\(seed).ckpt")
                        try Data(bytes).write(to: url)
                        do {
                            let weights = try LatentWeights(
                                contentsOf: url, configurations: Reference.configurations)
                            _ = try weights.names.map { try weights.tensor($0) }
                            read += 1
                        } catch let error as any LocalizedError {
                            #expect(error.errorDescription == "\(error)")
                        }
                        try FileManager.default.removeItem(at: url)
                    }
                    let cost = Cost.now() - before
                    before = Cost.now()
                    #expect(cost.seconds < 60 && cost.peakMemory < 200 << 20 && read < 60, "\(read), \(cost)")
                }
            }
        }
    }
}
