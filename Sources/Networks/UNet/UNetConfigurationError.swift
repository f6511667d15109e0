import Foundation

/// A network's configuration that no network can be built from, settings that nothing can be translated with, or a
/// file that holds neither.
public struct UNetConfigurationError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file, where the configuration came from one.
    public let file: String?

    /// The field by its name in the file, with dots between it and the fields that contain it; nil where the file as
    /// a whole is wrong.
    public let field: String?

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

    package init(file: String?, field: String?, found: String, expected: String) {
        (self.file, self.field, self.found, self.expected) = (file, field, found, expected)
    }

    /// The description.
    public var errorDescription: String? { description }

    /// The file, the field, what was found and what was expected.
    public var description: String {
        let place = (file.map { "\($0): " } ?? "") + (field.map { "\($0): " } ?? "")
        return "\(place)found \(found); expected \(expected)"
    }
}

extension UNetConfigurationError {
    package init(
        decoding error: DecodingError, file: String?, expected: String = "a U-Net's configuration in JSON"
    ) {
        func field(_ context: DecodingError.Context) -> String? {
            let names = context.codingPath.filter { $0.intValue == nil }.map(\.stringValue)
            return names.isEmpty ? nil : names.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, _):
            self.init(file: file, field: key.stringValue, found: "no such field", expected: "a value")
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            self.init(
                file: file, field: field(context), found: context.debugDescription,
                expected: "a value of type \(type)")
        case .dataCorrupted(let context):
            self.init(
                file: file, field: field(context), found: context.debugDescription, expected: expected)
        @unknown default:
            self.init(file: file, field: nil, found: "\(error)", expected: expected)
        }
    }

    /// Throws an error that names a field unless a condition holds.
    package static func require(
        _ field: String, _ found: Any, _ condition: Bool, _ expected: String
    ) throws(UNetConfigurationError) {
        guard condition else {
            throw UNetConfigurationError(file: nil, field: field, found: "\(found)", expected: expected)
        }
    }

    /// The same error, of a field inside another field of a file.
    package func within(_ outer: String, of file: String) -> UNetConfigurationError {
        UNetConfigurationError(
            file: file, field: [outer, field].compactMap(\.self).joined(separator: "."), found: found,
            expected: expected)
    }
}
extension KeyedDecodingContainer {
    /// Decodes a field, with errors that name it.
    ///
    /// For a number that does not fit its type, such as 0.5 for an `Int`, Foundation's decoder says only that the JSON
    /// is not valid.
    package func decodeField<Value: Decodable>(_ key: Key) throws -> Value {
        do { return try decode(Value.self, forKey: key) } catch let error as DecodingError { throw error } catch
        {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self,
                debugDescription: "expected \(Value.self), found a number that \(Value.self) cannot represent")
        }
    }
}
