import BridgeTraining
import Networks
import TensorFiles
import TestSupport

/// A network whose gradients are known in closed form: each output slice is
/// `a noisy + b source + c + d (mean of the key) + e t / 1000`, with a to e of the slice's own.
struct TinyNetwork: TrainableNetwork {
    let slices = 3

    var parameters: [Parameter] {
        ["a", "b"].map { Parameter("\($0).weight", [slices, 1]) }
            + ["c", "d", "e"].map { Parameter("\($0).bias", [slices]) }
    }

    var metadata: [String: String] { ["network": "tiny"] }

    func initialParameters(seed: UInt64) -> ParameterSet { ParameterSet(initial: parameters, seed: seed) }

    func evaluator(of parameters: [String: Tensor]) throws -> @Sendable (WindowBatch) throws -> Tensor {
        { batch in output(parameters, batch) }
    }

    private func features(_ batch: WindowBatch, item: Int, index: Int) -> [Float] {
        let keys = batch.keys.values
        let length = keys.count / batch.timesteps.count
        let key = keys[item * length..<(item + 1) * length].reduce(0, +) / Float(length)
        return [
            batch.noisy.values[index], batch.source.values[index], 1, key, batch.timesteps[item] / 1000,
        ]
    }

    private func output(_ parameters: [String: Tensor], _ batch: WindowBatch) -> Tensor {
        let weights = self.parameters.map { parameters[$0.name]!.values }
        var output = batch.noisy
        let pixels = output.shape[2] * output.shape[3]
        for index in output.values.indices {
            let slice = index / pixels % slices
            let features = features(batch, item: index / pixels / slices, index: index)
            output.values[index] = zip(weights, features).reduce(0) { $0 + $1.0[slice] * $1.1 }
        }
        return output
    }

    func gradients(
        of parameters: [String: Tensor], on batch: WindowBatch,
        loss: (Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor]) {
        let (value, slope) = loss(output(parameters, batch))
        var sums = self.parameters.map { _ in [Double](repeating: 0, count: slices) }
        let pixels = slope.shape[2] * slope.shape[3]
        for index in slope.values.indices {
            let features = features(batch, item: index / pixels / slices, index: index)
            for (number, feature) in features.enumerated() {
                sums[number][index / pixels % slices] += Double(slope.values[index]) * Double(feature)
            }
        }
        let gradients = zip(self.parameters, sums).map {
            ($0.name, Tensor(shape: $0.shape, values: $1.map { Float($0) }))
        }
        return (value, Dictionary(uniqueKeysWithValues: gradients))
    }
}
