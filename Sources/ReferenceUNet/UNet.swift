import Foundation
import Tensors

/// A conditional 2-D U-Net with its weights: denoises windows of 2N + 1 neighbouring slices.
///
/// ```swift
/// let network = try UNet(weights: folder.appending(path: "ct2mri.safetensors"))
/// let output = try network(x: noisy, y: source, timesteps: [999], key: key)
/// ```
///
/// The network of Choo et al., MICCAI 2024 (arXiv 2407.05059), after that of Dhariwal and Nichol
/// (arXiv 2105.05233) with the spatial transformer of Rombach et al. (arXiv 2112.10752).
///
/// A network never changes, and any number of threads may evaluate it at once. Each item of a batch is
/// computed whole and on its own: it has the same bits in any batch, on any thread.
public struct UNet: Sendable {
    /// The network's sizes.
    public let configuration: UNetConfiguration

    private let architecture: UNetArchitecture
    private let arithmetic: TensorArithmetic

    /// Reads a network's weights from a safetensors file or a PyTorch checkpoint.
    ///
    /// - Parameters:
    ///   - weights: the file; `UNetWeights` says what it must hold.
    ///   - configuration: nil for the one that the file carries, or that the parameters show.
    ///   - selection: which weights of a checkpoint: nil for `ema` where the file has it, else `model`.
    /// - Throws: as `UNetWeights.init(contentsOf:configuration:selection:)` does, and `UNetError.notFinite`.
    public init(
        weights: URL, configuration: UNetConfiguration? = nil, selection: UNetWeights.Selection? = nil
    ) throws {
        try self.init(
            UNetWeights(contentsOf: weights, configuration: configuration, selection: selection))
    }

    /// Reads a network's weights, with a configuration from a JSON file, which may leave out what the
    /// parameters show.
    ///
    /// - Throws: as `init(weights:configuration:selection:)` does.
    public init(weights: URL, configuration: URL, selection: UNetWeights.Selection? = nil) throws {
        try self.init(
            UNetWeights(contentsOf: weights, configuration: configuration, selection: selection))
    }

    /// A network of parameters in memory, by their published names, with `denoise_fn.` in front or without.
    ///
    /// - Throws: `UNetConfigurationError`, or `UNetError` where the parameters are not those of the
    ///   configuration or not finite.
    public init(parameters: [String: Tensor], configuration: UNetConfiguration) throws {
        try self.init(UNetWeights(parameters: parameters, configuration: configuration))
    }

    /// A network of weights that have been found, which are read.
    ///
    /// - Throws: `UNetError.notFinite`.
    public init(_ weights: UNetWeights) throws {
        configuration = weights.configuration
        architecture = UNetArchitecture(configuration)
        let parameters = try architecture.parameters.map { ($0.name, try weights.tensor($0.name)) }
        arithmetic = TensorArithmetic(parameters: Dictionary(uniqueKeysWithValues: parameters))
    }

    /// Evaluates the network.
    ///
    /// - Parameters:
    ///   - x: noisy slices, `[batch, 2N + 1, rows, columns]`, in [-1, 1]; rows and columns are multiples of
    ///     `configuration.sizeMultiple`.
    ///   - y: source slices, of the same shape, in [-1, 1].
    ///   - timesteps: the time step of each item, from 0.
    ///   - key: the style key of each item, `[batch, 3, bins]`; nil where the network takes none.
    /// - Returns: `[batch, 2N + 1, rows, columns]`.
    /// - Throws: `UNetError.input` naming what does not fit.
    public func callAsFunction(x: Tensor, y: Tensor, timesteps: [Float], key: Tensor?) throws -> Tensor {
        try check(x: x, y: y, timesteps: timesteps, key: key)
        let items = (0..<x.shape[0]).map { item in
            architecture(
                x: x.slice(axis: 0, item..<item + 1), y: y.slice(axis: 0, item..<item + 1),
                time: architecture.sinusoids(of: [timesteps[item]]), key: key?.slice(axis: 0, item..<item + 1),
                with: arithmetic)
        }
        return items.isEmpty ? x : .concatenated(items, axis: 0)
    }

    private func check(x: Tensor, y: Tensor, timesteps: [Float], key: Tensor?) throws {
        let multiple = configuration.sizeMultiple
        let fits =
            x.shape.count == 4 && x.shape[1] == configuration.outputChannels
            && x.shape[2...].allSatisfy { $0 > 0 && $0 % multiple == 0 }
        guard fits else {
            throw UNetError.input(
                name: "x", found: "shape \(x.shape)",
                expected: "[batch, \(configuration.outputChannels), rows, columns], "
                    + "rows and columns being multiples of \(multiple)")
        }
        guard y.shape == x.shape else {
            throw UNetError.input(name: "y", found: "shape \(y.shape)", expected: "\(x.shape), as x has")
        }
        guard timesteps.count == x.shape[0] else {
            throw UNetError.input(
                name: "timesteps", found: "\(timesteps.count)",
                expected: "\(x.shape[0]), one for each item of x")
        }
        let keyShape = configuration.contextWidth.map { [x.shape[0], UNetConfiguration.keyTokens, $0] }
        guard key?.shape == keyShape else {
            throw UNetError.input(
                name: "key", found: key.map { "shape \($0.shape)" } ?? "none",
                expected: keyShape.map { "\($0), a style key for each item" }
                    ?? "none: the network takes no key")
        }
    }
}
