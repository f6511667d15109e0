/// A training configuration that nothing can be trained with, or a file that holds none.
public struct TrainingConfigurationError: Error, Equatable, CustomStringConvertible {
    /// The file, where the configuration came from one.
    public var file: String?

    /// The field, with dots between it and the fields that it lies in; empty where the file as a whole is wrong.
    public let field: String

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

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
}
