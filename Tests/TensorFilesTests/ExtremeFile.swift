import Foundation
import TestSupport

/// Files that are larger or deeper than any network's, at little cost to who makes them.
enum ExtremeFile: String, CaseIterable, Codable {
    case longShape, longNumber, manyTensors, shuffledTensors, deepShapes, tooManyTensors, manyFields, longField
    case escapes, deepHeader
    case manyEntries, tooManyEntries, zipBomb, longNames
    case deepBrackets, deepTuples, manyLists, manyMemos, growingMemos, repeatedSets, manyNones, bigStack,
        circles
    case manyTensorsInPickle, manySharing, expanded, endlessLines, longPickle
    case longSizes, longAxes, longGlobals, longStorages, manyGlobals, manySizes

    /// What the error says, where there is one.
    var message: String {
        switch self {
        case .longShape, .longNumber, .tooManyTensors, .manyFields, .deepHeader: "expected"
        case .tooManyEntries: "entries"
        case .longNames: "1024 bytes"
        case .zipBomb: "compressed"
        case .deepBrackets: "open brackets"
        case .manyLists, .manyMemos, .growingMemos, .repeatedSets, .deepTuples: "memory"
        case .manyNones, .bigStack: "stack"
        case .expanded: "expanded"
        case .endlessLines, .longGlobals, .longStorages: "256 bytes"
        case .longSizes: "400000 axes"
        case .longAxes: "200000 axes"
        case .manyGlobals: "memory"
        case .longPickle: "longer than"
        case .manyTensors, .shuffledTensors, .deepShapes, .longField, .escapes, .manyEntries, .circles,
            .manyTensorsInPickle, .manySharing, .manySizes:
            ""
        }
    }

    var isWhole: Bool { message.isEmpty }

