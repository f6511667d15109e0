public import BridgeDiffusion

/// A model that predicts from all of x_t at once: what a ``Sampler`` evaluates.
///
/// A denoiser of volumes or latents conforms to it. One that sees windows of slices conforms to `SliceDenoiser` of the
/// module `SliceSampling`, which makes a `Denoiser` of the whole stack from it.
///
/// ```swift
/// struct LatentDenoiser: Denoiser {
///     let predictionType = PredictionType.noise
///
///     func predict(
///         _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning target: Int, progress: (Double) -> Void
///     ) async throws -> Tensor {
///         try network(noisy, source, timestep: timestep, target: target)
///     }
/// }
/// ```
///
/// ## Laws that a conformer keeps
/// - A prediction depends on the arguments alone, not on calls before: that makes a run repeatable to the bit.
/// - Long work checks `Task.isCancelled` regularly, and does not block a thread of Swift's cooperative pool.
public protocol Denoiser<Storage, Conditioning>: Sendable {
    /// What holds x_t, the source and the predictions.
    associatedtype Storage: SampleStorage

    /// What a prediction is conditioned on beside x_t and the source. `Void` for nothing.
    associatedtype Conditioning: Sendable = Void

    /// What the predictions stand for.
    var predictionType: PredictionType { get }

    /// Whether predictions are already checked for NaN and infinity. `false` unless a conformer says otherwise: a
    /// sampler then checks them.
    var checksPredictions: Bool { get }

    /// Settings of the denoiser that decide the bits of a result, by name. A saved state is resumed only where they
    /// are equal. None unless a conformer says otherwise.
    var runSettings: [RunSetting] { get }

    /// Storage shaped as x_t and the predictions are, filled with the source. The source itself unless a conformer
    /// says otherwise.
    func initialState(for source: Storage) -> Storage

    /// Predicts one value for each value of x_t.
    ///
    /// - Parameters:
    ///   - noisy: x_t.
    ///   - source: y, as it was given to the sampler.
    ///   - timestep: t, from `0..<trainingTimesteps` of the path.
    ///   - conditioning: as it was given to the sampler.
    ///   - progress: may be called with the share of the prediction that is done, from 0 to 1.
    func predict(
        _ noisy: Storage, source: Storage, at timestep: Int, conditioning: Conditioning,
        progress: (Double) -> Void
    ) async throws -> Storage
}

extension Denoiser {
    /// No.
    public var checksPredictions: Bool { false }

    /// None.
    public var runSettings: [RunSetting] { [] }

    /// The source itself.
    public func initialState(for source: Storage) -> Storage { source }
}
