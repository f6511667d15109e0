/// Decodes values from a JSON tree. Unlike `JSONDecoder`, it logs which fields are read, and its errors name the field,
/// what was found and what was expected.
struct JSONValueDecoder: Decoder {
    let value: JSONValue
    let codingPath: [any CodingKey]
    let log: FieldLog
    let userInfo: [CodingUserInfoKey: Any]

    /// The value as a `Value`.
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if let primitive = type as? any JSONPrimitive.Type {
            guard let value = primitive.init(json: value) as? Value else { throw mismatch(type) }
            return value
        }
        do { return try Value(from: self) } catch is DecodingError where names(of: type) != nil {
            throw mismatch(type)
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let fields) = value else { throw error(expected: "an object") }
        log.open(fields, at: codingPath)
        return KeyedDecodingContainer(ObjectContainer(fields: fields, decoder: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let elements) = value else { throw error(expected: "an array") }
        return ArrayContainer(elements: elements, decoder: self)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { ScalarContainer(decoder: self) }

    func nested(_ value: JSONValue, _ key: any CodingKey) -> JSONValueDecoder {
        JSONValueDecoder(value: value, codingPath: codingPath + [key], log: log, userInfo: userInfo)
    }

    // MARK: Errors

    func mismatch(_ type: Any.Type) -> DecodingError { error(expected: expectation(type)) }

    func error(expected: String) -> DecodingError {
        DecodingError(at: codingPath, found: "\(value)", expected: expected)
    }
}

extension DecodingError {
    /// An error for types that decode themselves, with the `JSONFieldError` as its underlying error.
    package init(at codingPath: [any CodingKey], found: String, expected: String) {
        let error = JSONFieldError(field: FieldLog.path(codingPath), found: found, expected: expected)
        self = .dataCorrupted(
            .init(codingPath: codingPath, debugDescription: "\(error)", underlyingError: error))
    }

    /// The error of a field.
    var fieldError: JSONFieldError {
        let context =
            switch self {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
                .dataCorrupted(let context):
                context
            @unknown default: Context(codingPath: [], debugDescription: "\(self)")
            }
        return context.underlyingError as? JSONFieldError
            ?? JSONFieldError(
                field: FieldLog.path(context.codingPath), found: context.debugDescription,
                expected: "a valid value")
    }
}

/// The fields of each object that are found, and those that are read: fields that are found but not read are unknown.
final class FieldLog {
    private var found: [String: Set<String>] = [:]
    private var known: [String: Set<String>] = [:]

    static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce(into: "") { path, key in
            if let index = key.intValue {
                path += "[\(index)]"
            } else {
                path += (path.isEmpty ? "" : ".") + key.stringValue
            }
        }
    }

    func open(_ fields: [String: JSONValue], at path: [any CodingKey]) {
        found[Self.path(path)] = Set(fields.keys)
    }

    func read(_ field: any CodingKey, at path: [any CodingKey]) {
        known[Self.path(path), default: []].insert(field.stringValue)
    }

    /// - Throws: `JSONFieldError` naming the first unknown field.
    func checkThatAllFieldsWereRead() throws(JSONFieldError) {
        for (path, fields) in found.sorted(by: { $0.key < $1.key }) {
            let known = known[path] ?? []
            guard let unknown = fields.subtracting(known).min() else { continue }
            throw JSONFieldError(
                field: path.isEmpty ? unknown : "\(path).\(unknown)", found: "an unknown field",
                expected: "one of \(known.sorted().joined(separator: ", "))")
        }
    }
}

// MARK: Containers

private struct ObjectContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let fields: [String: JSONValue]
    let decoder: JSONValueDecoder

    var codingPath: [any CodingKey] { decoder.codingPath }
    var allKeys: [Key] { fields.keys.compactMap(Key.init(stringValue:)) }

    func contains(_ key: Key) -> Bool {
        decoder.log.read(key, at: codingPath)
        return fields[key.stringValue] != nil
    }

    func decodeNil(forKey key: Key) throws -> Bool { try field(key).value == .null }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try field(key, expected: expectation(type)).decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try field(key, expected: "an object").container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try field(key, expected: "an array").unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { decoder }

    func superDecoder(forKey key: Key) throws -> any Decoder { try field(key) }

    private func field(_ key: Key, expected: String = "a value") throws -> JSONValueDecoder {
        decoder.log.read(key, at: codingPath)
        guard let value = fields[key.stringValue] else {
            throw DecodingError(at: codingPath + [key], found: "no such field", expected: expected)
        }
        return decoder.nested(value, key)
    }
}

