import Foundation

/// A value in a checkpoint that is made by hand, as `torch.save` writes it.
public indirect enum CheckpointValue: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case list([CheckpointValue])
    case tuple([CheckpointValue])
    case dictionary([(String, CheckpointValue)])
    /// An `OrderedDict` that has attributes, as a network's `state_dict()` is.
    case stateDictionary([(String, CheckpointValue)])
    case tensor(CheckpointTensor)
    /// A tensor that is a network's parameter.
    case parameter(CheckpointTensor)
    /// Operations that leave one value.
    case operations([UInt8])
}

/// A tensor in a checkpoint that is made by hand: a view of a storage.
public struct CheckpointTensor: Sendable {
    /// The number of its storage in the checkpoint.
    public var storage: Int
    /// The first number, counted from the beginning of the storage.
    public var offset = 0
    /// The extent of each axis.
    public var shape: [Int]
    /// How many numbers lie between neighbours along each axis.
    public var strides: [Int]

    /// A view whose numbers lie side by side.
    public init(storage: Int, shape: [Int]) {
        (self.storage, self.shape) = (storage, shape)
        strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    }
}

/// A checkpoint that is made by hand.
public struct CheckpointBytes: Sendable {
    /// The type of each storage, such as `FloatStorage`, how many numbers it is said to have, and its bytes.
    public var storages: [(type: String, count: Int, bytes: [UInt8])] = []

    /// What the checkpoint as a whole is.
    public var root = CheckpointValue.none

    /// What `byteorder` says.
    public var byteOrder = "little"

    /// A checkpoint of nothing.
    public init() {}

    /// Adds a storage of floats and returns a tensor of them.
    public mutating func tensor(_ shape: [Int], _ values: [Float]) -> CheckpointTensor {
        let bytes = values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { [UInt8]($0) }
        }
        storages.append(("FloatStorage", values.count, bytes))
        return CheckpointTensor(storage: storages.count - 1, shape: shape)
    }

    /// The pickle.
    public var pickle: [UInt8] {
        var bytes: [UInt8] = [0x80, 2]
        append(root, to: &bytes)
        return bytes + [UInt8(ascii: ".")]
    }

    /// The archive with its pickle, or with another.
    public func archive(pickle: [UInt8]? = nil) -> ZipBytes {
        var zip = ZipBytes()
        zip.add("archive/data.pkl", pickle ?? self.pickle)
        zip.add("archive/byteorder", [UInt8](byteOrder.utf8))
        for (index, storage) in storages.enumerated() { zip.add("archive/data/\(index)", storage.bytes) }
        zip.add("archive/version", [UInt8]("3\n".utf8))
        return zip
    }

    private func append(_ value: CheckpointValue, to bytes: inout [UInt8]) {
        func items(_ values: [CheckpointValue], _ end: String) {
            bytes.append(UInt8(ascii: "("))
            for value in values { append(value, to: &bytes) }
            bytes += [UInt8](end.utf8)
        }
        func fields(_ fields: [(String, CheckpointValue)]) {
            items(fields.flatMap { [.text($0.0), $0.1] }, "u")
        }
        switch value {
        case .none: bytes.append(UInt8(ascii: "N"))
        case .bool(let value): bytes.append(value ? 0x88 : 0x89)
        case .integer(let value): bytes += [0x8A, 8] + littleEndian(UInt64(bitPattern: Int64(value)))
        case .number(let value): bytes += [UInt8(ascii: "G")] + littleEndian(value.bitPattern).reversed()
        case .text(let text):
            bytes += [UInt8(ascii: "X")] + littleEndian(UInt32(text.utf8.count)) + [UInt8](text.utf8)
        case .list(let values):
            bytes.append(UInt8(ascii: "]"))
            items(values, "e")
        case .tuple(let values): items(values, "t")
        case .dictionary(let values):
            bytes.append(UInt8(ascii: "}"))
            fields(values)
        case .stateDictionary(let values):
            bytes += global("collections", "OrderedDict") + [UInt8](")R".utf8)
            fields(values)
            append(.dictionary([("_metadata", .dictionary([("", .integer(1))]))]), to: &bytes)
            bytes.append(UInt8(ascii: "b"))
        case .tensor(let tensor):
            bytes += global("torch._utils", "_rebuild_tensor_v2") + [UInt8(ascii: "(")]
            let storage = storages[tensor.storage]
            append(
                .tuple([
                    .text("storage"), .operations(global("torch", storage.type)), .text("\(tensor.storage)"),
                    .text("cpu"), .integer(storage.count),
                ]), to: &bytes)
            bytes.append(UInt8(ascii: "Q"))
            append(.integer(tensor.offset), to: &bytes)
            append(.tuple(tensor.shape.map { .integer($0) }), to: &bytes)
            append(.tuple(tensor.strides.map { .integer($0) }), to: &bytes)
            bytes += [0x89] + global("collections", "OrderedDict") + [UInt8](")RtR".utf8)
        case .parameter(let tensor):
            bytes += global("torch._utils", "_rebuild_parameter")
            append(.tensor(tensor), to: &bytes)
            bytes +=
                [0x88] + global("collections", "OrderedDict") + [UInt8](")R".utf8) + [0x87, UInt8(ascii: "R")]
        case .operations(let operations): bytes += operations
        }
    }
}

