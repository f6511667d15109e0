import Foundation
package import VoxelSupport

/// A path that can be stored in files of models and of training settings.
///
/// ```swift
/// /// A flow that moves fast at first: u = (t + 1) / T, with u² in place of u.
/// struct QuickFlow: StorablePath {
///     static let kind = "quick_flow"
///     var trainingTimesteps = 1000
///     var start: SamplingStart { .noise }
///
///     private func share(_ t: Int) -> Double {
///         let u = Double(t + 1) / Double(trainingTimesteps)
///         return u * u
///     }
///
///     func coefficients(at t: Int) -> PathCoefficients {
///         PathCoefficients(target: 1 - share(t), source: 0, variance: share(t) * share(t))
///     }
///
///     func velocity(at t: Int) -> PathCombination { PathCombination(target: -1, noise: 1) }
/// }
///
/// configuration.process = try StoredPath(QuickFlow(trainingTimesteps: 500))
/// // {"kind": "quick_flow", "trainingTimesteps": 500}
/// ```
public protocol StorablePath: GaussianPath, Codable {
    /// What the field `kind` says in files; no two paths have the same.
    static var kind: String { get }
}

/// A path as files hold it: a JSON object whose `kind` names the type of path, and whose other fields are the path's
/// own. Fields that are missing have the published value.
///
/// | `kind` | path | fields |
/// |---|---|---|
/// | `brownian_bridge` (the default) | ``BrownianBridge`` | `timesteps`, `schedule`: linear, sin or control, `variance_scale` |
/// | `symmetric_bridge` | ``SymmetricBridge`` | `timesteps`, `beta_max` |
/// | `diffusion` | ``GaussianDiffusion`` | `timesteps`, `schedule`: linear, scaled_linear or cosine, `beta_start`, `beta_end` |
/// | `rectified_flow` | ``RectifiedFlow`` | `timesteps` |
/// | `direct` | ``DirectMapping`` | none |
///
/// A file may hold a path of another kind: that of your own type, which ``path(among:)`` is then given.
public struct StoredPath: Codable, Equatable, Sendable {
    /// The name of the type of path.
    public let kind: String

    private let fields: [String: JSONValue]
    /// The path itself, where it was not read from a file.
    private var known: (any StorablePath)?

    /// The published bridge.
    public init() { self.init(kind: BrownianBridge.kind, fields: [:]) }

    /// A path to be stored.
    ///
    /// - Throws: what encoding it throws, and ``StoredPathError`` where it is not an object in JSON.
    public init(_ path: some StorablePath) throws {
        guard case .object(let fields) = try JSONValue(parsing: JSONEncoder().encode(path)) else {
            throw StoredPathError(field: nil, found: "a path that is no object in JSON", expected: "an object")
        }
        (kind, self.fields, known) = (type(of: path).kind, fields, path)
    }

    /// A path of a kind with some of its fields.
    package init(kind: String, fields: [String: JSONValue]) {
        (self.kind, self.fields, known) = (kind, fields, nil)
    }

    /// The path.
    ///
    /// - Parameter types: your own types, in addition to those of this package.
    /// - Throws: ``StoredPathError`` where the kind is none of these, or a field is unknown or wrong.
    public func path(among types: [any StorablePath.Type] = []) throws -> any StorablePath {
        if let known { return known }
        let own: [any StorablePath.Type] = [
            BrownianBridge.self, SymmetricBridge.self, GaussianDiffusion.self, RectifiedFlow.self,
            DirectMapping.self,
        ]
        let all = own + types.filter { type in !own.contains { $0.kind == type.kind } }
        guard let type = all.first(where: { $0.kind == kind }) else {
            throw StoredPathError(
                field: "kind", found: "\"\(kind)\"",
                expected: "one of \(all.map { $0.kind }.joined(separator: ", ")), or that of a type that the "
                    + "program gives when it reads the file")
        }
        var fields = fields
        if kind != BrownianBridge.kind {
            // Versions before 0.2 wrote these two for every process.
            if fields["variance_scale"] == .integer(1) { fields["variance_scale"] = nil }
            if kind != GaussianDiffusion.kind, fields["schedule"] == .string("linear") {
                fields["schedule"] = nil
            }
        }
        do { return try JSONValue.object(fields).decode(type) } catch let error as JSONFieldError {
            throw StoredPathError(
                field: error.field.isEmpty ? nil : error.field, found: error.found, expected: error.expected)
        }
    }

    /// Keeps the path, so that ``path(among:)`` needs no types from here on.
    ///
    /// - Throws: as ``path(among:)`` does.
    public mutating func resolve(among types: [any StorablePath.Type]) throws {
        known = try path(among: types)
    }

    /// The same path with every field written out, where it is one of this package's; else as it is.
    package var explicit: StoredPath {
        guard let path = try? path() else { return self }
        return (try? StoredPath(path)) ?? self
    }

    /// Every field of the path as it is stored but `kind`.
    package var explicitFields: [String: JSONValue] { explicit.fields }

    /// Whether both are the same path: a field that is missing equals its published value.
    public static func == (one: StoredPath, other: StoredPath) -> Bool {
        let (one, other) = (one.explicit, other.explicit)
        return one.kind == other.kind && one.fields == other.fields
    }

    /// Decodes the fields, without validating them.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: FieldName.self)
        var fields: [String: JSONValue] = [:]
        for key in container.allKeys where key.stringValue != "kind" {
            fields[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
        }
        let kind = try container.decodeIfPresent(String.self, forKey: FieldName(stringValue: "kind"))
        self.init(kind: kind ?? BrownianBridge.kind, fields: fields)
    }

    /// Encodes kind and fields.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: FieldName.self)
        try container.encode(kind, forKey: FieldName(stringValue: "kind"))
        for (name, value) in fields { try container.encode(value, forKey: FieldName(stringValue: name)) }
    }

    private struct FieldName: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

/// An invalid stored path, or one of an unknown kind.
public struct StoredPathError: LocalizedError, Equatable, CustomStringConvertible {
    /// The field that is wrong, as it is named in the file; `nil` where the path as a whole is.
    public let field: String?

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

    /// An error of a path's own, to be thrown by its `init(from:)`.
    public init(field: String?, found: String, expected: String) {
        (self.field, self.found, self.expected) = (field, found, expected)
    }

    /// The field, what was found and what was expected.
    public var description: String {
        "process\(field.map { ".\($0)" } ?? ""): found \(found); expected \(expected)"
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}

extension KeyedDecodingContainer {
    /// A number from its field, or a default where there is none.
    ///
    /// - Throws: `JSONFieldError` where it is not in a range.
    func number<Value: Decodable & Comparable>(
        _ key: Key, default value: Value, in range: ClosedRange<Value>
    ) throws -> Value {
        let number = try decodeIfPresent(Value.self, forKey: key) ?? value
        guard range.contains(number) else {
            throw JSONFieldError(
                field: key.stringValue, found: "\(number)",
                expected: "\(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}

/// T as files may have it.
let storedTimesteps = 3...10_000
