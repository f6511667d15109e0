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
        } catch { throw TrainingConfigurationError(reading: error, file: url.path) }
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
        try optimizer.validate(under: "optimizer")
        try rateSchedule.validate(under: "learning_rate_schedule", rate: optimizer.learningRate)
        try movingAverage.validate(under: "moving_average")
        try adversarial?.validate(under: "adversarial")
        // Far beyond any training, and such that windows can be counted.
        try require("batch", batch, (1...1 << 16).contains(batch), "1 to \(1 << 16)")
        try require("accumulation", accumulation, (1...1 << 16).contains(accumulation), "1 to \(1 << 16)")
        try require("steps", steps, (1...1 << 30).contains(steps), "1 to \(1 << 30)")
        try require(
            "data.minimum_foreground", data.minimumForeground, data.minimumForeground >= 0, "0 or more")
        try intervals.validate(under: "intervals")
        try require("validation.windows", validation.windows, validation.windows >= 0, "0 or more")
        try require("validation.samples", validation.samples, (0...64).contains(validation.samples), "0 to 64")
        let timesteps = (try? process.path().trainingTimesteps) ?? 3
        try require(
            "validation.sampling_steps", validation.samplingSteps,
            // A path of one timestep is visited once.
            timesteps == 1 || (3...timesteps).contains(validation.samplingSteps),
            "3 to \(max(3, timesteps)), the timesteps of the process")
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

    package init(file: String?, field: String, found: String, expected: String) {
        (self.file, self.field, self.found, self.expected) = (file, field, found, expected)
    }

    /// The file, the field, what was found and what was expected.
    public var description: String {
        let place = [file, field.isEmpty ? nil : field].compactMap { $0 }.map { "\($0): " }.joined()
        return "\(place)found \(found); expected \(expected)"
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

extension TrainingConfigurationError {
    /// What reading a configuration threw.
    package init(reading error: any Error, file: String?) {
        switch error {
        case let error as JSONFieldError:
            self.init(file: file, field: error.field, found: error.found, expected: error.expected)
        case var error as TrainingConfigurationError:
            error.file = file
            self = error
        default:
            self.init(
                file: file, field: "", found: error.explanation, expected: "a training configuration")
        }
    }

    package init(field: String, found: String, expected: String) {
        self.init(file: nil, field: field, found: found, expected: expected)
    }
}

/// Checks a field of a configuration.
///
/// - Throws: `TrainingConfigurationError` unless the condition holds.
package func require(
    _ field: String, _ found: Any, _ condition: Bool, _ expected: String
) throws(TrainingConfigurationError) {
    guard condition else {
        throw TrainingConfigurationError(field: field, found: "\(found)", expected: expected)
    }
}
