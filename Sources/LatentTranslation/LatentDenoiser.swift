public import DiffusionSampling
import VoxelSupport
import NetworkEngine
public import TensorFiles

/// A model's denoiser for the sampling loop: x_t is a latent, the source is what the network sees with it, and the
/// conditioning is the class of each item's target.
///
/// ```swift
/// let sampler = try Sampler(
///     scheduler: .strided(path, steps: 200, solver: .ancestral), denoiser: LatentDenoiser(model))
/// let latent = try await sampler.sample(from: conditioningLatents, conditioning: [2])
/// ```
///
/// Evaluation runs on its own threads, not on those of Swift's cooperative pool.
public struct LatentDenoiser: Denoiser {
    /// The model.
    public let model: LatentModel

    /// Tiles that the network sees one at a time; nil for the whole latent at once.
    public var tiling: LatentTiling?

    /// What the network was trained to predict: the noise, as published, unless the model states another.
    public var predictionType: PredictionType { model.configuration.predictionType }

    private let executor = ComputeExecutor()

    /// A denoiser.
    public init(_ model: LatentModel, tiling: LatentTiling? = nil) {
        (self.model, self.tiling) = (model, tiling)
    }

    /// A fingerprint of the weights, and the tiles.
    public var runSettings: [RunSetting] {
        [RunSetting("fingerprint of the model", model.fingerprint)]
            + (tiling.map { [RunSetting("tiles", "\($0.size) with an overlap of \($0.overlap)")] } ?? [])
    }

    /// A latent of zeros, of the extents of the conditioning latents.
    public func initialState(for conditioningLatents: Tensor) -> Tensor {
        let channels = model.configuration.firstStage.latentChannels
        return Tensor(shape: [conditioningLatents.shape[0], channels] + conditioningLatents.shape[2...])
    }

    /// The network's output.
    ///
    /// - Throws: `LatentTranslationError` where the latents or targets do not fit the network; `CancellationError`.
    public func predict(
        _ noisy: Tensor, source conditioningLatents: Tensor, at timestep: Int, conditioning targets: [Int],
        progress: (Double) -> Void
    ) async throws -> Tensor {
        try await withTaskExecutorPreference(executor) {
            let factor = model.configuration.firstStage.factor
            let timesteps = [Float](repeating: Float(timestep), count: noisy.shape[0])
            func predict(_ images: [Tensor]) throws -> Tensor {
                try model.predict(
                    images[0], conditioningLatents: images[1], timesteps: timesteps, targets: targets)
            }
            return try tiling?.apply(
                to: [noisy, conditioningLatents], inputUnit: factor, outputUnit: factor, predict)
                ?? predict([noisy, conditioningLatents])
        }
    }
}
