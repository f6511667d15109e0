public import DiffusionSampling
public import SliceSampling
public import StyleKeys
import NetworkEngine
import Networks
import TensorFiles
public import VolumeTranslation
public import Volumes
import VoxelSupport

/// A U-Net as a denoiser: predicts windows of 2N + 1 slices, conditioned on a style key.
///
/// ```swift
/// let network = try UNet(weights: "ct2mri.safetensors")
/// let sampler = SliceSampler(
///     scheduler: Scheduler(BrownianBridge(), steps: 50), denoiser: UNetDenoiser(network),
///     corrector: ScoreCorrector())
/// let mri = try await sampler.sample(from: ct, conditioning: style)
/// ```
///
/// Each window is evaluated on its own, so a window's prediction has the same bits in any batch. Several batches may be
/// evaluated at once: that is how a sampler uses several cores. Evaluation runs on its own threads, not on those of
/// Swift's cooperative pool. Between two windows it checks whether the task is cancelled.
public struct UNetDenoiser: StyledDenoiser {
    /// The network.
    public let network: UNet

    /// What the network was trained to predict.
    public let predictionType: PredictionType

    private let executor = ComputeExecutor()

    /// A denoiser.
    ///
    /// - Parameters:
    ///   - network: the network with its weights.
    ///   - predictionType: what the network was trained to predict; nil for what its file says, or else the gradient,
    ///     as the published ones do.
    public init(_ network: UNet, predictionType: PredictionType? = nil) {
        self.network = network
        self.predictionType = predictionType ?? network.translation?.predictionType ?? .gradient
    }

    /// N, of the network's configuration.
    public var radius: Int { network.configuration.radius }

    /// 2 to the power of the number of times that the network halves the resolution.
    public var sizeMultiple: Int { network.configuration.sizeMultiple }

    /// What the network's file says that it was trained for.
    public var settings: TranslationSettings? { network.translation }

    /// A fingerprint of the network.
    public var runSettings: [RunSetting] { [RunSetting("fingerprint of the network", network.fingerprint)] }

    /// The style key itself.
    ///
    /// - Throws: `TranslationError.styleBins(found:expected:)` where it has not as many bins as the network takes.
    public func conditioning(for source: Volume, style: StyleKey) throws -> StyleKey {
        if let bins = network.configuration.contextWidth, bins != style.bins {
            throw TranslationError.styleBins(found: style.bins, expected: bins)
        }
        return style
    }

    /// The network's output for each window, one after another.
    ///
    /// - Throws: `UNetError.input` where the slices or the style key do not fit the network; `CancellationError`.
    public func predict(
        _ windows: SliceWindows, at timestep: Int, conditioning style: StyleKey
    ) async throws -> [Float] {
        try network.check(rows: windows.rows, columns: windows.columns, slices: windows.slicesPerWindow)
        let key = network.configuration.contextWidth.map { _ in
            Tensor(shape: [1, UNetConfiguration.keyTokens, style.bins], values: style.tokens)
        }
        try network.check(key: key, items: 1)
        return try await withTaskExecutorPreference(executor) {
            try evaluate(windows, at: timestep, key: key)
        }
    }

    private func evaluate(_ windows: SliceWindows, at timestep: Int, key: Tensor?) throws -> [Float] {
        let length = windows.valuesPerWindow
        return try [Float](unsafeUninitializedCapacity: windows.count * length) { prediction, count in
            for window in 0..<windows.count {
                try Task.checkCancellation()
                try network.evaluate(
                    x: windows.noisy(window), y: windows.source(window), rows: windows.rows,
                    columns: windows.columns, timestep: Float(timestep), key: key,
                    into: UnsafeMutableBufferPointer(rebasing: prediction[count..<count + length]))
                count += length
            }
        }
    }
}

extension VolumeTranslator where Denoiser == UNetDenoiser {
    /// A translator by what a network's file says: process, prediction type, plane and spacing; the published ones where
    /// it says nothing.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - steps: S, the number of timesteps visited; `nil` for 50.
    ///   - corrector: what is done after each step but the last; `nil` for co-prediction alone.
    ///   - paths: types of your own paths, which the file may name.
    /// - Throws: `StoredPathError` where the file names a path that is not known.
    public init(
        _ network: UNet, steps: Int? = nil, corrector: (any Corrector)? = ScoreCorrector(),
        paths: [any StorablePath.Type] = []
    ) throws {
        try self.init(UNetDenoiser(network), steps: steps, corrector: corrector, paths: paths)
    }
}
