public import Foundation
public import NetworkEngine
import Networks
import Synchronization
public import TensorFiles
import VoxelSupport

/// A 3-D latent translator with its weights: encoder, codebook, translator, denoiser, decoder.
///
/// ```swift
/// let model = try LatentModel(contentsOf: "aldm.safetensors")
/// let prepared = Tensor(shape: [1, 1, 144, 192, 144])
/// let z = try model.encode(prepared)                                     // [1, 4, 36, 48, 36]
/// let like = try model.translate(z, to: [model.target("t2")])
/// let translated = try model.decode(like)                                // the first stage's own translation
/// ```
///
/// Kim and Park: *Adaptive Latent Diffusion Model for 3D Medical Image to Image Translation*, WACV 2024.
/// `LatentVolumeTranslator` translates volumes with it.
///
/// Tensors are `[batch, channels, z, y, x]`, x fastest, as a `Volume` stores its voxels. A model never changes, and any
/// number of threads may evaluate it at once. Each item of a batch is computed on its own: it has the same bits in any
/// batch.
public struct LatentModel: Sendable {
    /// Sizes, targets, process and preparation.
    public let configuration: LatentModelConfiguration

    /// A fingerprint of all weights but the translators'.
    public let fingerprint: String

    private let weights: LatentWeights
    private let options: ComputeOptions
    /// The extents of latents that memory is planned for.
    private let latentSize: [Int]
    private let networks: LatentNetworks
    private let encoder, decoder: EvaluatedNetwork
    private let denoiser: EvaluatedNetwork?
    private let codebook: Tensor
    private let translators = TranslatorCache()

    /// Reads weights that have been found.
    ///
    /// - Parameters:
    ///   - weights: the weights.
    ///   - options: the part of the machine that the networks may use.
    /// - Throws: `ParameterError.notFinite`.
    public init(_ weights: LatentWeights, options: ComputeOptions = ComputeOptions()) throws {
        (self.weights, self.options, configuration) = (weights, options, weights.configuration)
        networks = LatentNetworks(configuration)
        let shape = configuration.preparation.plannedShape
        let (volume, factor) = (Array(shape.reversed()), configuration.firstStage.factor)
        let size = volume.map { $0 / factor }
        latentSize = size
        encoder = try EvaluatedNetwork(
            networks.encoder, planned: volume, options: options, read: weights.firstStageParameter)
        decoder = try EvaluatedNetwork(
            networks.decoder, planned: size, options: options, read: weights.firstStageParameter)
        denoiser = try networks.denoiser.map {
            try EvaluatedNetwork($0, planned: size, options: options, read: weights.denoiserParameter)
        }
        codebook = try weights.firstStageParameter(networks.codebook.weight)
        var fingerprint = Fingerprint(
            of: [encoder.fingerprint, decoder.fingerprint, denoiser?.fingerprint ?? 0])
        fingerprint.combine(codebook.values)
        self.fingerprint = String(fingerprint.value, radix: 16)
    }

    /// Reads a model's file or files.
    ///
    /// - Parameters: as of `LatentWeights.init(contentsOf:firstStage:configurations:selection:)`.
    /// - Throws: as that, and `ParameterError.notFinite`.
    public init(
        contentsOf url: URL, firstStage: URL? = nil, configurations: [URL] = [],
        selection: LatentWeights.Selection? = nil, options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(
            LatentWeights(
                contentsOf: url, firstStage: firstStage, configurations: configurations, selection: selection),
            options: options)
    }

    /// Reads a model's file or files at paths.
    ///
    /// - Throws: as `init(contentsOf:firstStage:configurations:selection:options:)` of URLs does.
    public init(
        contentsOf path: String, firstStage: String? = nil, configurations: [String] = [],
        selection: LatentWeights.Selection? = nil, options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(
            LatentWeights(
                contentsOf: path, firstStage: firstStage, configurations: configurations, selection: selection),
            options: options)
    }

    /// The names of the targets, in the order of their classes.
    public var targets: [String] { configuration.targets }

    /// The class of a target, by its name, in any case, or by its index as text.
    ///
    /// - Throws: `LatentTranslationError.noTarget`, which lists those that there are.
    public func target(_ name: String) throws -> Int { try configuration.target(name) }

    /// The quantised latent of volumes, `[batch, 1, z, y, x]` to `[batch, z channels, z / f, y / f, x / f]`.
    ///
    /// - Throws: `LatentTranslationError.input` where extents are no multiples of the factor f; `CancellationError`.
    public func encode(_ volume: Tensor) throws -> Tensor { quantise(try features(of: volume)) }

    /// The latent of volumes before it is quantised.
    package func features(of volume: Tensor) throws -> Tensor {
        try check(
            volume, "the volume", channels: configuration.firstStage.inputChannels,
            multiple: configuration.firstStage.factor)
        return try encoder([volume])
    }

    /// Every element of a latent, `[batch, z channels, z, y, x]`, as the nearest code of the codebook by squared distance,
    /// the first of several. O(elements codes).
    public func quantise(_ latent: Tensor) -> Tensor { latent.nearest(in: codebook) }

