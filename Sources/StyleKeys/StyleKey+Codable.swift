import Foundation
import VoxelSupport

/// The JSON form: an object with the three tokens, all of the same length.
///
/// ```json
/// {"histogram": [0.1, 0.3], "cumulative": [0.1, 0.4], "difference": [2, 2]}
/// ```
///
/// Unknown fields are ignored, so a file may also say where its key comes from. The tokens are not checked for
/// consistency with one another.
extension StyleKey: Codable {
    private enum CodingKeys: String, CodingKey {
        case histogram, cumulative, difference
    }

    /// Decodes the three tokens and validates them as `init(histogram:cumulative:difference:)` does.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        // Decoded as Double, so that a number too large for Float is reported with its index.
        func token(_ key: CodingKeys) throws -> [Float] {
            try container.decode([Double].self, forKey: key).map { Float($0) }
        }
        try self.init(
            histogram: token(.histogram), cumulative: token(.cumulative), difference: token(.difference))
    }

    /// Encodes the three tokens.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(histogram, forKey: .histogram)
        try container.encode(cumulative, forKey: .cumulative)
        try container.encode(difference, forKey: .difference)
    }
}

extension StyleKey {
    /// Reads a key from a JSON file.
    ///
    /// - Throws: `StyleKeyError.unreadable`, naming the file, the field, what was found and what was expected.
    public init(contentsOf file: URL) throws(StyleKeyError) {
        do {
            self = try JSONValue(contentsOf: file).decode(StyleKey.self, allowsUnknownFields: true)
        } catch {
            throw .unreadable(file: file, reason: error.explanation)
        }
    }

    /// Reads a key from the JSON file at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: `StyleKeyError.unreadable`.
    public init(contentsOf path: String) throws(StyleKeyError) {
        try self.init(contentsOf: URL(filePath: path))
    }

    /// Writes the key as JSON. The file is replaced whole or, if writing fails, left as it was.
    ///
    /// - Throws: `StyleKeyError.unwritable`.
    public func write(to file: URL) throws(StyleKeyError) {
        do { try AtomicFile.write(sortedJSON(), to: file) } catch {
            throw .unwritable(file: file, reason: error.explanation)
        }
    }
    /// Writes the key as JSON to the file at a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: `StyleKeyError.unwritable`.
    public func write(to path: String) throws(StyleKeyError) { try write(to: URL(filePath: path)) }
}
