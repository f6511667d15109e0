public import BridgeDiffusion
public import Foundation
public import Preprocessing
public import Volumes
import VoxelSupport

/// The settings that a network was trained with and is to be used with. Model files store them.
///
/// In a safetensors file it is the field `voxelbridge_translation` of the metadata, as JSON:
///
/// ```json
/// { "process": { "kind": "brownian_bridge", "timesteps": 1000, "schedule": "linear", "variance_scale": 1 },
///   "objective": "gradient", "spacing": 2, "antialiasing": "gaussian", "plane": "axial",
///   "source": "window:0,80", "target": "percentiles:0.1,99.9" }
/// ```
///
/// Fields that are missing have the published value, but three: a file that does not state `antialiasing`, `source` or
/// `target` is of a network trained without smoothing, on intensities from the least to the greatest (`min-max`). Unknown
/// fields are an error: a setting that is ignored gives a wrong translation.
public struct TranslationSettings: Codable, Equatable, Sendable {
    /// The path that the network was trained to reverse.
    public var process = StoredPath()
    /// What the network predicts.
    public var predictionType = PredictionType.gradient
    /// Distance between the voxels that the network sees, in millimetres.
    public var spacing = 1.0
    /// What is done first to volumes with finer voxels.
    public var antialiasing = Antialiasing.gaussian
    /// The plane of the slices.
    public var plane = SlicePlane.axial
    /// How the intensities of sources are scaled.
    public var source = IntensityRule.percentiles()
    /// How the intensities of targets are scaled, those of which style keys are made among them.
    public var target = IntensityRule.percentiles()

    private enum CodingKeys: String, CodingKey {
        case process, spacing, antialiasing, plane, source, target
        // The name in files written so far.
        case predictionType = "objective"
    }

    /// The published settings. Change what differs.
    public init() {}

    /// Checks that a volume can be translated with these settings. A process of another kind than this package's is
    /// checked where its type is given.
    ///
    /// - Throws: ``TranslationSettingsError`` naming the field that is wrong.
    public func validate() throws(TranslationSettingsError) {
        do {
            try check(process.path())
        } catch let error as StoredPathError {
            guard error.field != "kind" else { return }
            throw TranslationSettingsError(
                field: "process" + (error.field.map { ".\($0)" } ?? ""), found: error.found,
                expected: error.expected)
        } catch let error as TranslationSettingsError {
            throw error
        } catch {
            throw TranslationSettingsError(field: "process", found: "\(error)", expected: "a path")
        }
        guard (0.0001...1000).contains(spacing) else {
            throw TranslationSettingsError(
                field: "spacing", found: "\(spacing)", expected: "0.0001 to 1000, in millimetres")
        }
    }

    private func check(_ path: any GaussianPath) throws {
        guard let expected = predictionType.replacement(on: path, kind: process.kind) else { return }
        throw TranslationSettingsError(field: "objective", found: predictionType.rawValue, expected: expected)
    }
}

extension TranslationSettings {
    /// The field of a safetensors file's metadata that holds the settings.
    package static let metadataField = "voxelbridge_translation"

    /// The settings as a field of a safetensors file's metadata. Equal settings give equal text.
    package var metadata: [String: String] {
        get throws {
            var settings = self
            settings.process = process.explicit
            return [Self.metadataField: String(decoding: try settings.sortedJSON(), as: UTF8.self)]
        }
    }

    /// The settings that a file's metadata have, or nil where they have none.
    ///
    /// - Throws: ``TranslationSettingsError`` naming the file and the field that is wrong.
    package init?(metadata: [String: String], file: String) throws {
        guard let json = metadata[Self.metadataField] else { return nil }
        do {
            var unstated = Self()
            unstated.antialiasing = .none
            (unstated.source, unstated.target) = (.minMax, .minMax)
            self = try JSONValue(parsing: Data(json.utf8)).decode(over: unstated)
            try validate()
        } catch let error as TranslationSettingsError {
            throw error.within(Self.metadataField, of: file)
        } catch let error as JSONFieldError {
            throw TranslationSettingsError(
                field: error.field.isEmpty ? nil : error.field, found: error.found, expected: error.expected
            ).within(Self.metadataField, of: file)
        }
    }
}

/// Invalid translation settings.
public struct TranslationSettingsError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file, where the settings came from one.
    public var file: String?

    /// The field as it is named in the file, with dots between it and the fields that it lies in; nil where the settings
    /// as a whole are wrong.
    public var field: String?

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

    /// The file, the field, what was found and what was expected.
    public var description: String {
        let place = (file.map { "\($0): " } ?? "") + (field.map { "\($0): " } ?? "")
        return "\(place)found \(found); expected \(expected)"
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }

    init(field: String?, found: String, expected: String) {
        (self.field, self.found, self.expected) = (field, found, expected)
    }

    /// The error of what lies in a field of a file.
    func within(_ outer: String, of file: String) -> TranslationSettingsError {
        var error = self
        (error.file, error.field) = (file, [outer, field].compactMap(\.self).joined(separator: "."))
        return error
    }
}
