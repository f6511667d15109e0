import BridgeDiffusion
import Foundation
import Networks
import TensorFiles
import VoxelSupport

/// A file with weights of a latent translator, of either format: its tensors, and what it states of itself.
struct LatentFile {
    /// The fields of a safetensors file's metadata that make it a whole model.
    static let configurationField = "latent_translation"
    static let selectionField = "latent_weights"

    let path: String
    /// Bytes of the file; nil of weights in memory.
    let size: Int?
    /// The configuration that the file carries, a JSON object.
    let carried: JSONValue?
    /// Which weights a file of one kind says that it has.
    private let statedSelection: LatentWeights.Selection?
    private let source: any TensorSource
    private let names: [String]

    init(_ url: URL) throws {
        path = url.path
        size = try? url.resourceValues(forKeys: [.fileSizeKey]).fileSize
        let isCheckpoint =
            ["pth", "pt", "ckpt"].contains(url.pathExtension.lowercased()) || PyTorchCheckpoint.canRead(url)
        if isCheckpoint {
            guard let tensors = try PyTorchCheckpoint(contentsOf: url).stateDictionary else {
                throw LatentTranslationError.noModel(
                    file: path,
                    reason:
                        "there are no tensors under 'state_dict' or 'model_state_dict', or on the outermost level"
                )
            }
            (source, carried, statedSelection) = (tensors.withoutWrappers, nil, nil)
        } else {
            let file = try Safetensors(contentsOf: url)
            source = file.withoutWrappers
            statedSelection = file.metadata[Self.selectionField].flatMap(
                LatentWeights.Selection.init(rawValue:))
            do throws(JSONFieldError) {
                carried = try file.metadata[Self.configurationField].map { text throws(JSONFieldError) in
                    try JSONValue(parsing: Data(text.utf8))
                }
            } catch { throw NetworkConfigurationError(error, file: path) }
        }
        names = source.names
    }

    /// Weights in memory, under their names in checkpoints.
    init(_ parameters: [String: Tensor]) {
        (path, size, carried, statedSelection) = ("the parameters given", nil, nil, nil)
        source = parameters.withoutWrappers
        names = source.names
    }

    /// The parameters of one network in the file, by their names without prefix.
    struct Part {
        let file: String
        let source: any TensorSource
        /// The names in the file that belong to the network, or would if it had such a parameter.
        let names: [String]
        /// The name in the file for a name without prefix.
        let storedName: @Sendable (String) -> String

        func shape(of name: String) -> [Int]? { source.shape(of: storedName(name)) }
    }

    /// The autoencoder with the translator; nil where the file has none.
    ///
    /// - Throws: `LatentTranslationError.firstStageOf2024`.
    func firstStage() throws -> Part? {
        let parts = ["encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.", "spade."]
        for prefix in ["first_stage_model.", ""] {
            let own = names.filter { name in parts.contains { name.hasPrefix(prefix + $0) } }
            guard !own.isEmpty else { continue }
            if let old = own.first(where: { Self.isOf2024($0.dropFirst(prefix.count)) }) {
                throw LatentTranslationError.firstStageOf2024(file: path, parameter: old)
            }
            return Part(file: path, source: source, names: own) { prefix + $0 }
        }
        return nil
    }

    /// Whether a parameter is one of the translator of 2024, whose norms are named by modality.
    private static func isOf2024(_ name: Substring) -> Bool {
        guard name.hasPrefix("spade.") else { return false }
        let components = name.split(separator: ".")
        let norm = components.firstIndex(of: "spades").map { components[$0...].dropFirst().first } ?? nil
        return name.hasPrefix("spade.in_spade.") || name.hasPrefix("spade.out_spade.")
            || norm.map { Int($0) == nil } ?? false
    }

    /// Every kind of weights of the denoiser.
    var denoisers: [LatentWeights.Selection: Part] {
        let parts = ["time_embed.", "label_emb.", "input_blocks.", "middle_block.", "output_blocks.", "out."]
        var found: [LatentWeights.Selection: Part] = [:]
        for prefix in ["model.diffusion_model.", "diffusion_model.", ""] where found.isEmpty {
            let own = names.filter { name in
                prefix.isEmpty ? parts.contains { name.hasPrefix($0) } : name.hasPrefix(prefix)
            }
            guard !own.isEmpty else { continue }
            found[statedSelection ?? .model] = Part(file: path, source: source, names: own) { prefix + $0 }
        }
        // Averages are kept under the names without their dots.
        let averaged = names.filter { $0.hasPrefix("model_ema.diffusion_model") }
        if !averaged.isEmpty {
            found[.ema] = Part(file: path, source: source, names: averaged) {
                "model_ema.diffusion_model" + $0.filter { $0 != "." }
            }
        }
        return found
    }

    /// Whether it holds a network of a latent translator, and not a U-Net of slices.
    var isLatentModel: Bool {
        if (try? firstStage()) != nil || names.contains(where: { $0.contains("spade.") }) { return true }
        return denoisers.values.contains { $0.shape(of: "input_blocks.0.0.weight")?.count == 5 }
    }

    /// What latents are multiplied by before the denoiser, where the file says it.
    func scale() throws -> Double? {
        guard source.shape(of: "scale_factor")?.reduce(1, *) == 1 else { return nil }
        return Double(try source.tensor("scale_factor").values[0])
    }

    /// The process that the file's noise schedule is of, where it has one.
    ///
    /// - Throws: `LatentTranslationError.schedule` where no schedule known has its numbers.
    func process() throws -> StoredPath? {
        guard source.shape(of: "betas")?.count == 1 else { return nil }
        let betas = try source.tensor("betas").values.map(Double.init)
        guard (3...10_000).contains(betas.count), betas.allSatisfy({ (1e-9...0.999).contains($0) }) else {
            throw LatentTranslationError.schedule(
                file: path, reason: "expected 3 to 10000 numbers between 0 and 1 as 'betas'")
        }
        let (first, last) = (betas[0], betas[betas.count - 1])
        var candidates = [
            GaussianDiffusion(
                trainingTimesteps: betas.count, schedule: .scaledLinear(from: first, through: last)),
            GaussianDiffusion(trainingTimesteps: betas.count, schedule: .linear(from: first, through: last)),
            GaussianDiffusion(trainingTimesteps: betas.count, schedule: .cosine),
        ]
        if betas.count == 1000 { candidates.insert(LatentModelConfiguration.publishedPath, at: 0) }
        guard let path = candidates.first(where: { $0.has(betas) }) else {
            throw LatentTranslationError.schedule(
                file: path, reason: "'betas' are those of no schedule known: scaled linear, linear or cosine")
        }
        return try StoredPath(path)
    }
}

extension GaussianPath {
    /// Whether alphabar is that of some betas, rounded to single precision.
    func has(_ betas: [Double]) -> Bool {
        guard betas.count == trainingTimesteps else { return false }
        var product = 1.0
        return betas.enumerated().allSatisfy { t, beta in
            product *= 1 - beta
            let own = coefficients(at: t).target
            return abs(own * own - product) <= 1e-5 * product + 1e-9
        }
    }
}
