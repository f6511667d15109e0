import Foundation

/// A training configuration that nothing can be trained with, or a file that holds none.
public struct TrainingConfigurationError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file, where the configuration came from one.
    public var file: String?

    /// The field, with dots between it and the fields that it lies in; empty where the file as a whole is wrong.
    public let field: String

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

    /// The description.
    public var errorDescription: String? { description }

    /// The file, the field, what was found and what was expected.
    public var description: String {
        let place = [file, field.isEmpty ? nil : field].compactMap { $0 }.map { "\($0): " }.joined()
        return "\(place)found \(found); expected \(expected)"
    }
}

extension TrainingConfigurationError {
    init(field: String, found: String, expected: String) {
        (file, self.field, self.found, self.expected) = (nil, field, found, expected)
    }

    /// What is wrong, as a decoder tells it of a value that lies in `path`.
    init(_ error: DecodingError, in path: String) {
        func field(_ context: DecodingError.Context) -> String {
            let names = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
            let inner = names.joined(separator: ".")
            return inner.hasPrefix(path) ? inner : [path, inner].filter { !$0.isEmpty }.joined(separator: ".")
        }
        switch error {
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            self.init(
                field: field(context), found: context.debugDescription, expected: "a value of type \(type)")
        case .keyNotFound(let key, let context):
            self.init(
                field: field(context), found: "no field \(key.stringValue)", expected: "a value")
        case .dataCorrupted(let context):
            self.init(
                field: field(context), found: context.debugDescription, expected: "a training configuration")
        @unknown default:
            self.init(field: path, found: "\(error)", expected: "a training configuration")
        }
    }
}
