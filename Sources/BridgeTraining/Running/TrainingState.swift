import Foundation
import Networks
import TensorFiles
import VoxelSupport

/// The state from which a run is resumed, together with the configuration and the data.
public struct TrainingState: Equatable, Sendable {
    /// Number of steps taken.
    public internal(set) var step = 0

    /// The network's parameters.
    package(set) public var parameters: ParameterSet

    /// The optimiser's moments.
    var optimizer: AdamOptimizer

    /// The moving average of the parameters; nil without.
    var average: MovingAverage?

    /// The learning rate.
    var rate: LearningRate

    /// A network that is trained against the first one, with its own moments; nil without.
    package internal(set) var discriminator: Opponent?

    /// The sum and number of losses since the last log entry, and the sums of their parts by name.
    private var losses = Losses()

    /// The lowest validation loss so far; nil before the first validation.
    public internal(set) var bestValidationLoss: Double?

    /// The moving average of the parameters; before its first update, the parameters themselves.
    public var averagedParameters: ParameterSet {
        guard let average, average.isUnderWay(after: step) else { return parameters }
        return average.values
    }

    /// The learning rate of the next step.
    public var learningRate: Double { rate.value }

    /// How parameters are updated.
    package struct Settings: Sendable {
        package let optimizer: OptimizerSettings
        package let rateSchedule: RateSchedule
        package let movingAverage: MovingAverageSettings?

        package init(
            optimizer: OptimizerSettings, rateSchedule: RateSchedule, movingAverage: MovingAverageSettings?
        ) {
            (self.optimizer, self.rateSchedule, self.movingAverage) = (optimizer, rateSchedule, movingAverage)
        }

        init(_ configuration: TrainingConfiguration) {
            self.init(
                optimizer: configuration.optimizer, rateSchedule: configuration.rateSchedule,
                movingAverage: configuration.movingAverage)
        }
    }

    /// What a state consists of.
    package struct Layout: Sendable {
        let parameters: [Parameter]
        let discriminator: [Parameter]?
        let settings: Settings

        package init(_ parameters: [Parameter], discriminator: [Parameter]? = nil, settings: Settings) {
            (self.parameters, self.discriminator, self.settings) = (parameters, discriminator, settings)
        }
    }

    /// A network and its optimiser.
    package struct Opponent: Equatable, Sendable {
        package internal(set) var parameters: ParameterSet
        var optimizer: AdamOptimizer

        init(_ parameters: ParameterSet, _ settings: OptimizerSettings) {
            (self.parameters, optimizer) = (parameters, AdamOptimizer(settings, for: parameters))
        }
    }

    private struct Losses: Codable, Equatable, Sendable {
        var sum = 0.0
        var count = 0
        var parts: [String: Double] = [:]
    }

    /// Whether the validation that follows the last step was broken off, and is still to be made.
    package internal(set) var owesValidation = false

    /// The state before the first step.
    package init(_ parameters: ParameterSet, discriminator: ParameterSet? = nil, settings: Settings) {
        self.parameters = parameters
        optimizer = AdamOptimizer(settings.optimizer, for: parameters)
        average = settings.movingAverage.map { MovingAverage(settings: $0, values: parameters) }
        rate = LearningRate(settings.rateSchedule, initial: settings.optimizer.learningRate)
        self.discriminator = discriminator.map { Opponent($0, settings.optimizer) }
    }
}

/// Steps.
extension TrainingState {
    /// Takes a step against the gradients of a loss, scaled down if their norm is above the settings' limit.
    ///
    /// - Throws: `TrainingError.diverged` if the loss or the gradient is not finite. The state is then unchanged.
    package mutating func step(against gradients: inout ParameterSet, loss: Double) throws -> TrainingStepReport
    {
        let norm = try clip(&gradients, of: loss, to: optimizer.settings)
        let report = TrainingStepReport(loss: loss, learningRate: learningRate, gradientNorm: norm)
        optimizer.step(&parameters, against: gradients, rate: report.learningRate)
        step += 1
        average?.update(with: parameters, step: step)
        rate.advance(after: loss)
        losses.sum += loss
        losses.count += 1
        return report
    }

    /// Takes a step of the discriminator with the learning rate of the network's last step.
    ///
    /// - Throws: `TrainingError.diverged` if the loss or the gradient is not finite.
    package mutating func stepDiscriminator(
        against gradients: inout ParameterSet, loss: Double, rate: Double
    ) throws {
        guard let settings = discriminator?.optimizer.settings else { return }
        _ = try clip(&gradients, of: loss, to: settings)
        guard var opponent = discriminator.take() else { return }
        opponent.optimizer.step(&opponent.parameters, against: gradients, rate: rate)
        discriminator = opponent
    }

    private func clip(
        _ gradients: inout ParameterSet, of loss: Double, to settings: OptimizerSettings
    ) throws -> Double {
        let norm = gradients.norm
        guard loss.isFinite, norm.isFinite else {
            throw TrainingError.diverged(step: step + 1, rate: learningRate)
        }
        if let clip = settings.gradientClip, norm > clip { gradients.scale(by: Float(clip / norm)) }
        return norm
    }

    /// Adds parts of the last step's loss, for the log.
    package mutating func note(_ parts: [String: Double]) {
        for (name, value) in parts { losses.parts[name, default: 0] += value }
    }

