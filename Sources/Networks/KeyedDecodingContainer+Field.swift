extension KeyedDecodingContainer {
    /// Decodes a field, with errors that name it.
    ///
    /// Of a number that does not fit its type, such as 0.5 for an `Int`, Foundation's decoder says only that the
    /// JSON as a whole is not valid.
    package func decodeField<Value: Decodable>(_ key: Key) throws -> Value {
        do { return try decode(Value.self, forKey: key) } catch let error as DecodingError { throw error } catch
        {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self, debugDescription: "expected \(Value.self), found a number that is none")
        }
    }
}