private struct ArrayContainer: UnkeyedDecodingContainer {
    let elements: [JSONValue]
    let decoder: JSONValueDecoder

    var currentIndex = 0
    var codingPath: [any CodingKey] { decoder.codingPath }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex == elements.count }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, elements[currentIndex] == .null else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let value = try element().decode(type)
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        defer { currentIndex += 1 }
        return try element().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        defer { currentIndex += 1 }
        return try element().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder {
        defer { currentIndex += 1 }
        return try element()
    }

    private func element() throws -> JSONValueDecoder {
        guard !isAtEnd else {
            throw decoder.error(expected: "an array of more than \(elements.count) elements")
        }
        return decoder.nested(elements[currentIndex], Index(intValue: currentIndex))
    }

    private struct Index: CodingKey {
        let index: Int
        var intValue: Int? { index }
        var stringValue: String { "\(index)" }
        init(intValue: Int) { index = intValue }
        init?(stringValue: String) { nil }
    }
}

private struct ScalarContainer: SingleValueDecodingContainer {
    let decoder: JSONValueDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool { decoder.value == .null }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try decoder.decode(type) }
}

// MARK: Types

/// A type that is one JSON value other than an object or an array.
private protocol JSONPrimitive {
    /// What it is called in errors.
    static var expectation: String { get }
    init?(json: JSONValue)
}

extension Bool: JSONPrimitive {
    fileprivate static var expectation: String { "true or false" }
    fileprivate init?(json: JSONValue) {
        guard case .bool(let value) = json else { return nil }
        self = value
    }
}

extension String: JSONPrimitive {
    fileprivate static var expectation: String { "a string" }
    fileprivate init?(json: JSONValue) {
        guard case .string(let value) = json else { return nil }
        self = value
    }
}

extension JSONPrimitive where Self: BinaryFloatingPoint {
    fileprivate static var expectation: String { "a number" }
    fileprivate init?(json: JSONValue) {
        switch json {
        case .integer(let value): self.init(value)
        case .unsigned(let value): self.init(value)
        case .number(let value): self.init(value)
        default: return nil
        }
        guard isFinite else { return nil }
    }
}

extension JSONPrimitive where Self: FixedWidthInteger {
    fileprivate static var expectation: String {
        isSigned && bitWidth == 64 ? "a whole number" : "a whole number from \(min) to \(max)"
    }
    fileprivate init?(json: JSONValue) {
        switch json {
        case .integer(let value): self.init(exactly: value)
        case .unsigned(let value): self.init(exactly: value)
        case .number(let value): self.init(exactly: value)
        default: return nil
        }
    }
}

extension Double: JSONPrimitive {}
extension Float: JSONPrimitive {}
extension Int: JSONPrimitive {}
extension Int8: JSONPrimitive {}
extension Int16: JSONPrimitive {}
extension Int32: JSONPrimitive {}
extension Int64: JSONPrimitive {}
extension UInt: JSONPrimitive {}
extension UInt8: JSONPrimitive {}
extension UInt16: JSONPrimitive {}
extension UInt32: JSONPrimitive {}
extension UInt64: JSONPrimitive {}

/// What a type is called where one of its values is expected.
private func expectation(_ type: Any.Type) -> String {
    if let primitive = type as? any JSONPrimitive.Type { return primitive.expectation }
    if let names = names(of: type) { return "one of \(names.joined(separator: ", "))" }
    if let optional = type as? any OptionalType.Type { return "\(expectation(optional.wrapped)), or null" }
    if type is any ArrayType.Type { return "an array" }
    return "an object"
}

/// The texts that an enumeration is written as, or `nil` of another type.
private func names(of type: Any.Type) -> [String]? {
    func names<Cases: CaseIterable>(_ type: Cases.Type) -> [String] {
        type.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
    }
    let all = (type as? any CaseIterable.Type).map { names($0) } ?? []
    return all.isEmpty ? nil : all
}

private protocol OptionalType { static var wrapped: Any.Type { get } }
extension Optional: OptionalType { fileprivate static var wrapped: Any.Type { Wrapped.self } }

private protocol ArrayType {}
extension Array: ArrayType {}
