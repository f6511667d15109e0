import BridgeDiffusion
import Foundation
import NetworkEngine
import TensorFiles
import TestSupport
import Testing

@testable import BridgeTraining

/// The discriminator's losses, and what they are as functions of logits.
struct AdversarialLossTests {
    @Test(arguments: AdversarialLoss.allCases)
    func gradientsAreThoseOfTheValues(loss: AdversarialLoss) async {
        await checkLaw(cases: 60) { generator in
            let goal = [AdversarialLoss.Goal.real, .fake, .deception].randomElement(using: &generator)!
            let logits = Tensor(shape: [2, 1, 3], values: generator.floats(6, in: -4...4))
            // The hinge has corners.
            if loss == .hinge, logits.values.contains(where: { abs(abs($0) - 1) < 0.01 }) { return }
            let (_, gradient) = loss(logits, goal)
            for index in 0..<6 {
                func value(_ change: Float) -> Double {
                    var moved = logits
                    moved.values[index] += change
                    return loss(moved, goal).value
                }
                let step: Float = 1e-3
                let slope = (value(step) - value(-step)) / Double(2 * step)
                try #require(abs(slope - Double(gradient.values[index])) < 1e-3)
            }
        }
    }

    @Test func valuesAreThoseOfThePapers() {
        func value(_ loss: AdversarialLoss, _ goal: AdversarialLoss.Goal, _ logit: Float) -> Double {
            loss(Tensor(shape: [1], values: [logit]), goal).value
        }
        let sigma = 1 / (1 + exp(-0.7))
        #expect(abs(value(.crossEntropy, .real, 0.7) + log(sigma)) < 1e-6)
        #expect(abs(value(.crossEntropy, .deception, 0.7) + log(sigma)) < 1e-6)
        #expect(abs(value(.crossEntropy, .fake, 0.7) + log(1 - sigma)) < 1e-6)
        #expect(abs(value(.hinge, .real, 0.7) - 0.3) < 1e-6 && value(.hinge, .real, 2) == 0)
        #expect(abs(value(.hinge, .fake, 0.7) - 1.7) < 1e-6 && value(.hinge, .fake, -2) == 0)
        #expect(abs(value(.hinge, .deception, 0.7) + 0.7) < 1e-6)
        #expect(abs(value(.leastSquares, .real, 0.7) - 0.09) < 1e-6)
        #expect(abs(value(.leastSquares, .fake, 0.7) - 0.49) < 1e-6)
        // Far out there are numbers too.
        for goal in [AdversarialLoss.Goal.real, .fake, .deception] {
            for logit in [Float(-1e4), 1e4] { #expect(value(.crossEntropy, goal, logit).isFinite) }
        }
    }
}

/// A network's training against a discriminator.
struct AdversaryTests {
    private func configuration(_ change: (inout TrainingConfiguration) -> Void = { _ in })
        -> TrainingConfiguration
    {
        var configuration = TrainingConfiguration()
        configuration.process = StoredPath(kind: DirectMapping.kind, fields: [:])
        configuration.predictionType = .sample
        var adversarial = AdversarialSettings()
        (adversarial.width, adversarial.layers, adversarial.groups) = (4, 1, 2)
        configuration.adversarial = adversarial
        configuration.batch = 2
        configuration.optimizer.learningRate = 0.01
        change(&configuration)
        return configuration
    }

    private let dataset = TinyDataset(rows: 9, columns: 8)

    /// Both gradients agree with differences of the losses, for processes whose estimates depend on x_t in any way.
    @Test func gradientsAreThoseOfTheLosses() async {
        await checkLaw(cases: 12) { generator in
            let configuration = configuration { configuration in
                guard Bool.random(using: &generator), let path = try? StoredPath(generator.path()) else {
                    return
                }
                configuration.process = path
                configuration.predictionType = [.sample, .gradient, .difference].randomElement(
                    using: &generator)!
            }
            let path = try configuration.process.path()
            let adversary = try #require(
                try Adversary(configuration, path: path, dataset: dataset, options: ComputeOptions()))
            var parameters = adversary.initialParameters(seed: generator.next()).tensors
            var batches = try BatchMaker(dataset: dataset, configuration: configuration)
            let (inputs, target) = try batches.batch(0..<2)
            var output = target
            for index in output.values.indices { output.values[index] += 0.3 * generator.floats(1)[0] }
            func judge(_ output: Tensor) throws -> Adversary.Judgement {
                try adversary.judge(output, target: target, of: inputs, parameters: parameters)
            }
            let judged = try judge(output)
            // One of several steps: a long one may cross a corner of a leaky ReLU, a short one drowns in rounding.
            func checkSlope(_ name: String, _ gradient: Float, _ value: (Float) throws -> Double) throws {
                let slopes = try [Float(8e-3), 2e-3, 5e-4, 2e-4, 1e-4].map { step in
                    (try value(step) - value(-step)) / Double(2 * step)
                }
                let isClose = slopes.contains { abs($0 - Double(gradient)) < 2e-2 * abs($0) + 3e-4 }
                try #require(isClose, "\(name): \(gradient), expected one of \(slopes)")
            }
            for _ in 0..<4 {
                let index = Int.random(in: 0..<output.count, using: &generator)
                try checkSlope("output", judged.gradient.values[index]) { change in
                    var moved = output
                    moved.values[index] += change
                    return try judge(moved).loss
                }
                let name = try #require(parameters.keys.sorted().randomElement(using: &generator))
                let place = Int.random(in: 0..<parameters[name]!.count, using: &generator)
                let gradient = try #require(judged.discriminatorGradients[name])
                try checkSlope(name, gradient.values[place]) { change in
                    let known = parameters
                    defer { parameters = known }
                    parameters[name]!.values[place] += change
                    return try judge(output).discriminatorLoss
                }
            }
        }
    }

