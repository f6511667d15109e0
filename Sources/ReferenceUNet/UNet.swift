import Foundation
import NetworkEngine
import Networks
import TensorFiles
public import VolumeTranslation

/// A conditional 2-D U-Net with its weights: denoises windows of 2N + 1 neighbouring slices.
///
/// ```swift
/// let network = try UNet(weights: "ct2mri.safetensors")
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

    /// What the network was trained for; nil where its file does not say.
    public let translation: TranslationSettings?

    /// A fingerprint of everything that decides the bits of an output: the weights, and the form that convolutions take.
    public let fingerprint: String

    private let architecture: UNetArchitecture
    private let compiled: CompiledNetwork

    /// Reads a network's weights from a safetensors file or a PyTorch checkpoint.
    ///
    /// - Parameters:
    ///   - weights: the file; `UNetWeights` says what it must hold.
    ///   - configuration: nil for the one that the file carries, or that the parameters show.
    ///   - selection: which weights of a checkpoint: nil for `ema` where the file has it, else `model`.
    ///   - options: the part of the machine that the network may use.
    /// - Throws: as `UNetWeights.init(contentsOf:configuration:selection:)` does, and `ParameterError.notFinite`.
    public init(
        weights: URL, configuration: UNetConfiguration? = nil, selection: UNetWeights.Selection? = nil,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(
            UNetWeights(contentsOf: weights, configuration: configuration, selection: selection),
            options: options)
    }

    /// Reads a network's weights, with a configuration from a JSON file, which may leave out what the
    /// parameters show.
    ///
    /// - Throws: as `init(weights:configuration:selection:options:)` does.
    public init(
        weights: URL, configuration: URL, selection: UNetWeights.Selection? = nil,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(
            UNetWeights(contentsOf: weights, configuration: configuration, selection: selection),
            options: options)
    }

    /// Reads a network's weights from a file at a path.
    ///
    /// - Throws: as `init(weights:configuration:selection:options:)` of a URL does.
    public init(
        weights: String, configuration: UNetConfiguration? = nil, selection: UNetWeights.Selection? = nil,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(
            weights: URL(filePath: weights), configuration: configuration, selection: selection,
            options: options)
    }

    /// Reads a network's weights from a file at a path, with a configuration from a JSON file at another.
    ///
    /// - Throws: as `init(weights:configuration:selection:options:)` of a URL does.
    public init(
        weights: String, configuration: String, selection: UNetWeights.Selection? = nil,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(
            weights: URL(filePath: weights), configuration: URL(filePath: configuration), selection: selection,
            options: options)
    }

    /// A network of parameters in memory, by their published names, with `denoise_fn.` in front or without.
    ///
    /// - Throws: `NetworkConfigurationError`, or `ParameterError` where the parameters are not those of the
    ///   configuration or not finite.
    public init(
        parameters: [String: Tensor], configuration: UNetConfiguration,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(UNetWeights(parameters: parameters, configuration: configuration), options: options)
    }

    /// Reads and packs weights that have been found.
    ///
    /// - Throws: `ParameterError.notFinite`.
    public init(_ weights: UNetWeights, options: ComputeOptions = ComputeOptions()) throws {
        (configuration, translation) = (weights.configuration, weights.translation)
        architecture = UNetArchitecture(configuration)
        let multiple = configuration.sizeMultiple
        let size = max(1, Self.plannedSize / multiple) * multiple
        compiled = try CompiledNetwork(architecture, planned: [size, size], options: options) {
            try weights.tensor($0.name)
        }
        fingerprint =
            String(compiled.fingerprint, radix: 16)
            + (options.winogradMemory.map { " with \($0) bytes for Winograd's form" } ?? "")
    }

    /// Rows and columns that memory is planned for: those of the published network's slices.
    private static let plannedSize = 160

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
        let length = x.shape[1...].reduce(1, *)
        var output = Tensor(shape: x.shape)
        try output.values.withUnsafeMutableBufferPointer { output in
            for item in 0..<x.shape[0] {
                let range = item * length..<(item + 1) * length
                try evaluate(
                    x: x.values[range], y: y.values[range], rows: x.shape[2], columns: x.shape[3],
                    timestep: timesteps[item], key: key?.slice(axis: 0, item..<item + 1),
                    into: UnsafeMutableBufferPointer(rebasing: output[range]))
            }
        }
        return output
    }

    /// Evaluates the network on one window, which may be part of larger arrays: `[2N + 1, rows, columns]`.
    func evaluate(
        x: ArraySlice<Float>, y: ArraySlice<Float>, rows: Int, columns: Int, timestep: Float, key: Tensor?,
        into output: UnsafeMutableBufferPointer<Float>
    ) throws {
        let shared = [architecture.sinusoids(of: [timestep])] + (key.map { [$0] } ?? [])
        try compiled.evaluate(images: [x, y], size: [rows, columns], shared: shared, into: output)
    }

    private func check(x: Tensor, y: Tensor, timesteps: [Float], key: Tensor?) throws {
        guard x.shape.count == 4 else { throw sizeError(found: "shape \(x.shape)") }
        try check(rows: x.shape[2], columns: x.shape[3], slices: x.shape[1])
        guard y.shape == x.shape else {
            throw UNetError.input(name: "y", found: "shape \(y.shape)", expected: "\(x.shape), as x has")
        }
        guard timesteps.count == x.shape[0] else {
            throw UNetError.input(
                name: "timesteps", found: "\(timesteps.count)",
                expected: "\(x.shape[0]), one for each item of x")
        }
        try check(key: key, items: x.shape[0])
    }

    /// Checks the size of windows.
    func check(rows: Int, columns: Int, slices: Int) throws {
        let multiple = configuration.sizeMultiple
        guard slices == configuration.outputChannels,
            [rows, columns].allSatisfy({ $0 > 0 && $0 % multiple == 0 })
        else { throw sizeError(found: "\(slices) slices of \(rows) x \(columns)") }
    }

    private func sizeError(found: String) -> UNetError {
        UNetError.input(
            name: "x", found: found,
            expected: "[batch, \(configuration.outputChannels), rows, columns], "
                + "rows and columns being multiples of \(configuration.sizeMultiple)")
    }

    /// Checks the shape of style keys.
    func check(key: Tensor?, items: Int) throws {
        let shape = configuration.contextWidth.map { [items, UNetConfiguration.keyTokens, $0] }
        guard key?.shape == shape else {
            throw UNetError.input(
                name: "key", found: key.map { "shape \($0.shape)" } ?? "none",
                expected: shape.map { "\($0), a style key for each item" }
                    ?? "none: the network takes no key")
        }
    }
}
