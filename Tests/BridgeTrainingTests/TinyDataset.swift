import BridgeTraining
import StyleKeys
import TestSupport
import Volumes

/// Examples that are functions of their index.
struct TinyDataset: TrainingDataset {
    let radius = 1
    let rows: Int
    let columns: Int
    let count: Int
    var seed: UInt64 = 1

    var fingerprint: String { "tiny \(rows) \(columns) \(count) \(seed)" }

    init(rows: Int = 4, columns: Int = 6, count: Int = 10, seed: UInt64 = 1) {
        (self.rows, self.columns, self.count, self.seed) = (rows, columns, count, seed)
    }

    func example(at index: Int) throws -> TrainingExample {
        var generator = SeededGenerator(seed: seed &* 1000 &+ UInt64(index))
        let length = 3 * rows * columns
        let tokens = { (generator: inout SeededGenerator) in generator.floats(4, in: 0...1) }
        let source = generator.floats(length)
        return TrainingExample(
            source: source, target: zip(source, generator.floats(length)).map { 0.8 * $0 + 0.1 * $1 - 0.1 },
            style: try StyleKey(
                histogram: tokens(&generator), cumulative: tokens(&generator),
                difference: tokens(&generator)))
    }
}

extension TrainingConfiguration {
    /// Settings for a run of a moment.
    static func tiny(_ generator: inout SeededGenerator) -> TrainingConfiguration {
        var configuration = TrainingConfiguration()
        configuration.seed = generator.next()
        configuration.batch = generator.size(in: 1...4)
        configuration.accumulation = generator.size(in: 1...3)
        configuration.steps = generator.size(in: 1...20)
        configuration.predictionType = .allCases.randomElement(using: &generator)!
        configuration.loss = TrainingLoss.allCases.randomElement(using: &generator)!
        let process = PathProcess.allCases.randomElement(using: &generator)!
        guard let stored = try? StoredPath(process.path()) else { preconditionFailure("it cannot be stored") }
        configuration.process = stored
        if generator.size(in: 0...4) == 0 {
            // Which has no noise, and one prediction type for the residual.
            configuration.process = StoredPath(kind: DirectMapping.kind, fields: [:])
            let types = [PredictionType.sample, .gradient, .difference]
            configuration.predictionType = types.randomElement(using: &generator)!
        }
        // Of rectified flow the noise cannot be predicted.
        if process == .rectifiedFlow, configuration.predictionType == .noise {
            configuration.predictionType = .sample
        }
        configuration.optimizer.kind = Bool.random(using: &generator) ? .adam : .adamW
        configuration.optimizer.weightDecay = Bool.random(using: &generator) ? 0 : 0.01
        configuration.optimizer.gradientClip = Bool.random(using: &generator) ? nil : 0.3
        configuration.optimizer.learningRate = 0.01
        configuration.rateSchedule.kind = [.constant, .cosine, .plateau].randomElement(using: &generator)!
        configuration.rateSchedule.patience = generator.size(in: 0...3)
        configuration.rateSchedule.cooldown = generator.size(in: 0...3)
        configuration.rateSchedule.period = 15
        configuration.movingAverage.start = generator.size(in: 0...6)
        configuration.movingAverage.interval = generator.size(in: 1...3)
        configuration.intervals.log = generator.size(in: 1...5)
        configuration.intervals.validation = generator.size(in: 1...6)
        configuration.intervals.samples = generator.size(in: 5...9)
        configuration.intervals.checkpoint = generator.size(in: 1...4)
        configuration.validation.windows = 3
        configuration.validation.samples = 2
        configuration.validation.samplingSteps = 4
        return configuration
    }
}