    @Test func theDiscriminatorIsUsedFromItsStart() throws {
        func states(_ start: Int) throws -> [TrainingState] {
            let configuration = configuration { $0.adversarial?.start = start }
            var trainer = try Trainer(TinyNetwork(), configuration: configuration, dataset: dataset)
            var states = [trainer.state]
            for _ in 0..<4 {
                try trainer.step()
                states.append(trainer.state)
            }
            return states
        }
        let (late, early) = (try states(2), try states(0))
        #expect(
            late[2].discriminator == late[0].discriminator && late[3].discriminator != late[0].discriminator)
        #expect(early[1].discriminator != early[0].discriminator)
        // Without weight it is trained, and the network is not changed by it.
        var weightless = configuration { $0.adversarial?.weight = 0 }
        var trainer = try Trainer(TinyNetwork(), configuration: weightless, dataset: dataset)
        weightless.adversarial = nil
        var alone = try Trainer(TinyNetwork(), configuration: weightless, dataset: dataset)
        for _ in 0..<3 {
            try trainer.step()
            try alone.step()
        }
        #expect(trainer.state.parameters == alone.state.parameters && alone.state.discriminator == nil)
        #expect(trainer.state.parameters != early[3].parameters)
    }

    /// A run that is given up anywhere, and resumed, ends with the same bytes; and threads do not matter.
    @Test func aRunThatIsStoppedEndsTheSame() async {
        await checkLaw(cases: 6) { generator in
            var configuration = TrainingConfiguration.tiny(&generator)
            configuration.adversarial = self.configuration().adversarial
            configuration.adversarial?.loss = AdversarialLoss.allCases.randomElement(using: &generator)!
            configuration.adversarial?.start = generator.size(in: 0...4)
            configuration.validation.samples = 0
            try await withTemporaryFolder { folder in
                func run(_ name: String, threads: Int) throws -> TrainingRun<TinyNetwork> {
                    try TrainingRun(
                        TinyNetwork(), configuration: configuration, training: dataset, validation: nil,
                        folder: folder.appending(path: name), resumes: true,
                        options: ComputeOptions(threads: threads))
                }
                struct Kill: Error {}
                var whole = try run("whole", threads: 2)
                try #require(try await whole.run())
                var isComplete = false
                while !isComplete {
                    var part = try run("broken", threads: 1)
                    let end =
                        part.trainer.state.step + configuration.intervals.checkpoint + generator.size(in: 1...5)
                    do {
                        isComplete = try await part.run { event in
                            if case .step(let progress) = event, progress.step >= end { throw Kill() }
                        }
                    } catch is Kill {}
                }
                for name in [
                    "model.safetensors",
                    "checkpoints/\(RunFolder(url: folder).checkpoint(configuration.steps).lastPathComponent)",
                ] {
                    let files = try ["whole", "broken"].map {
                        try Data(contentsOf: folder.appending(path: "\($0)/\(name)"))
                    }
                    let isSame = files[0] == files[1]
                    try #require(isSame, "\(name)")
                }
            }
        }
    }

    @Test func slicesThatAreTooSmallAreRefused() {
        let error = #expect(throws: TrainingConfigurationError.self) {
            try Trainer(
                TinyNetwork(), configuration: configuration { $0.adversarial?.layers = 3 }, dataset: dataset)
        }
        #expect(error?.field == "adversarial.layers" && error?.description.contains("8 x 9") == true)
    }
}
