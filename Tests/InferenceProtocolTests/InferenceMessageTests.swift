import Foundation
import InferenceProtocol
import TestSupport
import Testing

/// Messages of the Open Inference Protocol.
struct InferenceMessageTests {
    private func message(_ generator: inout SeededGenerator, types: [TensorType]) -> InferenceMessage {
        var message = InferenceMessage()
        message.id = "7"
        for index in 0..<generator.size(in: 1...4) {
            let shape = (0..<generator.size(in: 1...4)).map { _ in generator.size(in: 1...5) }
            let type = types.randomElement(using: &generator)!
            // Numbers that every type represents.
            let values = (0..<shape.reduce(1, *)).map { _ in Float(Int.random(in: -64...64, using: &generator))
            }
            message.tensors.append(
                InferenceTensor(
                    name: "tensor \(index)", type: type, tensor: Tensor(shape: shape, values: values)))
        }
        message.requested = [.init(name: "out", isBinary: true), .init(name: "second", isBinary: false)]
        return message
    }

    private func decode(
        _ encoded: (bytes: [UInt8], jsonLength: Int?), as kind: InferenceMessage.Kind = .inputs
    ) throws -> InferenceMessage {
        try encoded.bytes.withUnsafeBytes {
            try InferenceMessage(decoding: $0, jsonLength: encoded.jsonLength, as: kind)
        }
    }

    @Test func whatIsWrittenIsRead() async {
        await checkLaw { generator in
            let original = message(&generator, types: [.f32, .f16, .bf16, .i32, .i64])
            let binary = Set(original.tensors.map(\.name).filter { _ in Bool.random(using: &generator) })
            let read = try decode(original.encoded(as: .inputs) { binary.contains($0) })
            try #require(read.id == "7")
            try #require(read.tensors.map(\.tensor) == original.tensors.map(\.tensor))
            try #require(read.tensors.map(\.type) == original.tensors.map(\.type))
            try #require(read.requested?.map(\.name) == ["out", "second"])
            try #require(read.requested?.map(\.isBinary) == [true, false])
        }
    }

    /// A float has as many digits in JSON as restore it.
    @Test func floatsKeepTheirBitsInBothForms() async {
        await checkLaw { generator in
            let values = (0..<200).map { _ in
                Float(bitPattern: UInt32.random(in: 0...0x7F7F_FFFF, using: &generator))
                    * (Bool.random(using: &generator) ? 1 : -1)
            }
            var original = InferenceMessage()
            original.tensors = [
                InferenceTensor(name: "x", type: .f32, tensor: Tensor(shape: [200], values: values))
            ]
            for isBinary in [false, true] {
                let read = try decode(original.encoded(as: .outputs) { _ in isBinary }, as: .outputs)
                try #require(
                    read.tensors[0].tensor.values.map(\.bitPattern) == values.map(\.bitPattern),
                    "binary: \(isBinary)")
            }
        }
    }

    /// The form that the protocol's text shows, with nested lists.
    @Test func nestedListsAreRead() throws {
        let json = """
            {"id": "42", "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4.5]]}]}
            """
        let read = try decode((Array(json.utf8), nil))
        #expect(read.tensors[0].tensor == Tensor(shape: [2, 2], values: [1, 2, 3, 4.5]))
        #expect(read.requested == nil)
    }

    @Test(arguments: [
        ("", "JSON"), ("[]", "Expected"), ("{}", "there is no field 'inputs'"),
        (#"{"inputs": [{"shape": [1], "datatype": "FP32", "data": [1]}]}"#, "inputs[0]"),
        (#"{"inputs": [{"name": "x", "datatype": "FP32", "data": [1]}]}"#, "'shape' must be a list"),
        (#"{"inputs": [{"name": "x", "shape": [-1], "datatype": "FP32", "data": [1]}]}"#, "'shape' must be"),
        (#"{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}"#, "inputs[0].data"),
        (#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP99", "data": [1]}]}"#, "is FP99"),
        (#"{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}]}"#, "has 1 numbers"),
        (#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}"#, "neither 'data' nor"),
        (#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1e99]}]}"#, "inputs[0].data"),
        (
            #"{"inputs": [{"name": "x", "shape": [4611686018427387904, 4], "datatype": "FP32", "data": [1]}]}"#,
            "is too large"
        ),
        (
            #"{"inputs": [{"name": "x", "shape": [1000, 1000], "datatype": "FP32", "parameters": "#
                + #"{"binary_data_size": 4000000}}]}"#, "4000000 bytes were announced, and 0 are there"
        ),
        (
            #"{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": -8}}]}"#,
            "'binary_data_size' is -8; expected 8"
        ),
        (
            #"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}, "#
                + #"{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}"#, "is there twice"
        ),
    ])
    func whatIsWrongIsNamed(json: String, reason: String) throws {
        let error = #expect(throws: InferenceMessageError.self) { try decode((Array(json.utf8), nil)) }
        #expect("\(error!)".contains(reason), "\(error!)")
    }

    @Test func lengthsThatDoNotFitAreErrors() throws {
        var message = InferenceMessage()
        message.tensors = [InferenceTensor(name: "x", type: .f32, tensor: Tensor(shape: [2], repeating: 1))]
        let (bytes, length) = try message.encoded(as: .inputs) { _ in true }
        let json = try #require(length)
        for (bytes, length) in [
            (bytes, bytes.count + 1), (bytes, -1), (bytes, json - 1), (bytes + [0], json),
            (Array(bytes.dropLast()), json), (bytes, Int.max),
        ] {
            #expect(throws: InferenceMessageError.self) { try decode((bytes, length)) }
        }
    }

    @Test func numbersThatCannotTravelAreErrors() throws {
        func encode(_ value: Float, _ type: TensorType, isBinary: Bool) throws {
            var message = InferenceMessage()
            message.tensors = [
                InferenceTensor(name: "x", type: type, tensor: Tensor(shape: [1], values: [value]))
            ]
            _ = try message.encoded(as: .outputs) { _ in isBinary }
        }
        #expect(throws: InferenceMessageError.self) { try encode(.nan, .f32, isBinary: false) }
        #expect(throws: InferenceMessageError.self) { try encode(70000, .f16, isBinary: true) }
        #expect(throws: InferenceMessageError.self) { try encode(1e30, .i32, isBinary: true) }
        #expect(throws: InferenceMessageError.self) { try encode(.infinity, .i64, isBinary: true) }
        try encode(-65504, .f16, isBinary: true)
    }

    /// Whatever bytes come, they are a message or an error.
    @Test func mutatedMessagesAreReadOrRefused() async {
        await checkLaw(cases: 1000) { generator in
            let original = message(&generator, types: [.f32, .f16, .i64])
            let isBinary = Bool.random(using: &generator)
            var (bytes, length) = try original.encoded(as: .inputs) { _ in isBinary }
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.insert(UInt8(ascii: "9"), at: place)
                case 2: bytes.removeSubrange(place..<min(bytes.count - 1, place + 3))
                default: length = Int.random(in: -2...bytes.count + 2, using: &generator)
                }
                if bytes.isEmpty { return }
            }
            do {
                let read = try decode((bytes, length))
                for tensor in read.tensors {
                    try #require(tensor.tensor.values.count == tensor.tensor.shape.reduce(1, *))
                }
            } catch is InferenceMessageError {}
        }
    }
}
