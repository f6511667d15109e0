public import BridgeDiffusion
public import Foundation
import ReferenceUNet
import VolumeTranslation
import VoxelSupport

extension TrainingConfiguration {
    /// Reads a configuration from a JSON file and validates it. Missing fields have their published values.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - paths: types of your own paths, which the field `process` may name.
    /// - Throws: `TrainingConfigurationError`, naming the file, the field, what was found and what was expected.
    public init(
        contentsOf url: URL, paths: [any StorablePath.Type] = []
    ) throws(TrainingConfigurationError) {
        do {
            var json = try JSONValue(contentsOf: url)
            // A network without a transformer has no style key, and need not say so.
            if let network = json["network"], network["use_spatial_transformer"] == .bool(false),
                network["context_dim"] == nil
            {
                json["network"]?["context_dim"] = .null
            }
            self = try json.decode(over: .published)
            try process.resolve(among: paths)
            try validate()
        } catch let error as StoredPathError {
            throw TrainingConfigurationError(
                file: url.path, field: (["process"] + [error.field].compactMap { $0 }).joined(separator: "."),
                found: error.found, expected: error.expected)
        } catch let error as JSONFieldError {
            throw TrainingConfigurationError(
                file: url.path, field: error.field, found: error.found, expected: error.expected)
        } catch var error as TrainingConfigurationError {
            error.file = url.path
            throw error
        } catch {
            throw TrainingConfigurationError(
                file: url.path, field: "", found: error.explanation, expected: "a training configuration")
        }
    }

    /// Reads and validates the configuration in the JSON file at a path; see ``init(contentsOf:paths:)-(URL,_)``.
    ///
    /// - Throws: `TrainingConfigurationError`.
    public init(
        contentsOf path: String, paths: [any StorablePath.Type] = []
    ) throws(TrainingConfigurationError) {
        try self.init(contentsOf: URL(filePath: path), paths: paths)
    }

    /// The configuration as JSON, with all fields. Equal configurations give equal text.
    public var json: Data {
        get throws {
            var configuration = self
            configuration.process = process.explicit
            return try configuration.sortedJSON(prettyPrinted: true)
        }
    }

    /// Checks that a network can be trained with this configuration.
    ///
    /// - Throws: `TrainingConfigurationError` for the first field that is invalid.
    public func validate() throws(TrainingConfigurationError) {
        do { try network.validate() } catch {
            throw TrainingConfigurationError(
                field: (["network"] + [error.field].compactMap { $0 }).joined(separator: "."),
                found: error.found, expected: error.expected)
        }
        do { try translation.validate() } catch {
            let field = error.field == "spacing" ? "data.spacing" : error.field ?? ""
            throw TrainingConfigurationError(field: field, found: error.found, expected: error.expected)
        }
        try validateOptimizer()
        // Far beyond any training, and such that windows can be counted.
        try require("batch", batch, (1...1 << 16).contains(batch), "1 to \(1 << 16)")
        try require("accumulation", accumulation, (1...1 << 16).contains(accumulation), "1 to \(1 << 16)")
        try require("steps", steps, (1...1 << 30).contains(steps), "1 to \(1 << 30)")
        try require(
            "data.minimum_foreground", data.minimumForeground, data.minimumForeground >= 0, "0 or more")
        try positive("intervals.log", intervals.log)
        try positive("intervals.validation", intervals.validation)
        try positive("intervals.samples", intervals.samples)
        try positive("intervals.checkpoint", intervals.checkpoint)
        try require("validation.windows", validation.windows, validation.windows >= 0, "0 or more")
        try require("validation.samples", validation.samples, (0...64).contains(validation.samples), "0 to 64")
        let timesteps = (try? process.path().trainingTimesteps) ?? 3
        try require(
            "validation.sampling_steps", validation.samplingSteps,
            (3...timesteps).contains(validation.samplingSteps),
            "3 to \(timesteps), the timesteps of the process")
    }

    private func validateOptimizer() throws(TrainingConfigurationError) {
        func fraction(_ field: String, _ value: Double) throws(TrainingConfigurationError) {
            try require(field, value, (0..<1).contains(value), "from 0 to below 1")
        }
        func finite(_ field: String, _ value: Double) throws(TrainingConfigurationError) {
            try require(field, value, value >= 0 && value.isFinite, "0 or more")
        }
        let rate = optimizer.learningRate
        try require("optimizer.learning_rate", rate, rate > 0 && rate.isFinite, "above 0")
        try fraction("optimizer.beta1", optimizer.beta1)
        try fraction("optimizer.beta2", optimizer.beta2)
        try require("optimizer.epsilon", optimizer.epsilon, optimizer.epsilon > 0, "above 0")
        try finite("optimizer.weight_decay", optimizer.weightDecay)
        if let clip = optimizer.gradientClip {
            try require("optimizer.gradient_clip", clip, clip > 0, "above 0, or null for no limit")
        }
        try fraction("learning_rate_schedule.factor", rateSchedule.factor)
        try require(
            "learning_rate_schedule.patience", rateSchedule.patience, rateSchedule.patience >= 0, "0 or more")
        try require(
            "learning_rate_schedule.cooldown", rateSchedule.cooldown, rateSchedule.cooldown >= 0, "0 or more")
        try fraction("learning_rate_schedule.threshold", rateSchedule.threshold)
        try require(
            "learning_rate_schedule.minimum", rateSchedule.minimum, (0...rate).contains(rateSchedule.minimum),
            "0 to \(rate), the learning rate")
        try positive("learning_rate_schedule.period", rateSchedule.period)
        try require(
            "learning_rate_schedule.warmup", rateSchedule.warmup,
            (0...rateSchedule.period).contains(rateSchedule.warmup), "0 to \(rateSchedule.period), the period")
        try fraction("moving_average.decay", movingAverage.decay)
        try positive("moving_average.interval", movingAverage.interval)
        try require("moving_average.start", movingAverage.start, movingAverage.start >= 0, "0 or more")
    }

    private func positive(_ field: String, _ value: Int) throws(TrainingConfigurationError) {
        try require(field, value, value > 0, "1 or more")
    }

    private func require(
        _ field: String, _ found: Any, _ condition: Bool, _ expected: String
    ) throws(TrainingConfigurationError) {
        guard condition else {
            throw TrainingConfigurationError(field: field, found: "\(found)", expected: expected)
        }
    }
}

/// An invalid training configuration, or a file that is not one.
public struct TrainingConfigurationError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// The file, if the configuration was read from one.
    public var file: String?

    /// The path of the field, such as `optimizer.beta1`; empty if the file as a whole is invalid.
    public let field: String

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

    /// The file, the field, what was found and what was expected.
    public var description: String {
        let place = [file, field.isEmpty ? nil : field].compactMap { $0 }.map { "\($0): " }.joined()
        return "\(place)found \(found); expected \(expected)"
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

extension TrainingConfigurationError {
    package init(field: String, found: String, expected: String) {
        (file, self.field, self.found, self.expected) = (nil, field, found, expected)
    }
}
