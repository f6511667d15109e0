import Foundation
import LatentTranslation
import TestSupport
import Testing

/// Outputs of each network on stored inputs, computed in double precision by other software.
///
/// a: the public code's form. b: the paper's, with three levels, attention, two middle blocks, Table B's translator with
/// gamma alone, and cross-attention.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct ModelReferenceTests {
    @Test(arguments: ["a", "b"])
    func theAutoencoderAgrees(name: String) throws {
        let (model, io) = (try Reference.model(name), try Reference.numbers("autoencoder_\(name)_io"))
        let x = try io.flipped("x")
        let features = try model.features(of: x)
        expectClose(features, try io.flipped("prequant"), "\(name) prequant")
        let z = try model.encode(x)
        expectClose(z, try io.flipped("quantised"), "\(name) quantised", limit: 1e-6)
        let indices = try io.tensor("indices")
        let flipped = indices.reshaped([indices.shape[0], 1] + indices.shape[1...]).reversingSpatialAxes()
        #expect(model.codes(of: features) == flipped.values.map { Int($0) })
        expectClose(try model.decode(z), try io.flipped("decoded"), "\(name) decoded")
    }

    @Test(arguments: ["a", "b"])
    func theTranslatorAgrees(name: String) throws {
        let (model, io) = (try Reference.model(name), try Reference.numbers("autoencoder_\(name)_io"))
        let z = try io.flipped("quantised")
        var compared = 0
        for target in model.targets.indices where io.shape(of: "translated.\(target)") != nil {
            let targets = [Int](repeating: target, count: z.shape[0])
            let like = try model.translate(z, to: targets)
            expectClose(
                like, try io.flipped("translated_latent.\(target)"), "\(name) latent \(target)")
            expectClose(
                try model.decode(like), try io.flipped("translated.\(target)"), "\(name) volume \(target)")
            if io.shape(of: "requantised.\(target)") != nil {
                expectClose(
                    try model.decode(like, requantising: true), try io.flipped("requantised.\(target)"),
                    "\(name) requantised \(target)")
            }
            compared += 1
        }
        #expect(compared == 3)
        if name == "a" {
            expectClose(
                try model.translate(z, to: [3, 1]), try io.flipped("translated_latent.mixed"), "a mixed")
        }
    }

    @Test(arguments: ["a", "b"])
    func theDenoiserAgrees(name: String) throws {
        let (model, io) = (try Reference.model(name), try Reference.numbers("unet_\(name)_io"))
        let output = try model.predict(
            io.flipped("x"), conditioningLatents: io.flipped("cond"), timesteps: io.tensor("t").values,
            targets: io.integers("target"))
        expectClose(output, try io.flipped("out"), "\(name) denoiser")
    }

    /// The logits of the discriminator of volumes.
    @Test func theDiscriminatorAgrees() throws {
        let numbers = try Reference.numbers("stage1_autoencoder")
        let network = PatchDiscriminator(width: 4, layers: 2, groups: 2)
        let parameters = try network.parameters.map {
            ($0.name, StoredLayout.converted(try numbers.tensor($0.name), of: $0))
        }
        let x = try numbers.flipped("x")
        let evaluate = PlainEvaluator(parameters: Dictionary(uniqueKeysWithValues: parameters))
        let logits = try evaluate(network.graph(batch: 2, size: Array(x.shape[2...])), images: [x])
        expectClose(logits, try numbers.flipped("logits.real"), "discriminator")
    }
}
