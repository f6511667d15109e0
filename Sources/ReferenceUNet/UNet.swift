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

    /// Reads a network's weights from a safetensors file.
    ///
    /// Parameters have the names of published checkpoints, with `denoise_fn.` in front or without.
    ///
    /// - Throws: `SafetensorsError`, `UNetConfigurationError`, or `UNetError` where the parameters are not
    ///   those of the configuration or not finite.
    public init(weights: URL, configuration: UNetConfiguration = .ct2mri) throws {
        try configuration.validate()
        let architecture = UNetArchitecture(configuration)
        let file = try Safetensors(contentsOf: weights)
        let names = try architecture.storedNames(in: file, at: weights)
        var parameters: [String: Tensor] = [:]
        for (name, stored) in names {
            let tensor = try file.tensor(stored)
            guard tensor.values.allSatisfy({ $0.isFinite }) else {
                throw UNetError.notFinite(file: weights.path, parameter: stored)
            }
            parameters[name] = tensor
        }
        self.configuration = configuration
        self.architecture = architecture
        arithmetic = TensorArithmetic(parameters: parameters)
    }

    /// Reads a network's weights from a safetensors file, and its configuration from a JSON file.
    ///
    /// - Throws: as `init(weights:configuration:)` does.
    public init(weights: URL, configuration: URL) throws {
        try self.init(weights: weights, configuration: UNetConfiguration(contentsOf: configuration))
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

extension UNetArchitecture {
    /// What published checkpoints put before each parameter's name.
    private static let prefix = "denoise_fn."

    /// Each parameter's name with the name it has in a file, which is checked to hold them all and no others.
    ///
    /// Where any name in the file has the prefix, all must have it.
    fileprivate func storedNames(in file: Safetensors, at url: URL) throws -> [String: String] {
        let prefix = file.names.contains { $0.hasPrefix(Self.prefix) } ? Self.prefix : ""
        let expected = Dictionary(uniqueKeysWithValues: parameters.map { (prefix + $0.name, $0) })
        let missing = expected.keys.filter { file.shape(of: $0) == nil }
        let extra = file.names.filter { expected[$0] == nil }
        let misshapen = expected.compactMap { stored, parameter -> UNetError.Misshapen? in
            guard let found = file.shape(of: stored), found != parameter.shape else { return nil }
            return .init(name: stored, found: found, expected: parameter.shape)
        }
        guard missing.isEmpty, extra.isEmpty, misshapen.isEmpty else {
            throw UNetError.parameters(
                file: url.path, missing: missing.sorted(), extra: extra,
                misshapen: misshapen.sorted { $0.name < $1.name })
        }
        return Dictionary(uniqueKeysWithValues: expected.map { ($1.name, $0) })
    }
}
