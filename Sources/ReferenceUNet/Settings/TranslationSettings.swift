import Foundation
import Networks
public import SliceSampling

/// What a network was trained for, and must be translated with: weights files carry it.
///
/// ```swift
/// let network = try UNet(weights: URL(filePath: "run/model.safetensors"))
/// let settings = network.translation ?? TranslationSettings()
/// let translator = VolumeTranslator(
///     preprocessing: .brain(spacing: settings.spacing),
///     sampler: SliceSampler(
///         scheduler: settings.process.scheduler(steps: 50), denoiser: UNetDenoiser(network),
///         plane: settings.plane, corrector: ScoreCorrector(steps: 1, stepSize: 0.5)))
/// ```
///
/// In a safetensors file it is the field `voxelbridge_translation` of the metadata, as JSON:
///
/// ```json
/// { "process": { "kind": "brownian_bridge", "timesteps": 1000, "schedule": "linear", "variance_scale": 1 },
///   "objective": "gradient", "spacing": 2, "plane": "axial" }
/// ```
///
/// Fields that are missing have the published value; unknown ones are an error, since who passes over a setting
/// translates wrongly.
public struct TranslationSettings: Codable, Equatable, Sendable {
    /// The process that the network was trained to reverse.
    public var process = ProcessSettings()
    /// What the network predicts.
    public var objective = Parameterization.gradient
    /// Distance between the voxels that the network sees, in millimetres.
    public var spacing = 1.0
    /// The plane of the slices.
    public var plane = SlicePlane.axial

    enum CodingKeys: String, CodingKey, CaseIterable {
        case process, objective, spacing, plane
    }

    /// The published settings. Change what differs.
    public init() {}

    /// Decodes the settings, without validating them.
    ///
    /// - Throws: `DecodingError` naming the field that is unknown or wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.knownFields(CodingKeys.self)
        try fields.read(.process, into: &process)
        try fields.read(.objective, into: &objective)
        try fields.read(.spacing, into: &spacing)
        try fields.read(.plane, into: &plane)
    }

    /// Checks that a volume can be translated with these settings.
    ///
    /// - Throws: `UNetConfigurationError` naming the field that is wrong.
    public func validate() throws(UNetConfigurationError) {
        try process.validate()
        let isNoise = process.kind == .rectifiedFlow && objective == .noise
        try UNetConfigurationError.require(
            "objective", objective.rawValue, !isNoise,
            "another one, since rectified_flow begins with nothing but noise, which says nothing of the sample")
        try UNetConfigurationError.require(
            "spacing", spacing, (0.0001...1000).contains(spacing), "0.0001 to 1000, in millimetres")
    }
}

extension TranslationSettings {
    /// The field of a safetensors file's metadata that holds the settings.
    package static let metadataField = "voxelbridge_translation"

    /// The settings as a field of a safetensors file's metadata. Equal settings give equal text.
    package var metadata: [String: String] {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            return [Self.metadataField: String(decoding: try encoder.encode(self), as: UTF8.self)]
        }
    }

    /// The settings that a file's metadata have, or nil where they have none.
    ///
    /// - Throws: `UNetConfigurationError` naming the file and the field that is wrong.
    init?(metadata: [String: String], file: String) throws {
        guard let json = metadata[Self.metadataField] else { return nil }
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(json.utf8))
            try validate()
        } catch let error as UNetConfigurationError {
            throw error.within(Self.metadataField, of: file)
        } catch let error as DecodingError {
            throw UNetConfigurationError(
                decoding: error, file: nil, expected: "settings of a translation in JSON"
            ).within(Self.metadataField, of: file)
        }
    }
}
