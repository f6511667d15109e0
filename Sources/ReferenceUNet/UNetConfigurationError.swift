/// A network's configuration that no network can be made of, or a file that holds none.
public struct UNetConfigurationError: Error, Equatable, CustomStringConvertible {
    /// The file, where the configuration came from one.
    public let file: String?

    /// The field as it is named in the file, or nil where the file as a whole is wrong.
    public let field: String?

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

    /// The file, the field, what was found and what was expected.
    public var description: String {
        let place = (file.map { "\($0): " } ?? "") + (field.map { "\($0): " } ?? "")
        return "\(place)found \(found); expected \(expected)"
    }
}

extension UNetConfigurationError {
    init(decoding error: DecodingError, file: String) {
        switch error {
        case .keyNotFound(let key, _):
            self.init(file: file, field: key.stringValue, found: "no such field", expected: "a value")
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            self.init(
                file: file, field: context.codingPath.first?.stringValue, found: context.debugDescription,
                expected: "a value of type \(type)")
        case .dataCorrupted(let context):
            self.init(
                file: file, field: context.codingPath.first?.stringValue, found: context.debugDescription,
                expected: "a U-Net's configuration in JSON")
        @unknown default:
            self.init(file: file, field: nil, found: "\(error)", expected: "a U-Net's configuration in JSON")
        }
    }
}
