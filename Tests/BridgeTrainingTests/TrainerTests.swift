import BridgeTraining
import Tensors
import TestSupport
import Testing

/// What steps of training do.
struct TrainerTests {
    private func trained(
        _ configuration: TrainingConfiguration, steps: Int, dataset: TinyDataset = TinyDataset()
    ) throws -> Trainer<TinyNetwork> {
        var trainer = Trainer(TinyNetwork(), configuration: configuration, dataset: dataset)
        for _ in 0..<steps { try trainer.step() }
        return trainer
    }

    @Test func theSameSeedGivesTheSameBits() async {
        await checkLaw(cases: 20) { generator in
            let configuration = TrainingConfiguration.tiny(&generator)
            let first = try trained(configuration, steps: 5)
            try #require(try trained(configuration, steps: 5).state == first.state)
            var other = configuration
            other.seed &+= 1
            try #require(try trained(other, steps: 5).state.parameters != first.state.parameters)
        }
    }

    /// The loss falls to what is left of it where the target is a function that the network can be.
    @Test(arguments: Parameterization.allCases, ProcessSettings.Kind.allCases)
    func theLossFalls(objective: Parameterization, kind: ProcessSettings.Kind) throws {
        // At the ends of a bridge its velocity is as large as one likes, and so is the noise of its loss.
        if objective == .velocity, kind == .brownianBridge || kind == .symmetricBridge { return }
        var configuration = TrainingConfiguration()
        configuration.objective = objective
        configuration.process.kind = kind
        configuration.loss = .l2
        configuration.batch = 8
        configuration.optimizer.learningRate = 0.02
        var trainer = Trainer(TinyNetwork(), configuration: configuration, dataset: TinyDataset())
        let losses = try (0..<150).map { _ in try trainer.step().loss }
        let (first, last) = (losses.prefix(20).reduce(0, +), losses.suffix(20).reduce(0, +))
        #expect(last < 0.9 * first)
    }

    /// Batches that are accumulated have the mean gradient of one batch of all their windows.
    @Test func accumulationIsALargeBatch() async {
        await checkLaw(cases: 20) { generator in
            var configuration = TrainingConfiguration.tiny(&generator)
            configuration.optimizer.gradientClip = nil
            (configuration.batch, configuration.accumulation) = (2, 3)
            var small = Trainer(TinyNetwork(), configuration: configuration, dataset: TinyDataset())
            (configuration.batch, configuration.accumulation) = (6, 1)
            var large = Trainer(TinyNetwork(), configuration: configuration, dataset: TinyDataset())
            let (first, second) = (try small.step(), try large.step())
            try #require(abs(first.loss - second.loss) < 1e-5 * second.loss)
            try #require(abs(first.gradientNorm - second.gradientNorm) < 1e-4 * second.gradientNorm)
        }
    }

    /// Adam's first step does not depend on the gradient's size, so clipping is seen in the second.
    @Test func clippingScalesTheGradientDown() throws {
        var configuration = TrainingConfiguration()
        configuration.batch = 2
        configuration.optimizer.epsilon = 1
        configuration.optimizer.learningRate = 1
        configuration.optimizer.beta1 = 0
        configuration.optimizer.beta2 = 0
        func change(clip: Double?) throws -> (change: [Float], norm: Double) {
            configuration.optimizer.gradientClip = clip
            var trainer = Trainer(TinyNetwork(), configuration: configuration, dataset: TinyDataset())
            let before = trainer.state.parameters.arrays.joined()
            let norm = try trainer.step().gradientNorm
            return (zip(trainer.state.parameters.arrays.joined(), before).map { $0 - $1 }, norm)
        }
        // With both betas at 0 and a rate of 1, a step is -g / (|g| + 1).
        func gradient(_ changes: [Float]) -> [Float] { changes.map { -$0 / (1 - abs($0)) } }
        let free = try change(clip: nil)
        let clipped = try change(clip: free.norm / 4)
        #expect(clipped.norm == free.norm)
        #expect(relativeL2(gradient(clipped.change), gradient(free.change).map { $0 / 4 }) < 1e-4)
        #expect(try change(clip: free.norm * 2).change == free.change)
    }

    @Test func theMovingAverageIsTheWeightsUntilItStarts() throws {
        var configuration = TrainingConfiguration()
        configuration.batch = 1
        configuration.movingAverage.start = 4
        configuration.movingAverage.interval = 2
        configuration.movingAverage.decay = 0.75
        configuration.optimizer.learningRate = 0.1
        var trainer = Trainer(TinyNetwork(), configuration: configuration, dataset: TinyDataset())
        var history = [trainer.state]
        for _ in 0..<8 {
            try trainer.step()
            history.append(trainer.state)
        }
        func average(_ step: Int) -> [[Float]] { history[step].averagedParameters.arrays }
        func weights(_ step: Int) -> [[Float]] { history[step].parameters.arrays }
        #expect(average(1) == weights(0) && average(2) == weights(2) && average(3) == weights(2))
        #expect(average(4) == weights(4) && average(5) == weights(4))
        for (before, after) in [(4, 6), (6, 8)] {
            for (index, values) in average(after).enumerated() {
                let expected = zip(average(before)[index], weights(after)[index]).map { 0.75 * $0 + 0.25 * $1 }
                #expect(largestDifference(values, expected) < 1e-6)
            }
        }
        #expect(average(7) == average(6))
    }

    @Test func aLossThatIsNoNumberStopsTheRun() throws {
        struct Broken: TrainingDataset {
            let radius = 1
            let rows = 2
            let columns = 2
            let count = 1
            let fingerprint = ""
            func example(at index: Int) throws -> TrainingExample {
                var example = try TinyDataset(rows: 2, columns: 2).example(at: 0)
                example.target[3] = .nan
                return example
            }
        }
        var configuration = TrainingConfiguration()
        configuration.batch = 1
        var trainer = Trainer(TinyNetwork(), configuration: configuration, dataset: Broken())
        let before = trainer.state
        #expect(throws: TrainingError.diverged(step: 1, rate: 1e-4)) { try trainer.step() }
        #expect(trainer.state == before)
    }
}