/// The operation that names a function or type.
public func global(_ module: String, _ name: String) -> [UInt8] { [UInt8]("c\(module)\n\(name)\n".utf8) }

/// The bytes of a number.
public func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) }
}

/// A zip archive that is made by hand, entry by entry.
public struct ZipBytes: Sendable {
    /// The entries with their own headers.
    public var body: [UInt8] = []
    /// What the directory says of each entry.
    public var directory: [UInt8] = []
    /// How many entries there are.
    public var count = 0

    /// An archive without entries.
    public init() {}

    /// Adds an entry that is stored as it is.
    ///
    /// - Parameters:
    ///   - method, flags: what the headers say of compression, encryption and the like.
    ///   - size: what the directory says of the size, where it is not that of the bytes.
    ///   - header: where the directory says that the entry begins, where it is not where it does.
    public mutating func add(
        _ name: String, _ bytes: [UInt8], method: UInt16 = 0, flags: UInt16 = 0, size: Int? = nil,
        header: Int? = nil
    ) {
        let start = body.count
        let length = littleEndian(UInt32(clamping: size ?? bytes.count))
        let common = littleEndian(flags) + littleEndian(method) + [0, 0, 0, 0, 0, 0, 0, 0] + length + length
        let nameLength = littleEndian(UInt16(name.utf8.count))
        body += [0x50, 0x4B, 3, 4, 20, 0] + common + nameLength + [0, 0] + [UInt8](name.utf8) + bytes
        directory += [0x50, 0x4B, 1, 2, 20, 0, 20, 0] + common + nameLength
        directory += [UInt8](repeating: 0, count: 12) + littleEndian(UInt32(clamping: header ?? start))
        directory += [UInt8](name.utf8)
        count += 1
    }

    /// Adds an entry whose size and place are given in 64 bits.
    public mutating func addLarge(_ name: String, _ bytes: [UInt8]) {
        let (start, size) = (littleEndian(UInt64(body.count)), littleEndian(UInt64(bytes.count)))
        let common = [UInt8](repeating: 0, count: 12) + [UInt8](repeating: 0xFF, count: 8)
        let nameLength = littleEndian(UInt16(name.utf8.count))
        // A field of another kind, which is to be passed over, and then the one that counts.
        let other: [UInt8] = [0x99, 0x99, 2, 0, 7, 7]
        body += [0x50, 0x4B, 3, 4, 45, 0] + common + nameLength + [26, 0] + [UInt8](name.utf8)
        body += other + [1, 0, 16, 0] + size + size + bytes
        directory += [0x50, 0x4B, 1, 2, 45, 0, 45, 0] + common + nameLength + [34, 0]
        directory += [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](name.utf8)
        directory += other + [1, 0, 24, 0] + size + size + start
        count += 1
    }

    /// The whole file.
    ///
    /// - Parameters:
    ///   - count: what the end says of the number of entries, where it is not what they are.
    ///   - disk: the number of this part of the archive.
    ///   - isLarge: whether the end is of the kind that large archives need.
    public func data(count: Int? = nil, disk: UInt16 = 0, isLarge: Bool = false) -> Data {
        let count = count ?? self.count
        var end: [UInt8] = []
        if isLarge {
            let place = body.count + directory.count
            end += [0x50, 0x4B, 6, 6] + littleEndian(UInt64(44)) + [45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            end +=
                littleEndian(UInt64(count)) + littleEndian(UInt64(count))
                + littleEndian(UInt64(directory.count))
            end += littleEndian(UInt64(body.count))
            end += [0x50, 0x4B, 6, 7, 0, 0, 0, 0] + littleEndian(UInt64(place)) + [1, 0, 0, 0]
        }
        end += [0x50, 0x4B, 5, 6] + littleEndian(disk) + littleEndian(disk)
        let short = littleEndian(isLarge ? UInt16.max : UInt16(clamping: count))
        end += short + short
        end += littleEndian(isLarge ? UInt32.max : UInt32(directory.count))
        end += littleEndian(isLarge ? UInt32.max : UInt32(body.count)) + [0, 0]
        return Data(body) + Data(directory) + Data(end)
    }
}
