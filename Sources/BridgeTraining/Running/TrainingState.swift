import Foundation
import Networks
import TensorFiles
import VoxelSupport

/// The state from which a run is resumed, together with the configuration and the data.
public struct TrainingState: Equatable, Sendable {
    /// Number of steps taken.
    public internal(set) var step = 0

    /// The network's parameters.
    public internal(set) var parameters: ParameterSet

    /// The optimiser's moments.
    var optimizer: AdamOptimizer

    /// The moving average of the parameters.
    var average: MovingAverage

    /// The learning rate.
    var rate: LearningRate

    /// The sum and number of losses since the last log entry.
    var lossSum = 0.0
    var lossCount = 0

    /// The lowest validation loss so far; nil before the first validation.
    public internal(set) var bestValidationLoss: Double?

    /// The moving average of the parameters; before its first update, the parameters themselves.
    public var averagedParameters: ParameterSet {
        average.isUnderWay(after: step) ? average.values : parameters
    }

    /// The learning rate of the next step.
    public var learningRate: Double { rate.value }

    /// Whether the validation that follows the last step was broken off, and is still to be made.
    var owesValidation = false

    /// The state before the first step.
    init(_ parameters: ParameterSet, configuration: TrainingConfiguration) {
        self.parameters = parameters
        optimizer = AdamOptimizer(configuration.optimizer, for: parameters)
        average = MovingAverage(settings: configuration.movingAverage, values: parameters)
        rate = LearningRate(configuration.rateSchedule, initial: configuration.optimizer.learningRate)
    }
}

/// Checkpoints: safetensors with the parameters and their moving average under their published names with the prefixes
/// `model.` and `ema.`, the optimiser's moments with `optimizer.first.` and `optimizer.second.`, and the rest as JSON in
/// the metadata.
extension TrainingState {
    private static let metadataField = "voxelbridge_training"

    /// The metadata of a checkpoint.
    private struct Record: Codable {
        var version = 1
        let step: Int
        let rate: LearningRate.State
        let lossSum: Double
        let lossCount: Int
        let bestValidationLoss: Double?
        /// Left out if it is not.
        var owesValidation: Bool?
        let configuration: TrainingConfiguration
        let dataChecksum: String
    }

    /// Writes a checkpoint atomically. Equal states give equal files.
    func write(to file: URL, configuration: TrainingConfiguration, dataChecksum: String) throws {
        let record = Record(
            step: step, rate: rate.state, lossSum: lossSum, lossCount: lossCount,
            bestValidationLoss: bestValidationLoss, owesValidation: owesValidation ? true : nil,
            configuration: configuration, dataChecksum: dataChecksum)
        let json = String(decoding: try record.sortedJSON(), as: UTF8.self)
        var tensors: [String: Tensor] = [:]
        let sets = [
            ("model", parameters), ("ema", step < average.settings.start ? parameters : average.values),
            ("optimizer.first", optimizer.firstMoment),
            ("optimizer.second", optimizer.secondMoment),
        ]
        for (prefix, set) in sets {
            for (name, tensor) in set.tensors { tensors["\(prefix).\(name)"] = tensor }
        }
        try Safetensors.write(tensors, metadata: [Self.metadataField: json], to: file)
    }

    /// Reads a checkpoint.
    ///
    /// - Throws: `TrainingError` if it is invalid, or has another configuration or other data.
    init(
        contentsOf file: URL, parameters: [Parameter], configuration: TrainingConfiguration,
        dataChecksum: String
    ) throws {
        do {
            let tensors = try Safetensors(contentsOf: file)
            let json = Data((tensors.metadata[Self.metadataField] ?? "").utf8)
            let record = try JSONDecoder().decode(Record.self, from: json)
            let folder = file.deletingLastPathComponent().deletingLastPathComponent().path
            guard record.configuration == configuration else {
                throw TrainingError.otherConfiguration(folder: folder)
            }
            guard record.dataChecksum == dataChecksum else { throw TrainingError.otherData(folder: folder) }
            func set(_ prefix: String) throws -> ParameterSet {
                try ParameterSet(parameters) { name in
                    let stored = "\(prefix).\(name)"
                    return tensors.shape(of: stored) == nil ? nil : try tensors.tensor(stored)
                }
            }
            self.init(try set("model"), configuration: configuration)
            average.values = try set("ema")
            optimizer.firstMoment = try set("optimizer.first")
            optimizer.secondMoment = try set("optimizer.second")
            optimizer.steps = record.step
            step = record.step
            rate.state = record.rate
            (lossSum, lossCount) = (record.lossSum, record.lossCount)
            bestValidationLoss = record.bestValidationLoss
            owesValidation = record.owesValidation ?? false
        } catch let error as TrainingError { throw error } catch {
            throw TrainingError.badCheckpoint(file: file.path, reason: error.explanation)
        }
    }
}

/// The exponential moving average of a network's parameters, which produces better images.
///
/// As published, it is updated at every `interval`-th step after `start`.
struct MovingAverage: Equatable, Sendable {
    /// Decay, interval and start.
    let settings: MovingAverageSettings

    /// The average.
    var values: ParameterSet

    /// Updates the average with the parameters after a step, counted from 1.
    mutating func update(with parameters: ParameterSet, step: Int) {
        if step == settings.start {
            values = parameters
        } else if step > settings.start, step % settings.interval == 0 {
            values.blend(Float(settings.decay), Float(1 - settings.decay), parameters)
        }
    }

    /// Whether it has been updated at or before a step.
    func isUnderWay(after step: Int) -> Bool { step / settings.interval * settings.interval > settings.start }
}
