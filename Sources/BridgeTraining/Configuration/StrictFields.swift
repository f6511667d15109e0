import Foundation
import ReferenceUNet

/// The fields of a JSON object, of which none may be unknown and any may be missing.
struct StrictFields<Key: CodingKey & CaseIterable> {
    private let container: KeyedDecodingContainer<Key>

    /// - Throws: `DecodingError` naming a field that is not one of the keys.
    init(_ decoder: any Decoder) throws {
        container = try decoder.knownFields(Key.self)
    }

    /// Sets a value to that of its field, where there is one.
    func read<Value: Decodable>(_ key: Key, into value: inout Value) throws {
        guard container.contains(key) else { return }
        value = try naming(key) { try container.decode(Value.self, forKey: key) }
    }

    /// Sets a value that may be nil: null in JSON.
    func read<Value: Decodable>(_ key: Key, into value: inout Value?) throws {
        guard container.contains(key) else { return }
        value = try naming(key) { try container.decodeIfPresent(Value.self, forKey: key) }
    }

    /// A network's configuration, in which what is missing has the published value.
    func network(_ key: Key) throws -> UNetConfiguration {
        guard container.contains(key) else { return .ct2mri }
        var fields = try naming(key) { try container.decode([String: JSONValue].self, forKey: key) }
        let published = try JSONDecoder().decode(
            [String: JSONValue].self, from: JSONEncoder().encode(UNetConfiguration.ct2mri))
        let path = Self.path(container.codingPath, key.stringValue)
        let isContextGiven = fields["context_dim"] != nil
        if let unknown = fields.keys.filter({ published[$0] == nil }).min() {
            throw TrainingConfigurationError(
                field: "\(path).\(unknown)", found: "a field of this name",
                expected: "one of \(published.keys.sorted().joined(separator: ", "))")
        }
        fields.merge(published) { given, _ in given }
        // A network without a transformer takes no key, and needs not say so.
        if fields["use_spatial_transformer"] == .bool(false), !isContextGiven { fields["context_dim"] = .null }
        do {
            return try JSONDecoder().decode(UNetConfiguration.self, from: JSONEncoder().encode(fields))
        } catch let error as DecodingError {
            throw TrainingConfigurationError(error, in: path)
        }
    }

    /// Foundation says of a number that does not fit its type only that the JSON as a whole is not valid.
    private func naming<Value>(_ key: Key, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as DecodingError {
            throw TrainingConfigurationError(error, in: Self.path(container.codingPath, key.stringValue))
        } catch let error as TrainingConfigurationError { throw error } catch {
            throw TrainingConfigurationError(
                field: Self.path(container.codingPath, key.stringValue), found: "a number that does not fit",
                expected: "a \(Value.self)")
        }
    }

    private static func path(_ path: [any CodingKey], _ last: String) -> String {
        (path.map(\.stringValue) + [last]).joined(separator: ".")
    }
}

/// A value of JSON, whatever it is.
enum JSONValue: Codable, Equatable {
    case null, bool(Bool), integer(Int), number(Double), string(String), array([JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else {
            self = .array(try container.decode([JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        }
    }
}
