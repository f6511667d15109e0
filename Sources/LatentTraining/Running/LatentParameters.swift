import BridgeTraining
import Foundation
import LatentTranslation
import Networks
import TensorFiles

/// The numbers of a latent translator's networks, by their names without prefix and in the layout of networks here.
struct LatentParameters: Sendable {
    /// The sizes of the networks; without a denoiser before it is trained.
    let configuration: LatentModelConfiguration
    private(set) var firstStage: [String: Tensor]
    private(set) var denoiser: [String: Tensor]

    /// Networks before any training, a function of the seed: PyTorch's defaults, and the codebook uniform on plus or minus
    /// the reciprocal of its number of codes.
    init(_ configuration: LatentModelConfiguration, seed: UInt64) {
        var first = configuration
        first.denoiser = nil
        self.configuration = first
        let sizes = configuration.firstStage
        let parameters = ParameterSet(
            initial: sizes.parameters, seed: seed
        ) { path in
            path == "quantize.embedding" ? .uniform(bound: 1 / Float(sizes.codes)) : nil
        }
        (firstStage, denoiser) = (parameters.tensors, [:])
    }

    /// The networks in a model's file.
    ///
    /// - Throws: as `LatentWeights` does.
    init(contentsOf url: URL) throws { try self.init(LatentWeights(contentsOf: url)) }

    /// The networks of weights that have been found.
    init(_ weights: LatentWeights) throws {
        configuration = weights.configuration
        func read(_ parameters: [Parameter], _ prefix: String) throws -> [String: Tensor] {
            try Dictionary(
                uniqueKeysWithValues: parameters.map {
                    ($0.name, StoredLayout.converted(try weights.tensor(prefix + $0.name), of: $0))
                })
        }
        let sizes = configuration.firstStage
        firstStage = try read(
            sizes.parameters, LatentWeights.firstStagePrefix)
        denoiser = try read(
            configuration.denoiser.map { LatentUNet3D($0).parameters } ?? [], LatentWeights.denoiserPrefix)
    }

    private init(
        _ configuration: LatentModelConfiguration, firstStage: [String: Tensor], denoiser: [String: Tensor]
    ) {
        (self.configuration, self.firstStage, self.denoiser) = (configuration, firstStage, denoiser)
    }

    /// Every number, by name.
    var all: [String: Tensor] { firstStage.merging(denoiser) { $1 } }

    /// With some numbers of the first stage replaced.
    func replacing(firstStage others: [String: Tensor]) -> LatentParameters {
        LatentParameters(configuration, firstStage: firstStage.merging(others) { $1 }, denoiser: denoiser)
    }

    /// With a denoiser, or without.
    func with(denoiser: [String: Tensor]?, of configuration: LatentModelConfiguration) -> LatentParameters {
        LatentParameters(configuration, firstStage: firstStage, denoiser: denoiser ?? [:])
    }

    /// A fingerprint of all numbers.
    var fingerprint: String { LatentCache.fingerprint(of: all) }

    /// The model with these numbers.
    func model(options: ComputeOptions) throws -> LatentModel {
        try LatentModel(
            LatentWeights(parameters: stored, configuration: configuration), options: options)
    }

    /// Writes a model that can translate, as far as it has been trained.
    func write(to file: URL) throws {
        try Safetensors.write(
            stored,
            metadata: LatentWeights.metadata(
                of: configuration, selection: configuration.denoiser == nil ? nil : .ema), to: file)
    }

    /// The parameters as files have them.
    private var stored: [String: Tensor] {
        var stored: [String: Tensor] = [:]
        for (numbers, prefix) in [
            (firstStage, LatentWeights.firstStagePrefix), (denoiser, LatentWeights.denoiserPrefix),
        ] {
            for (name, tensor) in numbers {
                stored[prefix + name] = StoredLayout.converted(tensor, of: Parameter(name, tensor.shape))
            }
        }
        return stored
    }
}

extension ParameterSet {
    /// The initial parameters of a discriminator: convolutions normal with a deviation of 0.02.
    init(ofDiscriminator discriminator: PatchDiscriminator, seed: UInt64) {
        self.init(initial: discriminator.parameters, seed: seed) { _ in .normal(deviation: 0.02) }
    }

    /// The initial parameters of a denoiser: the last convolution of every residual block, of every attention and of the
    /// network 0, and the classes' embeddings normal.
    init(ofDenoiser denoiser: LatentUNetConfiguration, seed: UInt64) {
        self.init(initial: LatentUNet3D(denoiser).parameters, seed: seed) { path in
            if path == "label_emb" { return .normal(deviation: 1) }
            return Self.isLastOfBlock(path) ? .zero : nil
        }
    }
}
