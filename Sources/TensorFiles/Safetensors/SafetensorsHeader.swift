import Foundation

/// The checked header of a safetensors file.
///
/// Of each tensor forty bytes are kept beside the JSON, of which its name and shape are read again when they are asked for.
struct SafetensorsHeader: Sendable {
    /// The format's own limit on the length of the JSON.
    static let longest = 100_000_000

    /// The most tensors and the most fields of metadata that are read: a hundred times what networks have.
    static let mostTensors = 1 << 19
    static let mostMetadata = 1 << 16

    /// The most axes that a tensor may have, as in other software.
    static let mostAxes = 32

    /// The field that holds text rather than a tensor.
    static let metadataField = "__metadata__"

    let metadata: [String: String]

    private let json: [UInt8]
    /// Where the tensors' numbers begin in the file.
    private let dataStart: Int
    /// Sorted by hash.
    private let entries: [Entry]

    /// Where one tensor lies.
    private struct Entry {
        /// The hash of its name.
        let hash: Int
        /// Where its name and its shape begin in the JSON.
        let name, shape: UInt32
        let type: TensorType
        /// Its bytes, counted from the end of the header.
        let start, end: Int
    }

    /// Reads the header of a whole file and checks it against the file's length.
    ///
    /// - Throws: `SafetensorsError.Problem`.
    init(of file: StoredFile) throws {
        let place = try Self.place(in: file)
        let json = try file.bytes(place)
        let dataLength = file.count - place.upperBound
        var (entries, metadata) = ([Entry](), [String: String]())
        try json.withUnsafeBytes { bytes in
            var parser = try HeaderParser(json: bytes)
            while let tensor = try parser.next() {
                entries.append(try Self.check(tensor, dataLength: dataLength, names: parser.scanner))
            }
            metadata = parser.metadata
            try Self.checkLayout(&entries, dataLength: dataLength, names: parser.scanner)
            entries.sort { ($0.hash, $0.name) < ($1.hash, $1.name) }
            try Self.checkNames(entries, names: parser.scanner)
        }
        (self.json, dataStart, self.entries, self.metadata) = (json, place.upperBound, entries, metadata)
    }

    private static func place(in file: StoredFile) throws -> Range<Int> {
        var length: UInt64 = 0
        if file.count >= 8 { length = try file.bytes(0..<8).reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        let limit = max(0, min(longest, file.count - 8))
        guard file.count >= 8, length <= UInt64(limit) else {
            throw SafetensorsError.Problem.headerLength(found: length, limit: limit)
        }
        return 8..<8 + Int(length)
    }

    private static func check(
        _ tensor: HeaderParser.Tensor, dataLength: Int, names: JSONScanner
    ) throws(SafetensorsError.Problem) -> Entry {
        let offsets = tensor.offsets
        guard offsets.count == 2, 0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= dataLength else {
            throw .offsets(tensor: names.string(tensor.name), found: offsets, dataLength: dataLength)
        }
        guard let size = byteCount(of: tensor.shape, tensor.type) else {
            throw .shape(tensor: names.string(tensor.name), found: tensor.shape)
        }
        guard size == offsets[1] - offsets[0] else {
            throw .byteCount(
                tensor: names.string(tensor.name), found: offsets[1] - offsets[0], expected: size)
        }
        return Entry(
            hash: names.hash(tensor.name), name: UInt32(tensor.name.bytes.lowerBound - 1),
            shape: UInt32(tensor.shapePlace), type: tensor.type, start: offsets[0], end: offsets[1])
    }

    /// The bytes that a shape needs, or nil where it has a negative extent or too many to count. Extents are
    /// multiplied without regard to zeros, so that no order of them overflows later.
    private static func byteCount(of shape: [Int], _ type: TensorType) -> Int? {
        var product = type.size
        for extent in shape {
            guard extent >= 0 else { return nil }
            let (next, overflow) = product.multipliedReportingOverflow(by: max(1, extent))
            guard !overflow else { return nil }
            product = next
        }
        return shape.contains(0) ? 0 : product
    }

    /// Checks that the tensors fill the data without overlaps and holes, as the format demands.
    private static func checkLayout(
        _ entries: inout [Entry], dataLength: Int, names: JSONScanner
    ) throws(SafetensorsError.Problem) {
        entries.sort { ($0.start, $0.end, $0.name) < ($1.start, $1.end, $1.name) }
        var end = 0
        for entry in entries {
            guard entry.start == end else {
                throw .layout(tensor: names.string(at: entry.name), begins: entry.start, expected: end)
            }
            end = entry.end
        }
        guard end == dataLength else { throw .bytesLeftOver(dataLength - end) }
    }

    /// Checks that no two names are equal, of entries sorted by the names' hashes.
    private static func checkNames(
        _ entries: [Entry], names: JSONScanner
    ) throws(SafetensorsError.Problem) {
        for (entry, next) in zip(entries, entries.dropFirst()) where entry.hash == next.hash {
            let name = names.string(at: entry.name)
            guard !names.isEqual(at: next.name, to: name) else { throw .duplicateName(name) }
        }
    }
}

extension SafetensorsHeader {
    /// How many tensors there are.
    var count: Int { entries.count }

    /// The names of the tensors, sorted. O(n log n).
    var names: [String] {
        withScanner { scanner in entries.map { scanner.string(at: $0.name) }.sorted() }
    }

    /// Where the numbers of a tensor lie, or nil if it does not exist. O(log n).
    func tensor(_ name: String) -> StoredTensor? {
        let hash = JSONScanner.hash(name)
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        return withScanner { scanner in
            let entry = entries[low...].prefix { $0.hash == hash }
                .first { scanner.isEqual(at: $0.name, to: name) }
            return entry.map {
                StoredTensor(
                    type: $0.type, shape: scanner.integers(at: $0.shape), offset: dataStart + $0.start)
            }
        }
    }

    private func withScanner<Result>(_ body: (JSONScanner) -> Result) -> Result {
        json.withUnsafeBytes { body(JSONScanner($0)) }
    }
}

/// What is read again of a text that has been checked.
extension JSONScanner {
    fileprivate func string(at place: UInt32) -> String {
        var scanner = self.moved(to: Int(place))
        return (try? scanner.text()).map(string) ?? ""
    }

    fileprivate func isEqual(at place: UInt32, to other: String) -> Bool {
        var scanner = self.moved(to: Int(place))
        return (try? scanner.text()).map { isEqual($0, to: other) } ?? false
    }

    fileprivate func integers(at place: UInt32) -> [Int] {
        var scanner = self.moved(to: Int(place))
        return (try? scanner.integers(atMost: SafetensorsHeader.mostAxes)) ?? []
    }
}
