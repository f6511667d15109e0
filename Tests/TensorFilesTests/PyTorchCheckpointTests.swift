import Foundation
import TensorFiles
import TestSupport
import Testing

/// Checkpoints that are as PyTorch writes them.
struct PyTorchCheckpointTests {
    @Test func plainDataIsRead() throws {
        var bytes = CheckpointBytes()
        let tensor = bytes.tensor([2, 3], [1, 2, 3, 4, 5, 6])
        bytes.root = .dictionary([
            ("none", .none), ("yes", .bool(true)), ("epoch", .integer(-3)), ("rate", .number(0.25)),
            ("name", .text("ä\u{1F9E0}")), ("list", .list([.integer(1), .tuple([])])),
            ("model", .stateDictionary([("a.weight", .tensor(tensor)), ("steps", .integer(4))])),
        ])
        let checkpoint = try open(bytes.archive().data())
        #expect(
            checkpoint.value()
                == .dictionary(names: ["epoch", "list", "model", "name", "none", "rate", "yes"]))
        #expect(checkpoint.value(at: "none") == PyTorchCheckpoint.Value.none)
        #expect(checkpoint.value(at: "yes") == .bool(true))
        #expect(checkpoint.value(at: "epoch") == .integer(-3))
        #expect(checkpoint.value(at: "rate") == .number(0.25))
        #expect(checkpoint.value(at: "name") == .text("ä\u{1F9E0}"))
        #expect(checkpoint.value(at: "list") == .list(count: 2))
        #expect(checkpoint.value(at: "model", "a.weight") == .tensor(shape: [2, 3]))
        #expect(checkpoint.value(at: "model", "b") == nil && checkpoint.value(at: "epoch", "b") == nil)
        #expect(checkpoint.tensors(at: "list") == nil && checkpoint.tensors()?.names == [])
        let model = try #require(checkpoint.tensors(at: "model"))
        #expect(model.names == ["a.weight"])
        #expect(model.shape(of: "a.weight") == [2, 3] && model.type(of: "a.weight") == .f32)
        #expect(try model.tensor("a.weight") == Tensor(shape: [2, 3], values: [1, 2, 3, 4, 5, 6]))
        #expect(throws: PyTorchError.self) { try model.tensor("steps") }
    }

    /// Values that are neither tensors nor plain data but harmless: none is resolved or called.
    @Test func inertValuesAreSkipped() throws {
        var bytes = CheckpointBytes()
        let tensor = bytes.tensor([1], [7])
        let callback = global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
        let device =
            global("torch", "device") + [UInt8]("(X".utf8) + littleEndian(UInt32(4)) + [UInt8]("cudaK".utf8)
        let size = global("torch", "Size") + [0x4B, 3, 0x4B, 4, 0x86, 0x85, 0x52]
        bytes.root = .dictionary([
            ("dtype", .operations(global("torch", "float32"))),
            ("device", .operations(device + [0, 0x74, 0x52])),
            ("size", .operations(size)),
            // A class as a key, as Lightning 1.2 keeps the state of callbacks.
            ("callbacks", .operations([0x7D] + callback + [0x7D, 0x73])),
            ("state_dict", .dictionary([("module.a.weight", .tensor(tensor))])),
        ])
        let checkpoint = try open(bytes.archive().data())
        #expect(checkpoint.value(at: "dtype") == .other)
        #expect(checkpoint.value(at: "device") == PyTorchCheckpoint.Value.none)
        #expect(checkpoint.value(at: "size") == .list(count: 2))
        #expect(checkpoint.value(at: "callbacks") == .dictionary(names: []))
        let parameters = try #require(checkpoint.stateDictionary)
        #expect(parameters.names == ["module.a.weight"])
        #expect(parameters.withoutWrappers.names == ["a.weight"])
        #expect(try parameters.withoutWrappers.tensor("a.weight").values == [7])
    }

    @Test(arguments: [
        (["module.a", "module.b"], ["a", "b"]), (["_orig_mod.a", "_orig_mod.b"], ["a", "b"]),
        (["module._orig_mod.a.module.c"], ["a.module.c"]), (["module.a", "b"], ["b", "module.a"]),
        (["model.module.a"], ["a"]), (["model_ema.a"], ["model_ema.a"]), ([], []),
    ])
    func prefixesOfAllNamesAreTakenOff(names: [String], expected: [String]) throws {
        let tensors = Dictionary(uniqueKeysWithValues: names.map { ($0, Tensor(shape: [2], values: [1, 2])) })
        let found = tensors.withoutWrappers
        #expect(found.names == expected && found.count == expected.count)
        for name in expected {
            #expect(found.shape(of: name) == [2] && found.type(of: name) == .f32)
            #expect(try found.tensor(name).values == [1, 2])
        }
        #expect(found.shape(of: "other") == nil)
        #expect(throws: MissingTensor.self) { try found.tensor("other") }
    }

    /// Views of a storage: any axes of a larger tensor, in any order, some of them left out.
    @Test func viewsAreReadInTheirOrder() async {
        await checkLaw(cases: 200) { generator in
            var bytes = CheckpointBytes()
            let whole = (0..<generator.size(in: 0...4)).map { _ in generator.size(in: 1...5) }
            let values = generator.floats(whole.reduce(1, *))
            let tensor = bytes.tensor(whole, values)
            var view = tensor
            let order = Array(whole.indices.shuffled(using: &generator))
            let first = whole.map { Int.random(in: 0..<$0, using: &generator) }
            view.offset = zip(first, tensor.strides).reduce(0) { $0 + $1.0 * $1.1 }
            view.shape = order.map { Int.random(in: 0...whole[$0] - first[$0], using: &generator) }
            view.strides = order.map { tensor.strides[$0] }
            bytes.root = .dictionary([("view", .parameter(view)), ("whole", .tensor(tensor))])

            let read = try #require(try open(bytes.archive().data()).tensors())
            let expected = indices(of: view.shape).map { index in
                values[zip(index, view.strides).reduce(view.offset) { $0 + $1.0 * $1.1 }]
            }
            try #require(try read.tensor("view") == Tensor(shape: view.shape, values: expected))
            try #require(try read.tensor("whole") == Tensor(shape: whole, values: values))
        }
    }

    @Test func everyTypeOfStorageIsRead() throws {
        let storages: [(type: String, bytes: [UInt8], stored: TensorType, values: [Float])] = [
            ("DoubleStorage", [0, 0, 0, 0, 0, 0, 0x24, 0xC0], .f64, [-10]),
            ("FloatStorage", [0, 0, 0x20, 0xC1], .f32, [-10]), ("HalfStorage", [0, 0xC9], .f16, [-10]),
            ("BFloat16Storage", [0x20, 0xC1], .bf16, [-10]),
            ("LongStorage", [0xF6] + [UInt8](repeating: 0xFF, count: 7), .i64, [-10]),
            ("IntStorage", [0xF6, 0xFF, 0xFF, 0xFF], .i32, [-10]), ("ShortStorage", [0xF6, 0xFF], .i16, [-10]),
            ("CharStorage", [0xF6, 10], .i8, [-10, 10]), ("ByteStorage", [0xF6, 10], .u8, [246, 10]),
            ("BoolStorage", [0, 1], .bool, [0, 1]),
        ]
        for (type, numbers, stored, values) in storages {
            var bytes = CheckpointBytes()
            bytes.storages = [(type, values.count, numbers)]
            bytes.root = .dictionary([("x", .tensor(CheckpointTensor(storage: 0, shape: [values.count])))])
            let read = try #require(try open(bytes.archive().data()).tensors())
            #expect(try read.tensor("x").values == values, "\(type)")
            #expect(read.type(of: "x") == stored)
        }
    }

    /// What protocols 3 to 5 write in place of what protocol 2 does, and what it seldom does.
    @Test(
        arguments: [
            ([0x80, 4, 0x95, 3, 0, 0, 0, 0, 0, 0, 0, 0x8C, 1, 0x61, 0x94, 0x2E], .text("a")),
            ([0x80, 5, 0x8D, 1, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x2E], .text("a")),
            ([0x80, 2, 0x4E, 0x28, 0x88, 0x89, 0x31, 0x2E], PyTorchCheckpoint.Value.none),
            ([0x80, 2, 0x4B, 200, 0x32, 0x30, 0x2E], .integer(200)),
            ([0x80, 2, 0x4D, 1, 2, 0x2E], .integer(513)),
            ([0x80, 2, 0x4A, 0xFF, 0xFF, 0xFF, 0xFF, 0x2E], .integer(-1)),
            ([0x80, 2, 0x8A, 0, 0x2E], .integer(0)),
            ([0x80, 2, 0x8A, 2, 0, 0x80, 0x2E], .integer(-32768)),
            ([0x80, 2, 0x28, 0x4E, 0x4E, 0x6C, 0x2E], .list(count: 2)),
            ([0x80, 2, 0x28, 0x8C, 1, 0x61, 0x4E, 0x64, 0x2E], .dictionary(names: ["a"])),
            ([0x80, 2, 0x7D, 0x4B, 1, 0x4E, 0x73, 0x2E], .dictionary(names: [])),
            (
                [0x80, 2, 0x8C, 5] + "torch".utf8 + [0x8C, 4] + "Size".utf8 + [0x93, 0x29, 0x85, 0x52, 0x2E],
                .list(count: 0)
            ),
            ([0x80, 2, 0x5D, 0x94, 0x68, 0, 0x61, 0x6A, 0, 0, 0, 0, 0x61, 0x2E], .list(count: 2)),
        ] as [([UInt8], PyTorchCheckpoint.Value)])
    func operations(pickle: [UInt8], expected: PyTorchCheckpoint.Value) throws {
        #expect(try open(CheckpointBytes().archive(pickle: pickle).data()).value() == expected)
    }

    @Test func largeArchivesAreRead() throws {
        var bytes = CheckpointBytes()
        bytes.root = .dictionary([("x", .tensor(bytes.tensor([3], [1, 2, 3])))])
        let read = try #require(try open(bytes.archive().data(isLarge: true)).tensors())
        #expect(try read.tensor("x").values == [1, 2, 3])

        var zip = ZipBytes()
        zip.addLarge("archive/data.pkl", bytes.pickle)
        zip.addLarge("archive/data/0", bytes.storages[0].bytes)
        let large = try #require(try open(zip.data(isLarge: true)).tensors())
        #expect(try large.tensor("x").values == [1, 2, 3])
    }

    @Test(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
    func aCheckpointOfPyTorchIsRead() throws {
        let checkpoint = try PyTorchCheckpoint(contentsOf: Fixtures.reference("checkpoint_a.pth"))
        #expect(checkpoint.value() == .dictionary(names: ["ema", "epoch", "model", "step"]))
        #expect(checkpoint.value(at: "epoch") == .integer(3))
        #expect(checkpoint.value(at: "step") == .integer(1234))
        let model = try #require(checkpoint.tensors(at: "model"))
        #expect(try model.tensor("m_t").values.first == 0.001)
        #expect(model.names.count == 272 && checkpoint.tensors(at: "ema")?.names.count == 266)
        #expect(PyTorchCheckpoint.canRead(Fixtures.reference("checkpoint_a.pth")))
        #expect(!PyTorchCheckpoint.canRead(Fixtures.reference("unet_a.safetensors")))
    }
}

/// Opens the bytes of a checkpoint.
func open(_ bytes: Data) throws -> PyTorchCheckpoint {
    try withTemporaryFolder { folder in
        let url = folder.appending(path: "checkpoint.pth")
        try writeWithoutFlushing([UInt8](bytes), to: url)
        return try PyTorchCheckpoint(contentsOf: url)
    }
}
