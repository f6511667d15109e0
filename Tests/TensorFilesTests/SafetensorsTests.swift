import Foundation
import TensorFiles
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
            ("I16", [1, 0, 0xF6, 0xFF], [1, -10]), ("I8", [1, 0xF6], [1, -10]),
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

    /// Numbers of every size, the bounds between two, and what is no number.
    @Test func numbersAreRoundedToTheNearest() async {
        await checkLaw(cases: 20) { generator in
            var bits = (0..<4000).map { _ in UInt32.random(in: 0...(.max), using: &generator) }
            // Of the size that binary16 has, and halfway between two of its numbers or next to that.
            bits += (0..<4000).map { _ in UInt32.random(in: 0x3300_0000...0x477F_0000, using: &generator) }
            bits += (0..<4000).map { _ in
                let half = UInt32.random(in: 0x3300_0000 >> 12...0x477F_0000 >> 12, using: &generator) << 12
                return half &+ [0, 1, .max].randomElement(using: &generator)!
            }
            let numbers = bits.map(Float.init(bitPattern:))
            func written(_ type: TensorType, _ numbers: [Float]) throws -> [Float] {
                try withTemporaryFolder { folder in
                    let url = folder.appending(path: "x.safetensors")
                    try Safetensors.write(
                        ["x": Tensor(shape: [numbers.count], values: numbers)], as: type, to: url)
                    let file = try Safetensors(contentsOf: url)
                    try #require(file.type(of: "x") == type)
                    return try file.tensor("x").values
                }
            }
            let small = numbers.filter { !($0.magnitude >= 65520 && $0.isFinite) }
            #if !(os(macOS) && arch(x86_64))
                for (number, found) in zip(small, try written(.f16, small)) {
                    let expected = Float(Float16(number))
                    try #require(found.bitPattern == expected.bitPattern || found.isNaN && number.isNaN)
                }
            #endif
            for (number, found) in zip(small, try written(.bf16, small)) where !number.isNaN {
                let below = Float(bitPattern: number.bitPattern & 0xFFFF_0000)
                let above = Float(bitPattern: (number.bitPattern & 0xFFFF_0000) &+ 0x1_0000)
                let (down, up) = (abs(Double(number) - Double(below)), abs(Double(above) - Double(number)))
                let isEven = number.bitPattern & 0x1_0000 == 0
                let expected = number.isInfinite || down < up || down == up && isEven ? below : above
                try #require(found == expected, "\(number)")
            }
            try #require(try written(.bf16, small).enumerated().allSatisfy { $1.isNaN == small[$0].isNaN })
        }
    }

    @Test(arguments: [(TensorType.f16, Float(65520)), (.f16, -1e9), (.bf16, .greatestFiniteMagnitude)])
    func numbersThatAreTooLargeAreRefused(type: TensorType, number: Float) throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "x.safetensors")
            let tensors = ["x": Tensor(shape: [2], values: [1, number])]
            let error = #expect(throws: SafetensorsError.self) {
                try Safetensors.write(tensors, as: type, to: url)
            }
            #expect(error?.problem == .tooLarge(tensor: "x", type: type.rawValue))
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left.isEmpty)
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
