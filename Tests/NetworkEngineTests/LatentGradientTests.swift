import Foundation
import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// Gradients of the latent models, computed in double precision by other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct LatentGradientTests {
    @Test(arguments: [false, true])
    func denoiser(recomputes: Bool) throws {
        let file = try Reference("stage2")
        let network = LatentUNet3D(try Reference.configuration("unet_a"))
        let tape = NetworkGradients(recomputesActivations: recomputes)
            .tape(try Reference("unet_a").parameters(network.parameters))
        let inputs = try ["noisy", "conditioning"].map { tape.input(try file.tensor($0)) }
        let output = try tape.evaluate(
            network, images: inputs,
            shared: network.sharedInputs(
                timesteps: file.numbers("t").values, targets: file.integers("target")))
        try tape.differentiate([(output, meanSquareSlope(tape.tensor(output), try file.tensor("eps")))])
        // Adding a number to all keys changes no share: the gradient is 0.
        try check(tape, file, "grad.") { name, gradient in
            guard name.hasSuffix(".qkv.bias") else { return gradient }
            let head = 4
            return gradient.enumerated().map { $0.offset / head % 3 == 1 ? 0 : $0.element }
        }
    }

    @Test(arguments: ["reconstruction", "codebook", "generator"], [false, true])
    func autoencoder(loss: String, recomputes: Bool) throws {
        let (file, networks) = (try Reference("stage1_autoencoder"), try AutoencoderNetworks())
        let tape = NetworkGradients(recomputesActivations: recomputes)
            .tape(try networks.parameters(file)) { !$0.hasPrefix("loss.") }
        let x = try file.tensor("x")
        let features = try tape.evaluate(networks.encoder, images: [tape.input(x)])
        let (z, entries, _) = tape.quantised(features, by: networks.codebook)
        let decoded = try tape.evaluate(networks.decoder, images: [z])
        switch loss {
        case "reconstruction":
            try tape.differentiate([(decoded, absoluteSlope(tape.tensor(decoded), x))])
        case "codebook":
            let slope = meanSquareSlope(tape.tensor(features), tape.tensor(entries))
            let other = Tensor(shape: slope.shape, values: slope.values.map { -0.25 * $0 })
            try tape.differentiate([(features, slope), (entries, other)])
        default:
            let logits = try tape.evaluate(networks.discriminator, images: [decoded])
            let count = Float(tape.tensor(logits).count)
            try tape.differentiate([(logits, Tensor(shape: logits.shape, repeating: -1 / count))])
        }
        try check(tape, file, "grad.\(loss).")
    }

    /// There and back again, through encoder, translator and decoder twice each.
    @Test func cycles() throws {
        let (file, networks) = (try Reference("stage1_autoencoder"), try AutoencoderNetworks())
        let parameters = try networks.parameters(file)
        let (source, target) = (
            networks.translator(try file.integers("source")), networks.translator(try file.integers("target"))
        )
        for loss in ["cycle_volume", "cycle_latent"] {
            let x = try file.tensor("x")
            let tape = NetworkGradients().tape(parameters) {
                loss == "cycle_volume" || $0.hasPrefix("spade.")
            }
            func encode(_ x: GradientTape.Value) throws -> GradientTape.Value {
                tape.quantised(try tape.evaluate(networks.encoder, images: [x]), by: networks.codebook)
                    .quantised
            }
            let z = try encode(tape.input(x))
            let there = try tape.evaluate(target, images: [z])
            if loss == "cycle_latent" {
                let back = try tape.evaluate(source, images: [there])
                try tape.differentiate([(back, absoluteSlope(tape.tensor(back), tape.tensor(z)))])
            } else {
                let volume = try tape.evaluate(networks.decoder, images: [there])
                let back = try tape.evaluate(source, images: [encode(volume)])
                let result = try tape.evaluate(networks.decoder, images: [back])
                try tape.differentiate([(result, absoluteSlope(tape.tensor(result), x))])
            }
            try check(tape, file, "grad.\(loss).", limit: 1e-3)
        }
    }

    @Test func translator() throws {
        let (file, networks) = (try Reference("stage1_translator"), try AutoencoderNetworks())
        let network = networks.translator(try file.integers("target"))
        let tape = NetworkGradients().tape(try Reference("autoencoder_a").parameters(network.parameters))
        let like = try tape.evaluate(network, images: [tape.input(try file.tensor("z"))])
        try tape.differentiate([(like, absoluteSlope(tape.tensor(like), try file.tensor("z_target")))])
        try check(tape, file, "grad.reconstruction.")
    }

    /// Compares each gradient that the reference has, and requires the others to be zeros.
    private func check(
        _ tape: GradientTape, _ file: Reference, _ prefix: String, limit: Double = 1e-4,
        comparing kept: (_ name: String, [Float]) -> [Float] = { $1 }
    ) throws {
        var worst = (name: "", error: 0.0)
        for (name, gradient) in tape.gradients {
            guard file.names.contains(prefix + name) else {
                #expect(gradient.values.allSatisfy { $0 == 0 }, "\(name)")
                continue
            }
            let parameter = Parameter(name, gradient.shape)
            let expected = StoredLayout.converted(try file.numbers(prefix + name), of: parameter)
            let error = relativeL2(kept(name, gradient.values), kept(name, expected.values))
            if error > worst.error { worst = (name, error) }
            #expect(error < limit, "\(name)")
        }
        let missing = file.names.filter { $0.hasPrefix(prefix) }
            .filter { tape.gradients[String($0.dropFirst(prefix.count))] == nil }
        #expect(missing.isEmpty)
        print("\(prefix) worst \(worst.name): relative L2 \(worst.error)")
    }

    private func meanSquareSlope(_ x: Tensor, _ y: Tensor) -> Tensor {
        Tensor(
            shape: x.shape, values: zip(x.values, y.values).map { 2 * ($0 - $1) / Float(x.count) })
    }

    private func absoluteSlope(_ x: Tensor, _ y: Tensor) -> Tensor {
        Tensor(
            shape: x.shape,
            values: zip(x.values, y.values).map { ($0 > $1 ? 1 : $0 < $1 ? -1 : 0) / Float(x.count) })
    }
}