    var kind: FileKind {
        switch self {
        case .longShape, .longNumber, .manyTensors, .shuffledTensors, .deepShapes, .tooManyTensors, .manyFields,
            .longField, .escapes, .deepHeader:
            .safetensors
        default: .checkpoint
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .longShape: header(tensor("x", shape: repeated("1,", 40 << 20) + "1"))
        case .longNumber: header(tensor("x", shape: repeated("1", 40 << 20)))
        case .manyTensors: header(tensors(500_000) { "layer.\($0).weight" })
        case .shuffledTensors: header(tensors(500_000) { "layer.\($0 &* 7_368_787 % 500_000).weight" })
        case .deepShapes: header(tensors(100_000, shape: repeated("0,", 62) + "0") { "\($0)" })
        case .tooManyTensors: header(tensors(550_000) { "\($0)" })
        case .manyFields:
            header("\"__metadata__\":{" + (0..<2_000_000).map { "\"\($0)\":\"\"" }.joined(separator: ",") + "}")
        case .longField: header("\"__metadata__\":{\"a\":\"" + repeated("é", 40 << 20) + "\"}")
        case .escapes: header("\"__metadata__\":{\"a\":\"" + repeated(#"\u00e9"#, 40 << 20) + "\"}")
        case .deepHeader: header("\"a\":" + repeated("{\"a\":", 40 << 20))
        case .manyEntries: entries(100_000)
        case .tooManyEntries: entries(300_000)
        case .zipBomb: [UInt8](zipBomb.data())
        case .longNames: [UInt8](longNames.data())
        case .deepBrackets: pickle([UInt8](repeating: UInt8(ascii: "("), count: 10 << 20))
        case .deepTuples: pickle([0x29] + [UInt8](repeating: 0x85, count: 10 << 20) + [0x2E])
        case .manyLists: pickle(cycle([0x5D, 0x30], 10 << 20) + [0x4E, 0x2E])
        case .manyMemos: pickle([0x4E] + cycle([0x94], 10 << 20) + [0x2E])
        case .growingMemos: pickle([0x5D, 0x94] + cycle([0x28, 0x68, 0, 0x68, 0, 0x65], 10 << 20) + [0x2E])
        case .repeatedSets: manyNames(700_000)
        case .manyNones: pickle([UInt8](repeating: 0x4E, count: 10 << 20))
        case .bigStack: pickle([0x28] + [UInt8](repeating: 0x4E, count: 10 << 20) + [0x74, 0x2E])
        case .circles: pickle([0x5D, 0x94] + cycle([0x68, 0, 0x61], 300_000) + [0x2E])
        case .manyTensorsInPickle: tensorsInPickle(10_000)
        case .manySharing: sharing
        case .expanded: expanded
        case .endlessLines: pickle(cycle([UInt8](("c" + repeated("a", 250)).utf8), 40 << 20))
        case .longSizes: recalling([UInt8]("ctorch\nSize\n".utf8), cycle([0x85, 0x52, 0x30], 3))
        case .longAxes: longAxes
        case .longGlobals: recallingText([0x68, 0, 0x93, 0x30])
        case .longStorages:
            recallingText([0x30, 0x28, 0x68, 0] + cycle([0x4E], 4) + [0x74, 0x51, 0x30])
        case .manyGlobals: pickle([0x28] + cycle([UInt8]("ca\nb\n0".utf8), 20 << 20) + [0x74, 0x2E])
        case .manySizes:
            pickle(
                [0x4B, 3, 0x85, 0x94, 0x30]
                    + cycle([UInt8]("ctorch\nSize\n".utf8) + [0x68, 0, 0x85, 0x52, 0x30], 2 << 20)
                    + [0x4E, 0x2E])
        case .longPickle: pickle(cycle([0x4E, 0x30], 65 << 20) + [0x4E, 0x2E])
        }
    }

    /// A list of 400,000 numbers that a call after it takes as its argument, again and again.
    private func recalling(_ function: [UInt8], _ call: [UInt8]) -> [UInt8] {
        pickle(
            function + [0x94, 0x30, 0x5D, 0x94, 0x28] + cycle([0x4B, 1], 400_000) + [0x65]
                + [0x28] + cycle([0x4B, 1], 400_000) + [0x65, 0x30]
                + cycle([0x68, 0, 0x68, 1] + call, 7 << 20) + [0x4E, 0x2E])
    }

    /// A tensor of 200,000 axes.
    private var longAxes: [UInt8] {
        var checkpoint = CheckpointBytes()
        var tensor = checkpoint.tensor([1], [1])
        tensor.shape = [Int](repeating: 1, count: 200_000)
        tensor.strides = tensor.shape
        checkpoint.root = .dictionary([("x", .tensor(tensor))])
        return [UInt8](checkpoint.archive().data())
    }

    /// A text of a megabyte that operations after it use as a name, again and again.
    private func recallingText(_ operations: [UInt8]) -> [UInt8] {
        pickle(
            [0x58] + littleEndian(UInt32(1 << 20)) + cycle([0x61], 1 << 20) + [0x94]
                + cycle(operations, 7 << 20) + [0x4E, 0x2E])
    }

    private func repeated(_ text: String, _ length: Int) -> String {
        String(decoding: cycle([UInt8](text.utf8), length), as: UTF8.self)
    }

    private func cycle(_ operations: [UInt8], _ length: Int) -> [UInt8] {
        let count = length / operations.count
        return [UInt8](unsafeUninitializedCapacity: count * operations.count) { buffer, initialized in
            for index in 0..<count * operations.count { buffer[index] = operations[index % operations.count] }
            initialized = buffer.count
        }
    }

    private func header(_ fields: String) -> [UInt8] { [UInt8](safetensorsBytes("{\(fields)}", [])) }

    private func tensor(_ name: String, shape: String) -> String {
        "\"\(name)\":{\"dtype\":\"U8\",\"shape\":[\(shape)],\"data_offsets\":[0,0]}"
    }

    private func tensors(_ count: Int, shape: String = "0", name: (Int) -> String) -> String {
        (0..<count).map { tensor(name($0), shape: shape) }.joined(separator: ",")
    }

    private func entries(_ count: Int) -> [UInt8] {
        var zip = CheckpointBytes().archive()
        for index in 0..<count { zip.add("archive/data/\(index)", []) }
        return [UInt8](zip.data(isLarge: true))
    }

    private var zipBomb: ZipBytes {
        var zip = CheckpointBytes().archive()
        zip.add("archive/data/0", [UInt8](repeating: 0, count: 1000), method: 8, size: 1 << 31)
        return zip
    }

    private var longNames: ZipBytes {
        var zip = ZipBytes()
        for _ in 0..<10 { zip.add(repeated("a", 60_000), []) }
        return zip
    }

    private func pickle(_ operations: [UInt8]) -> [UInt8] {
        [UInt8](CheckpointBytes().archive(pickle: [0x80, 2] + operations).data())
    }

    private func manyNames(_ count: Int) -> [UInt8] {
        var operations: [UInt8] = [0x7D]
        for index in 0..<count {
            operations += [0x58, 6, 0, 0, 0]
            operations += String(1_000_000 + index).utf8.suffix(6)
            operations += [0x4E, 0x73]
        }
        return pickle(operations + [0x2E])
    }

    private func tensorsInPickle(_ count: Int) -> [UInt8] {
        var checkpoint = CheckpointBytes()
        checkpoint.root = .dictionary(
            (0..<count).map { ("layer.\($0).weight", .tensor(checkpoint.tensor([2, 2], [1, 2, 3, 4]))) })
        return [UInt8](checkpoint.archive().data(isLarge: true))
    }

    /// A thousand tensors of the same four megabytes.
    private var sharing: [UInt8] {
        var checkpoint = CheckpointBytes()
        let tensor = checkpoint.tensor([1 << 20], [Float](repeating: 1, count: 1 << 20))
        checkpoint.root = .dictionary((0..<50).map { ("\($0)", .tensor(tensor)) })
        return [UInt8](checkpoint.archive().data())
    }

    /// A number that is said to fill a terabyte.
    private var expanded: [UInt8] {
        var checkpoint = CheckpointBytes()
        var tensor = checkpoint.tensor([1], [1])
        (tensor.shape, tensor.strides) = ([1 << 19, 1 << 19], [0, 0])
        checkpoint.root = .dictionary([("x", .tensor(tensor))])
        return [UInt8](checkpoint.archive().data())
    }
}
