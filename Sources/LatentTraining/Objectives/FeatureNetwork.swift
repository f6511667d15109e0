public import Foundation
public import TensorFiles
import NetworkEngine
import Networks

/// A fixed network whose features tell how alike two volumes look, for the perceptual loss.
///
/// The package provides ``ConvolutionFeatures``.
///
/// ## Laws that a conformer keeps
/// - Results depend only on the arguments, to the bit.
public protocol FeatureNetwork: Sendable {
    /// A fingerprint that changes whenever the features do: a run is not resumed with other ones.
    var fingerprint: String { get }

    /// The features of a volume, `[1, channels, z, y, x]` in about -1 to 1, as `[1, features, ...]`, and the map of a loss's
    /// gradient with respect to them to its gradient with respect to the volume.
    func features(of volume: Tensor) throws -> (
        features: Tensor, pullback: (_ gradient: Tensor) throws -> Tensor
    )
}

extension FeatureNetwork {
    /// The mean over voxels of the squared distance of feature vectors of unit length, and its gradient with respect to the
    /// first volume. Zhang et al., arXiv 1801.03924, without weights.
    func distance(of volume: Tensor, to other: Tensor) throws -> (value: Double, gradient: Tensor) {
        let (first, pullback) = try features(of: volume)
        let second = try features(of: other).features
        precondition(first.shape == second.shape, "features of \(first.shape) and \(second.shape)")
        let channels = first.shape[1]
        let voxels = first.count / channels
        var gradient = Tensor(shape: first.shape)
        var sum = 0.0
        let epsilon = 1e-10
        for voxel in 0..<voxels {
            func vector(_ tensor: Tensor) -> (values: [Double], norm: Double) {
                let values = (0..<channels).map { Double(tensor.values[$0 * voxels + voxel]) }
                return (values, values.reduce(0) { $0 + $1 * $1 }.squareRoot())
            }
            let (f, norm) = vector(first)
            let (g, otherNorm) = vector(second)
            let slopes = zip(f, g).map { 2 * ($0 / (norm + epsilon) - $1 / (otherNorm + epsilon)) }
            sum += slopes.reduce(0) { $0 + $1 * $1 / 4 }
            let along = zip(slopes, f).reduce(0) { $0 + $1.0 * $1.1 }
            for channel in 0..<channels {
                let radial = norm > 0 ? f[channel] * along / (norm * (norm + epsilon) * (norm + epsilon)) : 0
                gradient.values[channel * voxels + voxel] = Float(
                    (slopes[channel] / (norm + epsilon) - radial) / Double(voxels))
            }
        }
        return (sum / Double(voxels), try pullback(gradient))
    }
}

/// Features of a chain of 3 x 3 x 3 convolutions of stride 2 with ReLU between them, from a file.
///
/// The file is a safetensors file with `features.0.weight`, `features.0.bias`, `features.2.weight`, ... as a PyTorch
/// `nn.Sequential` of `Conv3d(..., 3, stride=2, padding=1)` and `ReLU` has them, for volumes indexed (x, y, z).
public struct ConvolutionFeatures: FeatureNetwork {
    /// A fingerprint of the parameters.
    public let fingerprint: String

    private let network: Chain
    private let parameters: [String: Tensor]
    private let engine: NetworkGradients

    /// Reads the network in a file.
    ///
    /// - Throws: `SafetensorsError` if the file cannot be read; ``FeatureNetworkError`` if it holds no such network.
    public init(contentsOf url: URL, options: ComputeOptions = ComputeOptions()) throws {
        let file = try Safetensors(contentsOf: url)
        try self.init(
            Dictionary(uniqueKeysWithValues: try file.names.map { ($0, try file.tensor($0)) }), file: url.path,
            options: options)
    }

    /// Reads the network in the file at a path.
    ///
    /// - Throws: as ``init(contentsOf:options:)-(URL,_)`` does.
    public init(contentsOf path: String, options: ComputeOptions = ComputeOptions()) throws {
        try self.init(contentsOf: URL(filePath: path), options: options)
    }

    init(_ stored: [String: Tensor], file: String, options: ComputeOptions) throws {
        let indices = stored.keys.compactMap {
            $0.wholeMatch(of: /features\.(\d+)\.weight/).flatMap { Int($0.1) }
        }
        .sorted()
        var (layers, inputs) = ([Convolution](), 1)
        var parameters: [String: Tensor] = [:]
        for index in indices {
            let path = "features.\(index)"
            let shape = stored["\(path).weight"]?.shape ?? []
            guard shape.count == 5, shape[1] == inputs, shape[2...] == [3, 3, 3],
                let weight = stored["\(path).weight"], let bias = stored["\(path).bias"],
                bias.shape == [shape[0]]
            else {
                throw FeatureNetworkError(
                    file: file, parameter: "\(path).weight", found: "\(shape)",
                    expected: "[outputs, \(inputs), 3, 3, 3], with \(path).bias of [outputs]")
            }
            layers.append(
                Convolution(
                    path, inputs: inputs, outputs: shape[0], kernel: [3, 3, 3], stride: [2, 2, 2]))
            parameters["\(path).weight"] = weight.reversingSpatialAxes()
            parameters["\(path).bias"] = bias
            inputs = shape[0]
        }
        guard !layers.isEmpty else {
            throw FeatureNetworkError(
                file: file, parameter: "features.0.weight", found: "none", expected: "[outputs, 1, 3, 3, 3]")
        }
        network = Chain(layers: layers)
        self.parameters = parameters
        fingerprint = LatentCache.fingerprint(of: parameters)
        engine = NetworkGradients(options: options)
    }

    /// The output of the last convolution for a volume, `[1, 1, z, y, x]`, and the pullback: the gradient with respect to the
    /// volume, given that with respect to the output. Memory for the pullback is kept as long as it is.
    ///
    /// - Throws: `UnsupportedOperation`; `CancellationError`.
    public func features(of volume: Tensor) throws -> (
        features: Tensor, pullback: (_ gradient: Tensor) throws -> Tensor
    ) {
        let tape = engine.tape(parameters) { _ in false }
        let input = tape.input(volume, wantsGradient: true)
        let output = try tape.evaluate(network, images: [input])
        return (
            tape.tensor(output),
            { gradient in
                try tape.differentiate([(output, gradient)])
                return tape.gradient(of: input)
            }
        )
    }

    private struct Chain: Network {
        let layers: [Convolution]

        var parameters: [Parameter] { layers.flatMap(\.parameters) }

        func graph(batch: Int, size: [Int]) -> Graph {
            let builder = GraphBuilder()
            let first = layers[0](builder.image([batch, 1] + size))
            return builder.graph(endingIn: layers.dropFirst().reduce(first) { $1($0.relu()) })
        }
    }
}

/// A file holds no feature network.
public struct FeatureNetworkError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file.
    public let file: String
    /// The parameter that is wrong.
    public let parameter: String
    /// What was found.
    public let found: String
    /// What was expected.
    public let expected: String

    /// The file, the parameter, what was found and what was expected.
    public var description: String { "\(file): \(parameter): found \(found); expected \(expected)" }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
