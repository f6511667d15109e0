import Foundation
import TensorFiles
import TestSupport
import Testing

/// Checkpoints that are not as PyTorch writes them, each refused by name.
struct HostileCheckpointTests {
    @Test(arguments: [
        ("os", "system"), ("builtins", "eval"), ("torch", "load"), ("torch._utils", "_rebuild_tensor_v3"),
        ("torch", "ComplexFloatStorage"), ("numpy.core.multiarray", "scalar"), ("collections", "defaultdict"),
        ("torch._utils._rebuild_tensor_v2", ""), ("", ""),
    ])
    func namesThatAreNotPlainDataAreRefused(module: String, name: String) throws {
        let call = global(module, name) + [UInt8]("(X".utf8) + littleEndian(UInt32(4)) + [UInt8]("echo".utf8)
        let inline = try problem(pickle: call + [0x74, 0x52, 0x2E])
        #expect(inline == .forbidden(name: "\(module).\(name)"))
        var stacked: [UInt8] = []
        for text in [module, name] { stacked += [0x8C, UInt8(text.utf8.count)] + [UInt8](text.utf8) }
        #expect(
            try problem(pickle: stacked + [0x93, 0x29, 0x52, 0x2E]) == .forbidden(name: "\(module).\(name)"))
        // As a new object of a class.
        #expect(
            try problem(pickle: global(module, name) + [0x29, 0x81, 0x2E])
                == .forbidden(name: "\(module).\(name)"))
    }

    @Test(
        arguments: [
            ([], "breaks off"), ([0x2E], "ends with 0 values"), ([0x4E, 0x4E, 0x2E], "ends with 2 values"),
            ([0x4E, 0x2E, 0x4E], "1 bytes left"), ([0x28, 0x4E, 0x2E], "ends with"), ([0x80, 0], "protocol 0"),
            ([0x80, 6], "protocol 6"), ([0x69], "0x69"), ([0x6F], "0x6f"), ([0x81], "0x81"),
            ([0x82, 1], "0x82"),
            ([0x50], "0x50"), ([0x49], "0x49"), ([0x43, 0], "0x43"), ([0x8F], "0x8f"), ([0x98], "0x98"),
            ([0x30], "stack is empty"), ([0x32], "stack is empty"), ([0x31], "without an opening"),
            ([0x74], "without an opening"), ([0x4E, 0x28, 0x85], "stack is empty"),
            ([0x71, 0], "stack is empty"),
            ([0x4E, 0x71, 1], "memo 1 before memo 0"), ([0x68, 0], "memo 0, of 0"),
            ([0x8A, 9] + [UInt8](repeating: 1, count: 9), "9 bytes"),
            ([0x58, 255, 255, 255, 255], "breaks off"),
            ([0x8D, 255, 255, 255, 255, 255, 255, 255, 255], "length"), ([0x8C, 2, 0xC3, 0x28], "not UTF-8"),
            ([0x4E, 0x4E, 0x61], "expected a list"), ([0x5D, 0x28, 0x4E, 0x4E, 0x75], "expected a dictionary"),
            ([0x7D, 0x28, 0x4E, 0x75], "without a value"), ([0x4E, 0x4E, 0x62], "not a dictionary"),
            ([0x4E, 0x29, 0x52], "not a function"), ([0x4E, 0x51], "expected a tuple"),
            ([0x29, 0x51], "not a storage"),
            ([0x4E, 0x4E, 0x93], "expected text"), ([0x63] + "os".utf8, "breaks off"),
            ([0x7D, 0x28, 0x8C, 1, 0x61, 0x4E, 0x8C, 1, 0x61, 0x4E, 0x75], "two values named 'a'"),
            (global("collections", "OrderedDict") + [0x4E, 0x85, 0x52], "OrderedDict of 1"),
            (global("torch", "Size") + [0x29, 0x52], "Size of 0"),
            (global("torch", "Size") + [0x4E, 0x85, 0x85, 0x52], "whole number"),
            (global("torch._utils", "_rebuild_tensor_v2") + [0x29, 0x52], "without a storage"),
            (global("torch._utils", "_rebuild_parameter") + [0x29, 0x52], "without a tensor"),
            (global("torch", "FloatStorage") + [0x29, 0x52], "not a function"),
        ] as [([UInt8], String)])
    func operationsThatMakeNoSense(operations: [UInt8], message: String) throws {
        guard case .pickle(let reason, _) = try problem(pickle: operations) else {
            Issue.record("\(operations) passed")
            return
        }
        #expect(reason.contains(message))
    }

    /// Views that leave their storage, or repeat it.
    @Test(arguments: [
        (0, [13], [1]), (1, [12], [1]), (-1, [2], [1]), (0, [-1], [1]), (0, [4, 3], [-3, 1]), (12, [1], [1]),
        (0, [2, 2], [11, 1]), (0, [2], [Int.max]), (0, [Int.max, Int.max], [1, 1]), (Int.max, [2], [1]),
        (0, [4, 4], [0, 1]), (0, [1 << 40], [0]), (0, [0, Int.max, Int.max], [1, 1, 1]), (13, [0], [1]),
        (0, [2, 3], [1]), (0, [Int](repeating: 1, count: 33), [Int](repeating: 1, count: 33)),
    ])
    func viewsThatDoNotFit(offset: Int, shape: [Int], strides: [Int]) throws {
        var bytes = CheckpointBytes()
        var tensor = bytes.tensor([12], [Float](repeating: 1, count: 12))
        (tensor.offset, tensor.shape, tensor.strides) = (offset, shape, strides)
        bytes.root = .tensor(tensor)
        switch try problem(bytes.archive().data()) {
        case .tensor, .pickle: break
        case let problem: Issue.record("found \(String(describing: problem))")
        }
    }

    @Test(arguments: [11, 13, -1, Int.max, 1 << 62])
    func storagesOfAnotherSize(count: Int) throws {
        var bytes = CheckpointBytes()
        bytes.root = .tensor(bytes.tensor([1], [Float](repeating: 1, count: 12)))
        bytes.storages[0].count = count
        guard case .entry("archive/data/0", let reason) = try problem(bytes.archive().data()) else {
            Issue.record("the storage passed")
            return
        }
        #expect(reason.contains("48 bytes") && reason.contains("\(count)"))
    }

    @Test func otherMachinesNumbersAreRefused() throws {
        var bytes = CheckpointBytes()
        bytes.byteOrder = "big"
        guard case .entry("archive/byteorder", _) = try problem(bytes.archive().data()) else {
            Issue.record("big-endian numbers passed")
            return
        }
    }

    @Test func archivesThatAreNotPyTorchs() throws {
        let good = CheckpointBytes().archive()
        func changed(_ change: (inout ZipBytes) -> Void) -> ZipBytes {
            var zip = good
            change(&zip)
            return zip
        }
        let archives: [(bytes: Data, message: String)] = [
            (changed { $0.add("archive/x", [1], method: 8) }.data(), "compressed"),
            (changed { $0.add("archive/x", [1], flags: 1) }.data(), "encrypted"),
            (changed { $0.add("archive/version", [1]) }.data(), "two of this name"),
            (changed { $0.add("archive/x", [1], header: 0) }.data(), "disagree"),
            (changed { $0.add("archive/x", [1], size: 100) }.data(), "end beyond"),
            (changed { $0.add("archive/x", [1], header: 1 << 30) }.data(), "no header"),
            (changed { $0.add("archive/x", [1], header: 3) }.data(), "no header"),
            (changed { $0.add("other/data.pkl", [1]) }.data(), "2 entries data.pkl"),
            (ZipBytes().data(), "does not begin"),
            (good.data(count: 2), "longer than its 2"), (good.data(count: 4), "breaks off"),
            (good.data(count: 60_000), "60000 entries"), (good.data(disk: 1), "several parts"),
            (good.data().dropLast(), "cut short"), (Data(), "does not begin"),
            (good.data() + [0], "cut short"), (Data("PK\u{3}\u{4}".utf8), "cut short"),
            (overlapping, "overlap"),
        ]
        for (bytes, message) in archives {
            let text = try #require(try failure(bytes), "\(message)").description
            #expect(text.contains(message), "\(text)")
        }
    }

    /// The second entry lies within the bytes of the first.
    private var overlapping: Data {
        var inner = ZipBytes()
        inner.add("archive/inner", [1, 2, 3])
        var zip = CheckpointBytes().archive()
        let start = zip.body.count
        zip.add("archive/outer", inner.body)
        let place = start + 30 + "archive/outer".utf8.count
        inner.directory.replaceSubrange(42..<46, with: littleEndian(UInt32(place)))
        zip.directory += inner.directory
        zip.count += 1
        return zip.data()
    }

    @Test func checkpointsFromBeforeZipArchivesAreToldApart() throws {
        let bytes: [UInt8] = [
            0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
        ]
        let error = try failure(Data(bytes))
        #expect(error?.problem == .legacy && error?.description.contains("save it again") == true)
    }

    @Test func filesThatCannotBeOpened() {
        for path in ["/nowhere/checkpoint.pth", "/", "/dev/null"] {
            let error = #expect(throws: PyTorchError.self) {
                try PyTorchCheckpoint(contentsOf: URL(filePath: path))
            }
            #expect(error?.description.hasPrefix(path) == true)
            guard case .unreadable = error?.problem else {
                Issue.record("found \(String(describing: error))")
                continue
            }
        }
    }

    private func problem(pickle operations: [UInt8]) throws -> PyTorchError.Problem? {
        try problem(CheckpointBytes().archive(pickle: [0x80, 2] + operations).data())
    }

    private func problem(_ bytes: Data) throws -> PyTorchError.Problem? { try failure(bytes)?.problem }

    private func failure(_ bytes: Data) throws -> PyTorchError? {
        do {
            _ = try open(bytes)
            return nil
        } catch let error as PyTorchError { return error }
    }
}