    /// The index of the nearest code for every element of a latent, `[batch, z channels, z, y, x]`: in the order of the
    /// elements, x fastest. O(elements codes).
    public func codes(of latent: Tensor) -> [Int] { latent.nearestEntries(of: codebook) }

    /// A source's latent made like those of the targets' modalities, of the same shape.
    ///
    /// - Parameters:
    ///   - latent: `[batch, z channels, ...]`, quantised.
    ///   - targets: the class of each item's target.
    /// - Throws: `LatentTranslationError` where the latent or a target does not fit; `CancellationError`.
    public func translate(_ latent: Tensor, to targets: [Int]) throws -> Tensor {
        try check(latent, "the latent", channels: configuration.firstStage.latentChannels)
        try check(targets, items: latent.shape[0])
        let parts = try targets.enumerated().map { item, target in
            let network = try translators.network(of: target) {
                try EvaluatedNetwork(
                    networks.translators[target], planned: latentSize, options: options,
                    read: weights.firstStageParameter)
            }
            return try network([latent.slice(axis: 0, item..<item + 1)])
        }
        return .concatenated(parts, axis: 0)
    }

    /// The denoiser's prediction from a noisy latent, of the configuration's `predictionType`.
    ///
    /// - Parameters:
    ///   - noisy: z_t, `[batch, z channels, ...]`.
    ///   - conditioningLatents: the other input channels: the source's latent and the translated one, or the latter alone
    ///     (`LatentUNetConfiguration.takesSource`), both times the scale.
    ///   - timesteps: t of each item.
    ///   - targets: the class of each item's target.
    /// - Returns: `[batch, z channels, ...]`.
    /// - Throws: `LatentTranslationError` where the model has no denoiser, or an input does not fit; `CancellationError`.
    public func predict(
        _ noisy: Tensor, conditioningLatents: Tensor, timesteps: [Float], targets: [Int]
    ) throws -> Tensor {
        guard let denoiser, let network = networks.denoiser, let sizes = configuration.denoiser else {
            throw LatentTranslationError.input(
                name: "the model", found: "a first stage alone", expected: "a denoiser")
        }
        try check(noisy, "the noisy latent", channels: sizes.outputChannels, multiple: sizes.sizeMultiple)
        try check(
            conditioningLatents, "the conditioning latents",
            channels: sizes.inputChannels - sizes.outputChannels)
        guard conditioningLatents.shape[0] == noisy.shape[0],
            conditioningLatents.shape[2...] == noisy.shape[2...]
        else {
            throw LatentTranslationError.input(
                name: "the conditioning latents", found: "shape \(conditioningLatents.shape)",
                expected: "the extents of \(noisy.shape)")
        }
        try check(targets, items: noisy.shape[0])
        guard timesteps.count == noisy.shape[0] else {
            throw LatentTranslationError.input(
                name: "timesteps", found: "\(timesteps.count)", expected: "\(noisy.shape[0]), one for each item"
            )
        }
        return try denoiser(
            [noisy, conditioningLatents], shared: network.sharedInputs(timesteps: timesteps, targets: targets))
    }

    /// The volumes of latents: `[batch, z channels, z, y, x]` to `[batch, 1, f z, f y, f x]`.
    ///
    /// - Parameters:
    ///   - latent: quantised or not.
    ///   - requantising: whether it is quantised first, as latent diffusion's own code does and this method's does not.
    /// - Throws: `LatentTranslationError.input` where the latent does not fit; `CancellationError`.
    public func decode(_ latent: Tensor, requantising: Bool = false) throws -> Tensor {
        try check(latent, "the latent", channels: configuration.firstStage.latentChannels)
        return try decoder([requantising ? quantise(latent) : latent])
    }

    private func check(_ tensor: Tensor, _ name: String, channels: Int, multiple: Int = 1) throws {
        let shape = tensor.shape
        guard shape.count == 5, shape[0] > 0, shape[1] == channels,
            shape[2...].allSatisfy({ $0 > 0 && $0 % multiple == 0 })
        else {
            throw LatentTranslationError.input(
                name: name, found: "shape \(shape)",
                expected: "[batch, \(channels), z, y, x]"
                    + (multiple > 1 ? ", with z, y and x multiples of \(multiple)" : ""))
        }
    }

    private func check(_ targets: [Int], items: Int) throws {
        guard targets.count == items else {
            throw LatentTranslationError.input(
                name: "targets", found: "\(targets.count)", expected: "\(items), one for each item")
        }
        for target in targets where !self.targets.indices.contains(target) {
            throw LatentTranslationError.noTarget(found: "\(target)", targets: self.targets)
        }
    }
}

/// The translators of targets that have been asked for.
private final class TranslatorCache: Sendable {
    private let networks = Mutex<[Int: EvaluatedNetwork]>([:])

    /// The translator of a target; `make` reads it the first time.
    func network(of target: Int, make: () throws -> EvaluatedNetwork) throws -> EvaluatedNetwork {
        try networks.withLock { networks in
            if let known = networks[target] { return known }
            let network = try make()
            networks[target] = network
            return network
        }
    }
}
