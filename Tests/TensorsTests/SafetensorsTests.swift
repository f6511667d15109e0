import Foundation
import Tensors
import TestSupport
import Testing

struct SafetensorsTests {
    @Test func whatIsWrittenIsRead() async {
        await checkLaw(cases: 40) { generator in
            var tensors: [String: Tensor] = [:]
            for index in 0..<Int.random(in: 0...6, using: &generator) {
                let rank = Int.random(in: 0...4, using: &generator)
                let shape = (0..<rank).map { _ in Int.random(in: 0...4, using: &generator) }
                tensors["block.\(index)/\"ä\\\u{1F9E0}"] = randomTensor(shape, &generator)
            }
            let metadata = Bool.random(using: &generator) ? ["format": "pt", "note": "\"\n"] : [:]
            try withTemporaryFolder { folder in
                let url = folder.appending(path: "weights.safetensors")
                try Safetensors.write(tensors, metadata: metadata, to: url)
                let file = try Safetensors(contentsOf: url)
                try #require(file.names == tensors.keys.sorted())
                try #require(file.metadata == metadata)
                for (name, tensor) in tensors {
                    try #require(file.shape(of: name) == tensor.shape)
                    try #require(try file.tensor(name) == tensor)
                }
                let first = try Data(contentsOf: url)
                try Safetensors.write(tensors, metadata: metadata, to: url)
                try #require(try Data(contentsOf: url) == first)
                try #require(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)
            }
        }
    }

    /// Numbers that are the same in every type that holds them, and the bytes of each by hand.
    @Test func everyTypeIsConverted() throws {
        let bytes: [(type: String, bytes: [UInt8], values: [Float])] = [
            ("F32", [0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC1], [1, -10]),
            (
                "F16", [0, 0x3C, 0, 0xC9, 0xFF, 0x7B, 1, 0, 0, 0x7C, 0, 0x80],
                [1, -10, 65504, 0x1p-24, .infinity, -0.0]
            ),
            ("BF16", [0x80, 0x3F, 0x20, 0xC1, 0x80, 0x7F], [1, -10, .infinity]),
            ("F64", [0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0x24, 0xC0], [1, -10]),
            ("I64", [1, 0, 0, 0, 0, 0, 0, 0, 0xF6, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [1, -10]),
            ("I32", [1, 0, 0, 0, 0xF6, 0xFF, 0xFF, 0xFF], [1, -10]),
            ("U8", [1, 0, 200], [1, 0, 200]),
            ("BOOL", [1, 0, 1], [1, 0, 1]),
        ]
        for (type, data, values) in bytes {
            let file = try open(
                "{\"x\":{\"dtype\":\"\(type)\",\"shape\":[\(values.count)],\"data_offsets\":[0,\(data.count)]}}",
                data)
            let found = try file.tensor("x")
            #expect(found.values == values, "\(type)")
            #expect(found.values.map(\.sign) == values.map(\.sign), "\(type)")
        }
    }

    /// Every binary16 number against the definition: fraction and exponent, subnormal below exponent 1.
    @Test func everyHalf() throws {
        let data = (0..<65536).flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        let found = try open(
            "{\"x\":{\"dtype\":\"F16\",\"shape\":[65536],\"data_offsets\":[0,131072]}}", data
        ).tensor("x").values
        for (bits, value) in found.enumerated() {
            let (exponent, fraction) = (bits >> 10 & 31, Double(bits & 1023) / 1024)
            let magnitude =
                switch exponent {
                case 31: fraction == 0 ? Double.infinity : .nan
                case 0: fraction * pow(2, -14)
                default: (1 + fraction) * pow(2, Double(exponent - 15))
                }
            let expected = Float(bits >> 15 == 0 ? magnitude : -magnitude)
            #expect(value.bitPattern == expected.bitPattern || value.isNaN && expected.isNaN)
        }
    }

    /// A file of 32 GiB, nearly all of it a hole on the disk, is opened without being read.
    @Test func openingCostsTheHeaderAlone() throws {
        try withTemporaryFolder { folder in
            let (url, size) = (folder.appending(path: "large.safetensors"), 1 << 35)
            let tensors = """
                {"large":{"dtype":"U8","shape":[\(size)],"data_offsets":[0,\(size)]},
                "small":{"dtype":"U8","shape":[2],"data_offsets":[\(size),\(size + 2)]}}
                """
            let header = safetensorsBytes(tensors, [])
            try header.write(to: url)
            let handle = try FileHandle(forWritingTo: url)
            defer { try? handle.close() }
            try handle.seek(toOffset: UInt64(header.count + size))
            try handle.write(contentsOf: [3, 4])
            let file = try Safetensors(contentsOf: url)
            #expect(file.shape(of: "large") == [size])
            #expect(try file.tensor("small").values == [3, 4])
        }
    }

    @Test func aTensorThatIsNotThereIsNamed() throws {
        let file = try open("{}", [])
        #expect(throws: SafetensorsError.self) { try file.tensor("bias") }
        #expect(file.shape(of: "bias") == nil)
    }

    @Test func failedWritesLeaveNothing() throws {
        try withTemporaryFolder { folder in
            let inTheWay = folder.appending(path: "weights")
            try FileManager.default.createDirectory(at: inTheWay, withIntermediateDirectories: true)
            let tensors = ["x": Tensor(shape: [4])]
            let error = #expect(throws: SafetensorsError.self) { try Safetensors.write(tensors, to: inTheWay) }
            #expect(error?.description.contains(inTheWay.path) == true)
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left == ["weights"])
            #expect(throws: SafetensorsError.self) {
                try Safetensors.write(tensors, to: folder.appending(path: "no/such/folder"))
            }
            let reserved = #expect(throws: SafetensorsError.self) {
                try Safetensors.write(["__metadata__": Tensor(shape: [])], to: folder.appending(path: "new"))
            }
            #expect(reserved?.problem == .reservedName("__metadata__"))
        }
    }

    private func open(_ json: String, _ data: [UInt8]) throws -> Safetensors {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "file.safetensors")
            try safetensorsBytes(json, data).write(to: url)
            return try Safetensors(contentsOf: url)
        }
    }
}

/// The bytes of a file with this header and these numbers.
func safetensorsBytes(_ json: String, _ data: [UInt8]) -> Data {
    withUnsafeBytes(of: UInt64(json.utf8.count).littleEndian) { Data($0) } + Data(json.utf8) + Data(data)
}