/// The networks of the reference's first configuration.
private struct AutoencoderNetworks {
    let configuration: AutoencoderConfiguration
    let encoder: LatentEncoder
    let decoder: LatentDecoder
    let codebook: Codebook
    let discriminator = PatchDiscriminator(width: 4, layers: 2, groups: 2)

    init() throws {
        configuration = try Reference.configuration("autoencoder_a")
        (encoder, decoder) = (LatentEncoder(configuration), LatentDecoder(configuration))
        codebook = Codebook(configuration)
    }

    func translator(_ targets: [Int]) -> SpadeTranslator { SpadeTranslator(configuration, targets: targets) }

    /// Those of the autoencoder, of all translators, and of the discriminator in `file`.
    func parameters(_ file: Reference) throws -> [String: Tensor] {
        let own =
            encoder.parameters + decoder.parameters + codebook.parameters
            + translator(Array(0..<configuration.classes)).parameters
        return try Reference("autoencoder_a").parameters(own)
            .merging(file.parameters(discriminator.parameters)) { $1 }
    }
}

/// A file of the reference, whose tensors are `[batch, channels, x, y, z]`.
private struct Reference {
    private let file: Safetensors
    let names: Set<String>

    init(_ name: String) throws {
        file = try Safetensors(contentsOf: Fixtures.reference("aldm/\(name).safetensors"))
        names = Set(file.names)
    }

    static func configuration<Configuration: Decodable>(_ name: String) throws -> Configuration {
        try JSONDecoder().decode(
            Configuration.self, from: Data(contentsOf: Fixtures.reference("aldm/\(name).json")))
    }

    func numbers(_ name: String) throws -> Tensor { try file.tensor(name) }
    func integers(_ name: String) throws -> [Int] { try file.tensor(name).values.map { Int($0) } }

    /// A tensor as the package has it, `[batch, channels, z, y, x]`.
    func tensor(_ name: String) throws -> Tensor { try file.tensor(name).reversingSpatialAxes() }

    func parameters(_ parameters: [Parameter]) throws -> [String: Tensor] {
        try parameters.reduce(into: [:]) {
            $0[$1.name] = StoredLayout.converted(try file.tensor($1.name), of: $1)
        }
    }
}
