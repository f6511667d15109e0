import Foundation
package import VoxelSupport

/// A configuration that no network can be built from, or a file that is not a configuration.
public struct NetworkConfigurationError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file, if the configuration was read from one.
    package(set) public var file: String?

    /// The path of the field, such as `channel_mult[1]`; `nil` if the file as a whole is invalid.
    public let field: String?

    /// What was found.
    public let found: String

    /// What was expected.
    public let expected: String

    package init(file: String? = nil, field: String?, found: String, expected: String) {
        (self.file, self.field, self.found, self.expected) = (file, field, found, expected)
    }

    package init(_ error: JSONFieldError, file: String?) {
        self.init(
            file: file, field: error.field.isEmpty ? nil : error.field, found: error.found,
            expected: error.expected)
    }

    /// The file, the field, what was found and what was expected.
    public var description: String {
        [file, field, "found \(found); expected \(expected)"].compactMap(\.self).joined(separator: ": ")
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

/// Checks a field of a configuration.
///
/// - Throws: `NetworkConfigurationError` unless the condition holds.
func require<Key: CodingKey>(
    _ field: Key, _ found: Any, _ condition: Bool, _ expected: String
) throws(NetworkConfigurationError) {
    try NetworkConfigurationError.require(field.stringValue, found, condition, expected)
}

extension NetworkConfigurationError {
    /// - Throws: the error of a field unless a condition holds.
    package static func require(
        _ field: String, _ found: Any, _ condition: Bool, _ expected: String
    ) throws(NetworkConfigurationError) {
        guard condition else {
            throw NetworkConfigurationError(field: field, found: "\(found)", expected: expected)
        }
    }
}
