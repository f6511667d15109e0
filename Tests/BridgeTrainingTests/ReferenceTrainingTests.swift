import BridgeDiffusion
import Foundation
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

@testable import BridgeTraining

/// Five steps of Adam on one batch, computed in double precision by other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct ReferenceTrainingTests {
    @Test func fiveStepsAgree() throws {
        let file = try Safetensors(contentsOf: Fixtures.reference("training.safetensors"))
        let network = TrainableUNet(
            try UNetConfiguration(contentsOf: Fixtures.reference("unet_training.json")))
        func set(_ prefix: String) throws -> ParameterSet {
            try ParameterSet(network.parameters) { try file.tensor("\(prefix).\($0)") }
        }
        let (batch, target) = try batch(file)

        var configuration = TrainingConfiguration()
        configuration.optimizer.learningRate = 1e-3
        configuration.rateSchedule.kind = .constant
        (configuration.movingAverage.interval, configuration.movingAverage.start) = (1, 0)
        var state = TrainingState(try set("param"), settings: .init(configuration))
        for step in 1...5 {
            let (loss, gradients) = try network.gradients(of: state.parameters.tensors, on: batch) {
                configuration.loss($0, target: target)
            }
            if step == 1 { #expect(abs(loss - Double(try file.tensor("loss.l1").values[0])) < 1e-6) }
            state.optimizer.step(
                &state.parameters, against: try ParameterSet(network.parameters) { gradients[$0] },
                rate: state.learningRate)
            state.average?.update(with: state.parameters, step: step)
            state.step = step
        }
        try check(state.parameters, against: set("adam5"), slopes: set("grad.l1"), tolerance: 1e-5)
        try check(state.averagedParameters, against: set("ema5"), slopes: set("grad.l1"), tolerance: 1e-6)
    }

    /// All numbers together, and those whose gradient is 0 apart: the biases, and all that the time goes through,
    /// before normalisations of one channel each. Double precision gives them 1e-17, and they stay; Adam divides a
    /// gradient by its own size but for an epsilon of 1e-8, so PyTorch's single precision, which rounds to 1e-9
    /// there, moves them by up to 8e-4, and differs by 9e-5 in all. Here they must stay within a fiftieth of a step.
    ///
    /// What remains is rounding of the other gradients, which is 8e-6 of them with convolutions in Winograd's form:
    /// the few numbers whose gradient is nearly 0 differ by a part of a step. Such rounding drawn at random thirty
    /// times gave 4e-6 in all as a rule, and once 1.4e-5. Bad luck is worse: a number that rounding moves by half a
    /// step can carry an output over its target, of which the nearest is 4.5e-5 away, and one turned sign of 1536 in
    /// the gradient of L1 changes every gradient by some per cent, and the parameters by 3e-4.
    private func check(
        _ found: ParameterSet, against expected: ParameterSet, slopes: ParameterSet, tolerance: Double
    ) {
        let (all, target) = (found.arrays.flatMap { $0 }, expected.arrays.flatMap { $0 })
        let difference = relativeL2(all, target)
        #expect(difference < tolerance)
        var (still, most) = (0, Float(0))
        for (index, slope) in slopes.arrays.joined().enumerated() where abs(slope) < 1e-14 {
            most = max(most, abs(all[index] - target[index]))
            still += 1
        }
        #expect(still > 50_000)
        #expect(most < 2e-5)
        print("after five steps: relative L2 \(difference), of those without a gradient at most \(most)")
    }

    /// The reference's batch: windows of noisy slices at its timesteps, and their training target.
    private func batch(_ file: Safetensors) throws -> (inputs: WindowBatch, target: Tensor) {
        let (x0, y, noise) = (try file.tensor("x0"), try file.tensor("y"), try file.tensor("eps"))
        let timesteps = try file.tensor("t").values
        let bridge = BrownianBridge()
        func combined(_ combination: (Int) -> PathCombination) -> Tensor {
            .concatenated(
                timesteps.enumerated().map { item, t in
                    func part(_ tensor: Tensor) -> [Float] { tensor.slice(axis: 0, item..<item + 1).values }
                    return Tensor(
                        shape: [1] + x0.shape.dropFirst(),
                        values: combination(Int(t))(target: part(x0), source: part(y), noise: part(noise)))
                }, axis: 0)
        }
        return (
            WindowBatch(
                noisy: combined { bridge.forwardSample(at: $0) }, source: y, timesteps: timesteps,
                keys: try file.tensor("key")),
            combined { bridge.trainingTarget(of: .gradient, at: $0) }
        )
    }
}
