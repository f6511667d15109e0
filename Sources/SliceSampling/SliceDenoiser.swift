public import BridgeDiffusion

/// A model that predicts, from windows of noisy slices and of source slices, the windows of target slices.
///
/// It may run anywhere: on this machine, on a GPU, on a server.
///
/// ```swift
/// struct Brightener: SliceDenoiser {
///     let radius = 0
///     let predictionType = PredictionType.sample
///
///     func predict(_ windows: SliceWindows, at timestep: Int, conditioning: Void) async throws -> [Float] {
///         (0..<windows.count).flatMap { windows.source($0).map { min(1, $0 + 0.1) } }
///     }
/// }
/// ```
///
/// ## Laws that a conformer keeps
/// - A window's prediction depends on that window, the timestep and the conditioning alone: neither on the
///   other windows of the batch nor on calls before. That is what makes a sampled volume the same, bit for
///   bit, at any batch size and number of batches in flight.
/// - It may be called by several tasks at once.
/// - Long work checks `Task.isCancelled` regularly, and does not block a thread of Swift's cooperative pool.
public protocol SliceDenoiser<Conditioning>: Sendable {
    /// What a prediction is conditioned on beside the slices, for example a style key. `Void` for nothing.
    associatedtype Conditioning: Sendable = Void

    /// N: slices on either side of a window's middle one. Windows hold 2N+1 slices.
    var radius: Int { get }

    /// What the predictions stand for.
    var predictionType: PredictionType { get }

    /// Whether windows whose source holds nothing but background may be skipped, and background taken for their
    /// estimate of x_0. `false` unless a conformer says otherwise.
    var maySkipBackground: Bool { get }

    /// Predicts one value for each of the windows' voxels.
    ///
    /// - Parameters:
    ///   - windows: a batch of windows of noisy slices x_t and source slices y.
    ///   - timestep: t, from `0..<trainingTimesteps` of the sampler's path.
    ///   - conditioning: what the caller of the sampler gave.
    /// - Returns: the windows' predictions one after another, each 2N+1 slices of rows x columns.
    func predict(
        _ windows: SliceWindows, at timestep: Int, conditioning: Conditioning
    ) async throws -> [Float]
}

extension SliceDenoiser {
    /// No: what a network predicts for background is not known.
    public var maySkipBackground: Bool { false }
}
