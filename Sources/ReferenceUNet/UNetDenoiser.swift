import Networks
public import SliceSampling
public import StyleKeys
import TensorFiles

/// The denoiser that a U-Net is: predicts windows of 2N + 1 slices, conditioned on a style key.
///
/// ```swift
/// let network = try UNet(weights: folder.appending(path: "ct2mri.safetensors"))
/// let sampler = SliceSampler(
///     scheduler: BrownianBridge(steps: 50), denoiser: UNetDenoiser(network), corrector: ScoreCorrector())
/// let mri = try await sampler.sample(from: ct, conditioning: style)
/// ```
///
/// Each window is evaluated on its own, so a window's prediction has the same bits in any batch. Several batches
/// may be evaluated at once: that is how a sampler uses several cores. Between two windows it looks whether the
/// task is cancelled.
public struct UNetDenoiser: SliceDenoiser {
    /// The network.
    public let network: UNet

    /// What the network was trained to predict.
    public let parameterization: Parameterization

    /// N, as the configuration of the network has it.
    public var radius: Int { network.configuration.radius }

    /// A denoiser.
    ///
    /// - Parameters:
    ///   - network: the network with its weights.
    ///   - parameterization: what the network was trained to predict; nil for what its file says, or else the
    ///     gradient, as of the published ones.
    public init(_ network: UNet, parameterization: Parameterization? = nil) {
        self.network = network
        self.parameterization = parameterization ?? network.translation?.objective ?? .gradient
    }

    /// The network's output for each window, one after another.
    ///
    /// - Throws: `UNetError.input` where the slices or the style key do not fit the network;
    ///   `CancellationError`.
    public func predict(
        _ windows: SliceWindows, at timestep: Int, conditioning style: StyleKey
    ) async throws -> [Float] {
        try network.check(rows: windows.rows, columns: windows.columns, slices: windows.slicesPerWindow)
        let key = network.configuration.contextWidth.map { _ in
            Tensor(shape: [1, UNetConfiguration.keyTokens, style.bins], values: style.tokens)
        }
        try network.check(key: key, items: 1)
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
