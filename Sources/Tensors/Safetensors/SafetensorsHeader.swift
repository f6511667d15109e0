import Foundation

/// The checked header of a safetensors file.
struct SafetensorsHeader {
    /// The format's own limit on the length of the JSON.
    static let longest = 100_000_000

    /// The field that holds text rather than a tensor.
    static let metadataField = "__metadata__"

    /// Where one tensor lies and what it holds.
    struct Entry {
        let type: SafetensorsType
        let shape: [Int]
        /// Its bytes, counted from the start of the file.
        let bytes: Range<Int>
    }

    let entries: [String: Entry]
    let metadata: [String: String]

    /// Reads the header of a whole file and checks it against the file's length.
    init(of file: Data) throws(SafetensorsError.Problem) {
        let found = file.count < 8 ? 0 : file.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        let length = UInt64(littleEndian: found)
        let limit = max(0, min(Self.longest, file.count - 8))
        guard file.count >= 8, length <= UInt64(limit) else {
            throw .headerLength(found: length, limit: limit)
        }
        let dataStart = 8 + Int(length)
        let json = file[8..<dataStart]
        let fields = try Self.parse(json)
        metadata = fields.metadata
        entries = try Self.check(fields.tensors, dataStart: dataStart, dataLength: file.count - dataStart)
    }

    private static func parse(_ json: Data) throws(SafetensorsError.Problem) -> HeaderFields {
        guard json.first == UInt8(ascii: "{") else { throw .header(reason: "it does not begin with '{'") }
        guard !json.contains(0), String(data: json, encoding: .utf8) != nil else {
            throw .header(reason: "it is not text in UTF-8")
        }
        let fields: HeaderFields
        do { fields = try JSONDecoder().decode(HeaderFields.self, from: json) } catch {
            throw .header(reason: explain(error))
        }
        if let name = firstDuplicateName(inJSON: [UInt8](json)) { throw .duplicateName(name) }
        return fields
    }

    private static func explain(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return error.localizedDescription }
        let context: DecodingError.Context
        switch error {
        case .keyNotFound(let key, let found):
            return "\(place(found)) has no field '\(key.stringValue)'"
        case .dataCorrupted(let found), .typeMismatch(_, let found), .valueNotFound(_, let found):
            context = found
        @unknown default: return error.localizedDescription
        }
        return "\(place(context)): \(context.debugDescription)"
    }

    private static func place(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? "'\($0.stringValue)'" }
        return path.isEmpty ? "the JSON" : path.joined(separator: " ")
    }

    /// Checks each tensor, then that together they fill the data without overlap, as the format demands.
    private static func check(
        _ tensors: [String: HeaderFields.Tensor], dataStart: Int, dataLength: Int
    ) throws(SafetensorsError.Problem) -> [String: Entry] {
        var entries: [String: Entry] = [:]
        for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
            entries[name] = try check(tensor, named: name, dataStart: dataStart, dataLength: dataLength)
        }
        var end = dataStart
        for (name, entry) in entries.sorted(by: inFileOrder) {
            guard entry.bytes.lowerBound == end else {
                throw .layout(
                    tensor: name, begins: entry.bytes.lowerBound - dataStart, expected: end - dataStart)
            }
            end = entry.bytes.upperBound
        }
        guard end == dataStart + dataLength else { throw .bytesLeftOver(dataStart + dataLength - end) }
        return entries
    }

    private static func inFileOrder(_ a: (key: String, value: Entry), _ b: (key: String, value: Entry)) -> Bool
    {
        let (first, second) = (a.value.bytes, b.value.bytes)
        return (first.lowerBound, first.upperBound, a.key) < (second.lowerBound, second.upperBound, b.key)
    }

    private static func check(
        _ tensor: HeaderFields.Tensor, named name: String, dataStart: Int, dataLength: Int
    ) throws(SafetensorsError.Problem) -> Entry {
        guard let type = SafetensorsType(rawValue: tensor.dtype) else {
            throw .unsupportedType(tensor: name, type: tensor.dtype)
        }
        let offsets = tensor.dataOffsets
        guard offsets.count == 2, 0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= dataLength else {
            throw .offsets(tensor: name, found: offsets, dataLength: dataLength)
        }
        guard let size = byteCount(of: tensor.shape, type) else {
            throw .shape(tensor: name, found: tensor.shape)
        }
        guard size == offsets[1] - offsets[0] else {
            throw .byteCount(tensor: name, found: offsets[1] - offsets[0], expected: size)
        }
        return Entry(type: type, shape: tensor.shape, bytes: dataStart + offsets[0]..<dataStart + offsets[1])
    }

    /// The bytes that a shape needs, or nil where it has a negative extent or too many to count. Extents are
    /// multiplied without regard to zeros, so that no order of them overflows later.
    private static func byteCount(of shape: [Int], _ type: SafetensorsType) -> Int? {
        var product = type.size
        for extent in shape {
            guard extent >= 0 else { return nil }
            let (next, overflow) = product.multipliedReportingOverflow(by: max(1, extent))
            guard !overflow else { return nil }
            product = next
        }
        return shape.contains(0) ? 0 : product
    }
}

/// The header's JSON, as it stands.
struct HeaderFields: Codable {
    /// What the header says of one tensor.
    struct Tensor: Codable {
        let dtype: String
        let shape: [Int]
        let dataOffsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }

        init(dtype: String, shape: [Int], dataOffsets: [Int]) {
            (self.dtype, self.shape, self.dataOffsets) = (dtype, shape, dataOffsets)
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            dtype = try fields.decodeField(.dtype)
            shape = try fields.decodeField(.shape)
            dataOffsets = try fields.decodeField(.dataOffsets)
        }
    }

    var tensors: [String: Tensor]
    var metadata: [String: String]

    init(tensors: [String: Tensor], metadata: [String: String]) {
        (self.tensors, self.metadata) = (tensors, metadata)
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Name.self)
        (tensors, metadata) = ([:], [:])
        for name in fields.allKeys {
            if name.stringValue == SafetensorsHeader.metadataField {
                metadata = try fields.decode([String: String].self, forKey: name)
            } else {
                tensors[name.stringValue] = try fields.decode(Tensor.self, forKey: name)
            }
        }
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Name.self)
        if !metadata.isEmpty { try fields.encode(metadata, forKey: Name(SafetensorsHeader.metadataField)) }
        for (name, tensor) in tensors { try fields.encode(tensor, forKey: Name(name)) }
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
}
