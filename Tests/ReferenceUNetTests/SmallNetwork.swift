import Foundation
import NetworkEngine
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport

extension UNetConfiguration {
    /// A small network with every kind of layer that the published one has.
    static let small: UNetConfiguration = {
        var configuration = UNetConfiguration()
        configuration.modelChannels = 32
        configuration.channelMultipliers = [1, 2]
        configuration.residualBlocks = 1
        configuration.headChannels = 16
        configuration.contextWidth = 8
        return configuration
    }()

    /// Random parameters, under their names without prefix.
    func randomParameters(_ generator: inout SeededGenerator) -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        for parameter in UNetArchitecture(self).parameters {
            let values = generator.floats(parameter.shape.reduce(1, *), in: -0.1...0.1)
            tensors[parameter.name] = Tensor(shape: parameter.shape, values: values)
        }
        return tensors
    }
}

/// Writes parameters to a file, and makes a network of it.
func network(
    _ configuration: UNetConfiguration = .small, of parameters: [String: Tensor], prefix: String = "",
    options: ComputeOptions = ComputeOptions()
) throws -> UNet {
    try withTemporaryFolder { folder in
        let url = folder.appending(path: "weights.safetensors")
        let named = Dictionary(uniqueKeysWithValues: parameters.map { (prefix + $0, $1) })
        try Safetensors.write(named, to: url)
        return try UNet(weights: url, configuration: configuration, options: options)
    }
}

/// Random inputs of a network.
struct Inputs {
    var x, y: Tensor
    var timesteps: [Float]
    var key: Tensor?

    init(
        _ configuration: UNetConfiguration, batch: Int, rows: Int, columns: Int,
        _ generator: inout SeededGenerator
    ) {
        let shape = [batch, configuration.outputChannels, rows, columns]
        let count = shape.reduce(1, *)
        x = Tensor(shape: shape, values: generator.floats(count))
        y = Tensor(shape: shape, values: generator.floats(count))
        timesteps = generator.floats(batch, in: 0...999)
        key = nil
        guard let bins = configuration.contextWidth else { return }
        let keyShape = [batch, UNetConfiguration.keyTokens, bins]
        key = Tensor(shape: keyShape, values: generator.floats(keyShape.reduce(1, *)))
    }

    /// The inputs of some items of the batch, in this order.
    func items(_ items: [Int]) -> Inputs {
        let pick = { (tensor: Tensor) in
            Tensor.concatenated(items.map { tensor.slice(axis: 0, $0..<$0 + 1) }, axis: 0)
        }
        var result = self
        (result.x, result.y, result.key) = (pick(x), pick(y), key.map(pick))
        result.timesteps = items.map { timesteps[$0] }
        return result
    }

    func evaluate(_ network: UNet) throws -> Tensor {
        try network(x: x, y: y, timesteps: timesteps, key: key)
    }
}

extension UNetArchitecture {
    /// The network's output by the plain evaluator.
    func evaluate(_ inputs: Inputs, parameters: [String: Tensor]) throws -> Tensor {
        try PlainEvaluator(parameters: parameters)(
            graph(batch: inputs.timesteps.count, size: Array(inputs.x.shape[2...])),
            images: [inputs.x, inputs.y],
            shared: [sinusoids(of: inputs.timesteps)] + (inputs.key.map { [$0] } ?? []))
    }
}
