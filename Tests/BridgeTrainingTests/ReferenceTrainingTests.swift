@testable import BridgeTraining
import BridgeDiffusion
import Foundation
import ReferenceUNet
import Tensors
import TestSupport
import Testing

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
        var state = TrainingState(try set("param"), configuration: configuration)
        for step in 1...5 {
            let (loss, gradients) = try network.gradients(of: state.parameters.tensors, on: batch) {
                configuration.loss($0, target: target)
            }
            if step == 1 { #expect(abs(loss - Double(try file.tensor("loss.l1").values[0])) < 1e-6) }
            state.optimizer.step(
                &state.parameters, against: try ParameterSet(network.parameters) { gradients[$0] },
                rate: state.learningRate)
            state.average.update(with: state.parameters, step: step)
        }
        try check(state.parameters, against: set("adam5"), slopes: set("grad.l1"), typical: 1e-4, all: 1e-3)
        try check(
            state.averagedParameters, against: set("ema5"), slopes: set("grad.l1"), typical: 1e-6, all: 1e-5)
    }

    /// Adam divides a gradient by its own size, and the gradient of L1 jumps where an output meets its target: one
    /// sign of 1536 that rounding turns changes every gradient of that step by some per cent, and where a gradient is 0
    /// but for rounding the step is as large as any. PyTorch's own single precision differs from its double by up to
    /// 9e-4, and in all by 9e-5. So what is compared is the typical difference of the numbers whose gradient is
    /// clear of rounding, of steps of 1e-3 each, and all numbers together.
    private func check(
        _ found: ParameterSet, against expected: ParameterSet, slopes: ParameterSet, typical: Double,
        all: Double
    ) {
        var (squares, clear) = (0.0, 0)
        for index in found.parameters.indices {
            for number in found.arrays[index].indices where abs(slopes.arrays[index][number]) > 1e-4 {
                let difference = Double(found.arrays[index][number] - expected.arrays[index][number])
                squares += difference * difference
                clear += 1
            }
        }
        #expect(clear > 10_000)
        let difference = (squares / Double(max(1, clear))).squareRoot()
        let whole = relativeL2(found.arrays.flatMap { $0 }, expected.arrays.flatMap { $0 })
        print("after five steps: typical difference \(difference), relative L2 \(whole)")
        #expect(difference < typical)
        #expect(whole < all)
    }

    /// The reference's batch: windows of noisy slices at its timesteps, and their training target.
    private func batch(_ file: Safetensors) throws -> (inputs: WindowBatch, target: Tensor) {
        let (x0, y, noise) = (try file.tensor("x0"), try file.tensor("y"), try file.tensor("eps"))
        let timesteps = try file.tensor("t").values
        let bridge = BrownianBridge(steps: 50)
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
