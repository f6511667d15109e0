import Foundation
import LatentTranslation
import Networks
import TensorFiles
import TestSupport
import Testing

@testable import LatentTraining

/// The numbers of other software, computed in double precision, whose tensors are `[batch, channels, x, y, z]`.
struct ReferenceNumbers {
    let file: Safetensors

    init(_ name: String) throws { file = try Safetensors(contentsOf: Self.url("\(name).safetensors")) }

    static func url(_ name: String) -> URL { Fixtures.reference("aldm/\(name)") }

    /// The networks that training starts from.
    static func start() throws -> LatentParameters {
        try LatentParameters(
            LatentWeights(
                contentsOf: url("unet_a.safetensors"), firstStage: url("autoencoder_a.safetensors"),
                configurations: [url("unet_a.json"), url("autoencoder_a.json")]))
    }

    func number(_ name: String) throws -> Double { Double(try file.tensor(name).values[0]) }

    func integers(_ name: String) throws -> [Int] { try file.tensor(name).values.map { Int($0) } }

    /// Each item of a tensor of volumes, `[1, channels, z, y, x]`.
    func items(_ name: String) throws -> [Tensor] {
        let tensor = try file.tensor(name).reversingSpatialAxes()
        return (0..<tensor.shape[0]).map { tensor.slice(axis: 0, $0..<$0 + 1) }
    }

    /// Parameters in the layout of networks here; nil where the file has none of that name.
    func parameter(_ parameter: Parameter, _ prefix: String = "") throws -> Tensor? {
        file.shape(of: prefix + parameter.name) == nil
            ? nil : StoredLayout.converted(try file.tensor(prefix + parameter.name), of: parameter)
    }

    func parameters(_ parameters: [Parameter], _ prefix: String = "") throws -> [String: Tensor] {
        try Dictionary(
            uniqueKeysWithValues: parameters.compactMap { own in
                try parameter(own, prefix).map { (own.name, $0) }
            })
    }

    /// The sum of gradients in the file, `weights` times those under each prefix.
    func gradients(_ parameters: [Parameter], _ weights: [String: Double]) throws -> [String: [Double]] {
        var sums: [String: [Double]] = [:]
        for parameter in parameters {
            var sum = [Double](repeating: 0, count: parameter.shape.reduce(1, *))
            for (prefix, weight) in weights {
                guard let part = try self.parameter(parameter, "grad.\(prefix).") else { continue }
                for (index, value) in part.values.enumerated() { sum[index] += weight * Double(value) }
            }
            sums[parameter.name] = sum
        }
        return sums
    }

    /// The Euclidean norm of all gradients under a prefix.
    func gradientNorm(_ parameters: [Parameter], _ prefix: String) throws -> Double {
        try gradients(parameters, [prefix: 1]).values.joined().reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
}

/// The numbers of a parameter without the biases of keys, whose gradient is 0 and whose step is rounding.
func withoutKeys(_ name: String, _ values: [Float], headChannels: Int = 4) -> [Float] {
    guard name.hasSuffix(".qkv.bias") else { return values }
    return values.enumerated().filter { $0.offset / headChannels % 3 != 1 }.map(\.element)
}
