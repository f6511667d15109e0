import Foundation

/// A JSON tree, for files that people write: decoding errors name the field, what was found and what was expected.
///
/// Settings may be partial: they are decoded over default values, and unknown fields are errors.
///
/// ```swift
/// let json = try JSONValue(contentsOf: file)                  // {"optimizer": {"beta1": 0.5}}
/// let settings = try json.decode(over: TrainingConfiguration())
/// ```
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    /// A whole number above `Int.max`.
    case unsigned(UInt64)
    case number(Double)
    /// A number beyond the range of Double.
    case excessive
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Parses a text.
    ///
    /// - Throws: `JSONFieldError` if it is not JSON.
    package init(parsing text: Data) throws(JSONFieldError) {
        do { self = try JSONDecoder().decode(JSONValue.self, from: text) } catch {
            throw JSONFieldError(field: "", found: Self.syntaxError(in: text), expected: "JSON")
        }
    }

    /// Reads and parses a file.
    ///
    /// - Throws: `JSONFieldError`, which does not name the file, if it cannot be read or is not JSON.
    package init(contentsOf url: URL) throws(JSONFieldError) {
        let text: Data
        do { text = try Data(contentsOf: url, atMost: 1 << 24) } catch {
            throw JSONFieldError(field: "", found: error.explanation, expected: "a readable file")
        }
        try self.init(parsing: text)
    }

    /// The JSON that a value is encoded as.
    package init(encoding value: some Encodable) throws { try self.init(parsing: JSONEncoder().encode(value)) }

    /// A field of an object, or `nil` if there is none.
    package subscript(field: String) -> JSONValue? {
        get { if case .object(let fields) = self { fields[field] } else { nil } }
        set {
            guard case .object(var fields) = self else { return }
            fields[field] = newValue
            self = .object(fields)
        }
    }

    /// Decodes a value whose missing fields, on any level, have the values of `defaults`.
    ///
    /// - Parameter allowsUnknownFields: whether unknown fields are ignored, or are errors.
    /// - Throws: `JSONFieldError`; what `Value` itself throws.
    package func decode<Value: Codable>(
        over defaults: Value, allowsUnknownFields: Bool = false
    ) throws -> Value {
        try JSONValue(encoding: defaults).overlaid(with: self)
            .decode(Value.self, allowsUnknownFields: allowsUnknownFields)
    }

    /// Decodes a value with all its fields.
    ///
    /// - Parameters:
    ///   - allowsUnknownFields: whether unknown fields are ignored, or are errors.
    ///   - userInfo: what the types that are decoded find in the decoder.
    /// - Throws: `JSONFieldError`; what `Value` itself throws.
    package func decode<Value: Decodable>(
        _ type: Value.Type, allowsUnknownFields: Bool = false, userInfo: [CodingUserInfoKey: Any] = [:]
    ) throws -> Value {
        let log = FieldLog()
        let value: Value
        do {
            value = try JSONValueDecoder(value: self, codingPath: [], log: log, userInfo: userInfo).decode(type)
        } catch let error as DecodingError {
            throw error.fieldError
        }
        if !allowsUnknownFields { try log.checkThatAllFieldsWereRead() }
        return value
    }

    /// The tree with its values replaced by those of another, object by object.
    private func overlaid(with other: JSONValue) -> JSONValue {
        guard case .object(let fields) = self, case .object(let others) = other else { return other }
        return .object(fields.merging(others) { $0.overlaid(with: $1) })
    }

    /// What is found in a text that is not JSON. Of the two parsers, `JSONSerialization` says where the error is.
    private static func syntaxError(in text: Data) -> String {
        do { _ = try JSONSerialization.jsonObject(with: text, options: .fragmentsAllowed) } catch {
            if let reason = (error as NSError).userInfo[NSDebugDescriptionErrorKey] {
                return "text that is not valid JSON (\(reason))"
            }
        }
        return "text that is not valid JSON"
    }
}

extension JSONValue: CustomStringConvertible {
    /// The value for an error: itself, or its kind if it is an array or an object.
    package var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .number(let value): "\(value)"
        case .excessive: "a number that Double cannot represent"
        case .string(let text): "\"\(text.shortened)\""
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: Decodable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .unsigned(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else if let value = try? container.decode([String: JSONValue].self) {
            self = .object(value)
        } else {
            self = .excessive
        }
    }
}

extension JSONValue: Encodable {
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .excessive:
            throw EncodingError.invalidValue(
                self, .init(codingPath: encoder.codingPath, debugDescription: "\(self)"))
        case .string(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let fields): try container.encode(fields)
        }
    }
}

extension Encodable {
    /// The value as JSON with sorted keys: equal values give equal text.
    package func sortedJSON(prettyPrinted: Bool = false) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            prettyPrinted ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : .sortedKeys
        return try encoder.encode(self)
    }
}

/// An invalid value in a JSON text, or an invalid text.
package struct JSONFieldError: LocalizedError, CustomStringConvertible, Hashable {
    /// The path of the field, such as `optimizer.beta1` or `histogram[3]`; empty if the text as a whole is invalid.
    package let field: String

    /// What was found.
    package let found: String

    /// What was expected.
    package let expected: String

    package init(field: String, found: String, expected: String) {
        (self.field, self.found, self.expected) = (field, found, expected)
    }

    /// The field, what was found and what was expected.
    package var description: String {
        (field.isEmpty ? "" : "\(field.shortened): ") + "found \(found); expected \(expected)"
    }

    /// The same as `description`.
    package var errorDescription: String? { description }
}
