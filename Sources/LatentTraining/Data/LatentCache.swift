import Foundation
import LatentTranslation
import TensorFiles
import VoxelSupport

/// The latents of a data set by networks that are no longer trained. Each is computed when it is first asked for, and
/// stored on disk with fingerprints of what it was computed from, by which it is validated.
struct LatentCache: Sendable {
    private let folder: URL
    private let model: LatentModel
    /// Fingerprints of the encoder with the codebook, and of the translator.
    private let encoder, translator: String

    private static let originField = "voxelbridge_latent"

    /// - Parameters:
    ///   - folder: where latents are stored; it is created if necessary.
    ///   - model: the networks.
    ///   - parameters: the model's, by their names without prefix.
    init(_ folder: URL, model: LatentModel, parameters: [String: Tensor]) throws {
        (self.folder, self.model) = (folder, model)
        func fingerprint(_ prefixes: [String]) -> String {
            Self.fingerprint(of: parameters.filter { name, _ in prefixes.contains(where: name.hasPrefix) })
        }
        encoder = fingerprint(["encoder.", "quant_conv.", "quantize."])
        translator = fingerprint(["encoder.", "quant_conv.", "quantize.", "spade."])
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        AtomicFile.removeLeftovers(in: folder.path)
    }

    /// A fingerprint of parameters.
    static func fingerprint(of parameters: [String: Tensor]) -> String {
        var fingerprint = Fingerprint()
        for (_, tensor) in parameters.sorted(by: { $0.key < $1.key }) { fingerprint.combine(tensor.values) }
        return String(fingerprint.value, radix: 16)
    }

    /// The quantised latent of a volume, `[1, z channels, ...]`.
    func latent(_ data: ModalityDataset, _ subject: Int, _ source: Int, flips: Flips) throws -> Tensor {
        let prepared = data.subjects[subject]
        return try cached(
            [prepared.name, data.targets[source], "\(flips.rawValue)"],
            origin: encoder, prepared.fingerprint(of: data.targets[source])
        ) { try model.encode(data.volume(subject, source, flips: flips)) }
    }

    /// The latent of a volume translated to a target, `[1, z channels, ...]`.
    func translated(
        _ data: ModalityDataset, _ subject: Int, _ source: Int, to target: Int, flips: Flips
    ) throws -> Tensor {
        let prepared = data.subjects[subject]
        return try cached(
            [prepared.name, data.targets[source], data.targets[target], "\(flips.rawValue)"],
            origin: translator, prepared.fingerprint(of: data.targets[source])
        ) { try model.translate(latent(data, subject, source, flips: flips), to: [target]) }
    }

    private func cached(
        _ name: [String], origin networks: String, _ volume: UInt64, compute: () throws -> Tensor
    ) throws -> Tensor {
        let file = folder.appending(path: name.joined(separator: "+") + ".safetensors")
        let stated = "\(networks) \(String(volume, radix: 16))"
        if let known = try? Safetensors(contentsOf: file), known.metadata[Self.originField] == stated,
            let tensor = try? known.tensor("latent")
        {
            return tensor
        }
        let tensor = try compute()
        try Safetensors.write(["latent": tensor], metadata: [Self.originField: stated], to: file)
        return tensor
    }
}
