public import Foundation
import Volumes
import VoxelSupport

/// A step that descriptions of pipelines can hold.
///
/// A type of your own needs a name and `Codable`, and is named where a description with it is decoded
/// (``PreprocessingPipeline/init(contentsOf:steps:)-(URL,_)``).
public protocol StorableTransform: VolumeTransform, Codable {
    /// What the field `kind` says in descriptions; no two steps have the same.
    static var kind: String { get }
}

extension PreprocessingPipeline {
    /// The steps of this module that descriptions can hold.
    private static let ownSteps: [any StorableTransform.Type] = [
        Reorient.self, Resample.self, ResampleOnto.self, CropToForeground.self, CropToBox.self, CropOrPad.self,
        PadToMultiple.self, RescaleIntensity.self,
    ]

    /// A pipeline from its description, a file in JSON.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - steps: types of your own steps that the description may have.
    /// - Throws: ``PipelineFileError`` naming the file and the field.
    public init(contentsOf file: URL, steps: [any StorableTransform.Type] = []) throws {
        do {
            self = try JSONValue(contentsOf: file).decode(
                PreprocessingPipeline.self, userInfo: [.preprocessingSteps: steps])
        } catch { throw PipelineFileError(file: file.path, reason: error.explanation) }
    }

    /// Writes the description, which ``init(contentsOf:steps:)-(URL,_)`` reads.
    ///
    /// - Throws: ``PreprocessingError/notStorable(step:)``; what writing the file throws.
    public func write(to file: URL) throws {
        let description = try JSONValue(encoding: self)
        guard case .array(let steps)? = description["steps"] else { return }
        // A step a line reads better than a number a line.
        func line(_ value: JSONValue) throws -> String {
            String(decoding: try value.sortedJSON(), as: UTF8.self)
        }
        let lines = try steps.map { "    \(try line($0))" }.joined(separator: ",\n")
        let grid = try description["grid"].map { ",\n  \"grid\": \(try line($0))" } ?? ""
        let text = "{\n  \"steps\": [\n\(lines)\n  ]\(grid)\n}\n"
        try AtomicFile.write(Data(text.utf8), to: file)
    }
}

extension PreprocessingPipeline {
    /// A pipeline from its description at a path; see ``init(contentsOf:steps:)-(URL,_)``.
    ///
    /// - Throws: ``PipelineFileError`` naming the file and the field.
    public init(contentsOf path: String, steps: [any StorableTransform.Type] = []) throws {
        try self.init(contentsOf: URL(filePath: path), steps: steps)
    }

    /// Writes the description to a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: ``PreprocessingError/notStorable(step:)``; what writing the file throws.
    public func write(to path: String) throws { try write(to: URL(filePath: path)) }
}

/// A pipeline is described by its steps, and the grid if it was fitted to a volume:
///
/// ```json
/// {
///   "steps": [
///     { "kind": "rescale_intensity", "rule": "percentiles:0.1,99.9", "background": "border" },
///     { "kind": "reorient", "to": "RAS" },
///     { "kind": "resample", "spacing": 1, "interpolation": "linear", "antialiasing": "gaussian" },
///     { "kind": "crop_to_foreground", "threshold": 0.001, "margin": 0 }
///   ]
/// }
/// ```
///
/// Types of steps that are not this module's are given in the decoder's `userInfo`, under
/// `CodingUserInfoKey.preprocessingSteps`.
extension PreprocessingPipeline: Codable {
    private enum CodingKeys: String, CodingKey { case steps, grid }

    private enum StepKeys: String, CodingKey { case kind }

    /// Decodes the steps.
    ///
    /// - Throws: `DecodingError` naming the field that is wrong.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let others = decoder.userInfo[.preprocessingSteps] as? [any StorableTransform.Type] ?? []
        let known = Self.ownSteps + others
        var steps = try container.nestedUnkeyedContainer(forKey: .steps)
        var transforms: [any VolumeTransform] = []
        while !steps.isAtEnd {
            let step = try steps.superDecoder()
            let kind = try step.container(keyedBy: StepKeys.self).decode(String.self, forKey: .kind)
            guard let type = known.first(where: { $0.kind == kind }) else {
                throw DecodingError(
                    at: step.codingPath + [StepKeys.kind], found: "\"\(kind)\"",
                    expected: "one of \(known.map { $0.kind }.joined(separator: ", "))")
            }
            transforms.append(try type.init(from: step))
        }
        self.init(transforms, fittedTo: try container.decodeIfPresent(VoxelGrid.self, forKey: .grid))
    }

    /// Encodes the steps.
    ///
    /// - Throws: ``PreprocessingError/notStorable(step:)``.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        var steps = container.nestedUnkeyedContainer(forKey: .steps)
        for transform in transforms {
            guard let step = transform as? any StorableTransform else {
                throw PreprocessingError.notStorable(step: "\(type(of: transform))")
            }
            let encoder = steps.superEncoder()
            var container = encoder.container(keyedBy: StepKeys.self)
            try container.encode(type(of: step).kind, forKey: .kind)
            try step.encode(to: encoder)
        }
        try container.encodeIfPresent(grid, forKey: .grid)
    }
}

extension CodingUserInfoKey {
    /// The types of steps (`[any StorableTransform.Type]`) that a description may have beside those of this package.
    public static let preprocessingSteps = CodingUserInfoKey(rawValue: "preprocessingSteps")!
}

/// A file that describes no pipeline.
public struct PipelineFileError: LocalizedError, CustomStringConvertible {
    /// The file.
    public let file: String

    /// The field that is wrong, what was found and what was expected.
    public let reason: String

    /// The file and what is wrong in it.
    public var description: String { "\(file): \(reason)" }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}
