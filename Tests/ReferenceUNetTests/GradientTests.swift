import NetworkEngine
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

/// Laws of gradients of networks of every kind.
struct GradientTests {
    /// Along any direction, the loss changes as the gradient says: compared with central differences of the plain
    /// arithmetic, one parameter at a time.
    @Test func gradientsAgreeWithDifferences() async {
        await checkLaw(cases: 4) { generator in
            let batch = RandomBatch(&generator)
            let gradients = try batch.gradients().gradients
            let touched = batch.architecture.parameters.shuffled(using: &generator).prefix(12)
            for parameter in touched {
                let direction = generator.floats(parameter.shape.reduce(1, *), in: -1...1)
                let slope = zip(gradients[parameter.name]?.values ?? [], direction)
                    .reduce(0) { $0 + Double($1.0) * Double($1.1) }
                let step = 0.02 / (direction.reduce(0) { $0 + Double($1 * $1) }).squareRoot()
                let difference =
                    try
                    (batch.plainLoss(moving: parameter, along: direction, by: step)
                    - batch.plainLoss(moving: parameter, along: direction, by: -step)) / (2 * step)
                let scale = norm(gradients[parameter.name]?.values ?? []) * norm(direction)
                try #require(
                    abs(slope - difference) <= 0.02 * scale + 2e-3 * batch.plainScale,
                    "\(parameter.name) of \(batch.configuration): \(slope), by differences \(difference)")
            }
        }
    }

    @Test func gradientsHaveTheSameBitsOnAnyNumberOfThreads() async {
        await checkLaw(cases: 3) { generator in
            let batch = RandomBatch(&generator)
            let alone = try batch.gradients(threads: 1)
            for threads in [2, 3, 5] {
                let shared = try batch.gradients(threads: threads)
                try #require(
                    shared.loss == alone.loss && shared.gradients == alone.gradients, "\(threads) threads")
            }
        }
    }

    @Test func recomputedGradientsHaveTheSameBits() async {
        await checkLaw(cases: 3) { generator in
            let batch = RandomBatch(&generator)
            let (kept, recomputed) = (try batch.gradients(), try batch.gradients(recomputes: true))
            try #require(kept.loss == recomputed.loss && kept.gradients == recomputed.gradients)
        }
    }

    /// A batch's gradient is the sum of its images' gradients.
    @Test func gradientsOfABatchAddUp() async {
        await checkLaw(cases: 3) { generator in
            let batch = RandomBatch(&generator)
            let whole = try batch.gradients().gradients
            var sums: [String: [Float]] = [:]
            for item in 0..<batch.inputs.timesteps.count {
                for (name, gradient) in try batch.item(item).gradients().gradients {
                    sums[name] = zip(sums[name] ?? gradient.values.map { _ in 0 }, gradient.values).map(+)
                }
            }
            let most = whole.values.map { norm($0.values) }.max() ?? 0
            for (name, gradient) in whole {
                let gap = zip(gradient.values, sums[name] ?? []).map(-)
                try #require(norm(gap) <= 1e-5 * norm(gradient.values) + 1e-6 * most, "\(name)")
            }
        }
    }
}

/// A network, a batch for it, and a loss that weighs its outputs at random.
private struct RandomBatch {
    let configuration: UNetConfiguration
    let architecture: UNetArchitecture
    let parameters: [String: Tensor]
    var inputs: Inputs
    var weights: Tensor

    init(_ generator: inout SeededGenerator) {
        configuration = generator.configuration()
        architecture = UNetArchitecture(configuration)
        parameters = configuration.randomParameters(&generator)
        let size = configuration.sizeMultiple * (configuration.sizeMultiple > 2 ? 2 : 4)
        inputs = Inputs(configuration, batch: 2, rows: size, columns: 2 * size, &generator)
        weights = Tensor(shape: inputs.x.shape, values: generator.floats(inputs.x.count, in: -1...1))
    }

    func item(_ index: Int) -> RandomBatch {
        var result = self
        result.inputs = inputs.items([index])
        result.weights = weights.slice(axis: 0, index..<index + 1)
        return result
    }

    private var shared: [Tensor] {
        [architecture.sinusoids(of: inputs.timesteps)] + (inputs.key.map { [$0] } ?? [])
    }

    private func loss(_ output: Tensor) -> Double {
        zip(output.values, weights.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    func gradients(threads: Int = 2, recomputes: Bool = false) throws -> (
        loss: Double, gradients: [String: Tensor]
    ) {
        let gradients = NetworkGradients(
            options: ComputeOptions(threads: threads), recomputesActivations: recomputes)
        return try gradients(architecture, parameters: parameters, images: [inputs.x, inputs.y], shared: shared) {
            (loss($0), weights)
        }
    }

    /// How large the plain arithmetic's loss is, which bounds what rounding does to its differences.
    var plainScale: Double { 1e-2 * norm(weights.values) }

    func plainLoss(moving parameter: Parameter, along direction: [Float], by step: Double) throws -> Double {
        var moved = parameters
        moved[parameter.name]?.values = zip(parameters[parameter.name]?.values ?? [], direction)
            .map { Float(Double($0) + step * Double($1)) }
        return loss(try architecture.evaluate(inputs, parameters: moved))
    }
}