    /// The means of the losses since the last call.
    mutating func takeLosses() -> (mean: Double, parts: [String: Double]) {
        defer { losses = Losses() }
        let count = Double(losses.count)
        return (losses.sum / count, losses.parts.mapValues { $0 / count })
    }
}

/// Checkpoints: safetensors with the parameters and their moving average under their published names with the prefixes
/// `model.` and `ema.`, the optimiser's moments with `optimizer.first.` and `optimizer.second.`, the same of a
/// discriminator with `discriminator.` before, and the rest as JSON in the metadata.
extension TrainingState {
    private static let metadataField = "voxelbridge_training"

    /// The metadata of a checkpoint.
    private struct Record<Configuration: Codable>: Codable {
        var version = 2
        let step: Int
        /// Number of steps that the discriminator has taken, which may have begun later.
        let discriminatorSteps: Int?
        let rate: LearningRate.State
        let losses: Losses
        let bestValidationLoss: Double?
        /// Left out if it is not.
        var owesValidation: Bool?
        let configuration: Configuration
        let dataChecksum: String
    }

    /// Writes a checkpoint atomically. Equal states give equal files.
    func write(to file: URL, configuration: some Codable, dataChecksum: String) throws {
        let record = Record(
            step: step, discriminatorSteps: discriminator?.optimizer.steps, rate: rate.state, losses: losses,
            bestValidationLoss: bestValidationLoss, owesValidation: owesValidation ? true : nil,
            configuration: configuration, dataChecksum: dataChecksum)
        let json = String(decoding: try record.sortedJSON(), as: UTF8.self)
        var tensors: [String: Tensor] = [:]
        var sets = [
            ("model", parameters), ("optimizer.first", optimizer.firstMoment),
            ("optimizer.second", optimizer.secondMoment),
        ]
        if let average { sets.append(("ema", step < average.settings.start ? parameters : average.values)) }
        if let discriminator {
            sets += [
                ("discriminator.model", discriminator.parameters),
                ("discriminator.optimizer.first", discriminator.optimizer.firstMoment),
                ("discriminator.optimizer.second", discriminator.optimizer.secondMoment),
            ]
        }
        for (prefix, set) in sets {
            for (name, tensor) in set.tensors { tensors["\(prefix).\(name)"] = tensor }
        }
        try Safetensors.write(tensors, metadata: [Self.metadataField: json], to: file)
    }

    /// Reads a checkpoint.
    ///
    /// - Throws: `TrainingError` if it is invalid, or has another configuration or other data.
    init<Configuration: Codable & Equatable>(
        contentsOf file: URL, layout: Layout, configuration: Configuration, dataChecksum: String
    ) throws {
        do {
            let tensors = try Safetensors(contentsOf: file)
            let json = Data((tensors.metadata[Self.metadataField] ?? "").utf8)
            let record = try JSONDecoder().decode(Record<Configuration>.self, from: json)
            let folder = file.deletingLastPathComponent().deletingLastPathComponent().path
            guard record.configuration == configuration else {
                throw TrainingError.otherConfiguration(folder: folder)
            }
            guard record.dataChecksum == dataChecksum else { throw TrainingError.otherData(folder: folder) }
            func set(_ prefix: String, _ parameters: [Parameter]) throws -> ParameterSet {
                try ParameterSet(parameters) { name in
                    let stored = "\(prefix).\(name)"
                    return tensors.shape(of: stored) == nil ? nil : try tensors.tensor(stored)
                }
            }
            func restore(
                _ optimizer: inout AdamOptimizer, _ prefix: String, _ parameters: [Parameter], steps: Int
            ) throws {
                optimizer.firstMoment = try set("\(prefix)optimizer.first", parameters)
                optimizer.secondMoment = try set("\(prefix)optimizer.second", parameters)
                optimizer.steps = steps
            }
            let discriminator = try layout.discriminator.map { try set("discriminator.model", $0) }
            self.init(
                try set("model", layout.parameters), discriminator: discriminator, settings: layout.settings)
            if average != nil { average?.values = try set("ema", layout.parameters) }
            try restore(&optimizer, "", layout.parameters, steps: record.step)
            if let parameters = layout.discriminator {
                try restore(
                    &self.discriminator!.optimizer, "discriminator.", parameters,
                    steps: record.discriminatorSteps ?? 0)
            }
            step = record.step
            rate.state = record.rate
            losses = record.losses
            bestValidationLoss = record.bestValidationLoss
            owesValidation = record.owesValidation ?? false
        } catch let error as TrainingError { throw error } catch {
            throw TrainingError.badCheckpoint(file: file.path, reason: error.explanation)
        }
    }
}

/// The exponential moving average of a network's parameters, which produces better images.
///
/// As published, it is updated at every `interval`-th step after `start`. With a warm-up, the decay of its n-th update is
/// at most (1 + n) / (10 + n), so that it soon forgets where training began.
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
            let decay = decay(ofUpdate: step / settings.interval - settings.start / settings.interval)
            values.blend(Float(decay), Float(1 - decay), parameters)
        }
    }

    /// The decay of the n-th update, n = 1, 2, ...
    private func decay(ofUpdate n: Int) -> Double {
        settings.warmup ? min(settings.decay, Double(1 + n) / Double(10 + n)) : settings.decay
    }

    /// Whether it has been updated at or before a step.
    func isUnderWay(after step: Int) -> Bool { step / settings.interval * settings.interval > settings.start }
}
