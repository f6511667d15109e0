import Foundation
import VoxelSupport

/// The JSON form: an object of the three tokens, all of one length.
///
/// ```json
/// {"histogram": [0.1, 0.3], "cumulative": [0.1, 0.4], "difference": [2, 2]}
/// ```
///
/// Unknown fields are passed over, so a file may say where its key comes from. The tokens are taken as they
/// are, whether or not they follow from one another.
extension StyleKey: Codable {
    private enum CodingKeys: String, CodingKey {
        case histogram, cumulative, difference
    }

    /// Decodes the three tokens and checks them as `init(histogram:cumulative:difference:)` does.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        // Decoded as Double, so that a number too large for Float is reported as such, with its place.
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
    /// The key that a JSON file holds.
    ///
    /// - Throws: `StyleKeyError.unreadable`, which names the file, the field and what is wrong with it.
    public init(contentsOf file: URL) throws(StyleKeyError) {
        do {
            self = try JSONValue(contentsOf: file).decode(StyleKey.self, allowsUnknownFields: true)
        } catch {
            throw .unreadable(file: file, reason: "\(error)")
        }
    }

    /// Writes the key as JSON. A file of that name is replaced whole, or stays as it was where writing fails.
    ///
    /// - Throws: `StyleKeyError.unwritable`.
    public func write(to file: URL) throws(StyleKeyError) {
        do { try AtomicFile.write(sortedJSON(), to: file) } catch {
            throw .unwritable(file: file, reason: error.localizedDescription)
        }
    }
}
