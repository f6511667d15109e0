import Networks

extension Decoder {
    /// The fields of a JSON object, of which none may be unknown.
    ///
    /// - Throws: `DecodingError.dataCorrupted` naming a field that is not one of the keys.
    package func knownFields<Key: CodingKey & CaseIterable>(
        _ keys: Key.Type
    ) throws -> KeyedDecodingContainer<Key> {
        let known = Key.allCases.map(\.stringValue)
        let found = try container(keyedBy: AnyKey.self).allKeys
        if let unknown = found.filter({ !known.contains($0.stringValue) })
            .min(by: { $0.stringValue < $1.stringValue })
        {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: codingPath + [unknown],
                    debugDescription: "a field that is none of " + known.sorted().joined(separator: ", ")))
        }
        return try container(keyedBy: keys)
    }
}

extension KeyedDecodingContainer {
    /// Sets a value to that of its field, where there is one.
    func read<Value: Decodable>(_ key: Key, into value: inout Value) throws {
        if contains(key) { value = try decodeField(key) }
    }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    let intValue: Int? = nil
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
