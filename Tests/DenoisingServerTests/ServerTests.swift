import AsyncHTTPClient
import DenoisingServer
import Foundation
import InferenceProtocol
import TestSupport
import Testing

/// The server, spoken to in plain HTTP.
struct ServerTests {
    /// Adds a number to an image; NaN or an error where the image asks for it.
    private struct Adder: ServedModel {
        let inputs = [
            TensorDescription(name: "image", shape: [-1, 1, -1, -1]),
            TensorDescription(name: "add", shape: [-1]),
        ]
        let outputs = [TensorDescription(name: "sum", shape: [-1, 1, -1, -1])]
        let parameters = ["radius": "0"]

        func check(_ shapes: [String: [Int]]) throws {
            guard shapes["image"]![2] <= 64 else { throw InferenceMessageError("at most 64 rows") }
        }
        func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
            let (image, add) = (inputs["image"]!, inputs["add"]!.values[0])
            if add == 1000 { return ["sum": Tensor(shape: image.shape, repeating: .nan)] }
            if add == 1001 { throw InferenceMessageError("the model is tired") }
            if add == 1002 { return [:] }
            return ["sum": Tensor(shape: image.shape, values: image.values.map { $0 + add })]
        }
    }

    private struct Answer: Sendable {
        let status: Int
        let headers: [String: String]
        let body: Data
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: [String: Any] { (try? JSONSerialization.jsonObject(with: body) as? [String: Any]) ?? [:] }
    }

    /// Runs `body` with a function that sends requests to a server.
    private func withServer(
        _ options: ModelServer.Options = .init(),
        _ body: (
            _ send:
                @Sendable (_ path: String, _ body: [UInt8]?, _ headers: [String: String]) async throws -> Answer
        ) async throws -> Void
    ) async throws {
        var options = options
        options.port = 0
        let server = ModelServer(Adder(), options: options)
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let service = Task { try await server.run { continuation.yield($0) } }
        let port = try #require(await ports.first { _ in true })
        let client = HTTPClient(eventLoopGroupProvider: .singleton)
        do {
            try await body { path, body, headers in
                var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
                if let body {
                    request.method = .POST
                    request.body = .bytes(body)
                }
                for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
                let response = try await client.execute(request, timeout: .seconds(120))
                let buffer = try await response.body.collect(upTo: 1 << 24)
                return Answer(
                    status: Int(response.status.code),
                    headers: Dictionary(
                        response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { $1 }),
                    body: Data(buffer.readableBytesView))
            }
        } catch {
            try await client.shutdown()
            service.cancel()
            throw error
        }
        try await client.shutdown()
        service.cancel()
        try await service.value
    }

    private static let path = "/v2/models/denoiser/infer"

    private func request(add: Float = 1, rows: Int = 2) -> InferenceMessage {
        var message = InferenceMessage()
        message.tensors = [
            InferenceTensor(
                name: "image", type: .f32,
                tensor: Tensor(shape: [2, 1, rows, 2], values: (0..<4 * rows).map { Float($0) })),
            InferenceTensor(name: "add", type: .f32, tensor: Tensor(shape: [2], values: [add, add])),
        ]
        return message
    }

    @Test func itSaysWhatItIs() async throws {
        try await withServer { send in
            #expect(try await send("/v2/health/live", nil, [:]).status == 200)
            #expect(try await send("/v2/health/ready", nil, [:]).status == 200)
            #expect(try await send("/v2/models/denoiser/ready", nil, [:]).status == 200)
            #expect(try await send("/v2/models/denoiser/versions/1/ready", nil, [:]).status == 200)
            let server = try await send("/v2", nil, [:])
            #expect(server.json["extensions"] as? [String] == ["binary_tensor_data"])
            let model = try await send("/v2/models/denoiser", nil, [:])
            #expect(model.json["name"] as? String == "denoiser")
            #expect(model.json["versions"] as? [String] == ["1"])
            let inputs = try #require(model.json["inputs"] as? [[String: Any]])
            #expect(inputs[0]["name"] as? String == "image" && inputs[0]["shape"] as? [Int] == [-1, 1, -1, -1])
            #expect((model.json["parameters"] as? [String: String])?["radius"] == "0")
            for path in ["/", "/v2/models/other", "/v2/models/denoiser/versions/2", "/v2/models"] {
                let answer = try await send(path, nil, [:])
                #expect(answer.status == 404 && answer.json["error"] is String, "\(path): \(answer.text)")
            }
        }
    }

    /// A request by hand, as the protocol's text shows it.
    @Test func aRequestByHandIsAnswered() async throws {
        let json = """
            {"id": "one", "inputs": [{"name": "image", "shape": [1, 1, 1, 2], "datatype": "FP32", "data": [[[[1, 2]]]]},
             {"name": "add", "shape": [1], "datatype": "FP32", "data": [0.5]}]}
            """
        try await withServer { send in
            let answer = try await send(Self.path, Array(json.utf8), [:])
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.json["id"] as? String == "one" && answer.json["model_name"] as? String == "denoiser")
            let outputs = try #require(answer.json["outputs"] as? [[String: Any]])
            #expect(outputs[0]["name"] as? String == "sum" && outputs[0]["data"] as? [Double] == [1.5, 2.5])
            #expect(outputs[0]["shape"] as? [Int] == [1, 1, 1, 2])
        }
    }

    @Test func halfPrecisionAndBytesAreAnsweredInKind() async throws {
        try await withServer { send in
            for type in [TensorType.f32, .f16, .bf16] {
                var message = request()
                message.tensors[0].type = type
                message.requested = [.init(name: "sum", isBinary: true)]
                let (bytes, length) = try message.encoded(as: .inputs) { _ in true }
                let answer = try await send(
                    Self.path, bytes, [InferenceMessage.lengthHeader: "\(try #require(length))"])
                #expect(answer.status == 200, "\(answer.text)")
                let size = answer.headers[InferenceMessage.lengthHeader.lowercased()].flatMap { Int($0) }
                let read = try answer.body.withUnsafeBytes {
                    try InferenceMessage(decoding: $0, jsonLength: size, as: .outputs)
                }
                #expect(read.tensors[0].type == type)
                #expect(
                    read.tensors[0].tensor == Tensor(shape: [2, 1, 2, 2], values: (1...8).map { Float($0) }))
            }
        }
    }

    /// What is wrong with a request is said; what is wrong with the model is not the client's fault.
    @Test func aWrongRequestIsToldWhatIsWrong() async throws {
        try await withServer { send in
            func answer(_ message: InferenceMessage, _ headers: [String: String] = [:]) async throws -> Answer {
                try await send(Self.path, try message.encoded(as: .inputs) { _ in false }.bytes, headers)
            }
            func expect(_ answer: Answer, _ status: Int, _ reason: String) {
                #expect(
                    answer.status == status && answer.text.contains(reason), "\(answer.status) \(answer.text)")
            }
            var message = request()
            message.tensors[0].name = "picture"
            expect(try await answer(message), 400, "the model has no input picture; it has image FP32")
            message = request()
            message.tensors.removeLast()
            expect(try await answer(message), 400, "the input add is missing")
            message = request()
            message.tensors[1].tensor = Tensor(shape: [3], repeating: 1)
            expect(try await answer(message), 400, "add has 3 windows; expected 2")
            message.tensors[1].tensor = Tensor(shape: [2, 1], repeating: 1)
            expect(try await answer(message), 400, "expected [-1]")
            message = request()
            message.tensors[0].type = .u8
            expect(try await answer(message), 400, "image has the datatype UINT8")
            message = request()
            message.requested = [.init(name: "product", isBinary: false)]
            expect(try await answer(message), 400, "the model has no output product")
            message = request()
            message.tensors[0].tensor = Tensor(shape: [0, 1, 2, 2], values: [])
            message.tensors[1].tensor = Tensor(shape: [0], values: [])
            expect(try await answer(message), 400, "with no numbers")
            // Many windows of nothing.
            message.tensors[0].tensor = Tensor(shape: [1 << 40, 1, 0, 0], values: [])
            message.tensors[1].tensor = Tensor(shape: [0], values: [])
            expect(try await answer(message), 400, "with no numbers")
            expect(try await answer(request(rows: 65)), 400, "at most 64 rows")
            expect(try await answer(request(), [InferenceMessage.lengthHeader: "many"]), 400, "is 'many'")
            expect(try await answer(request(), [InferenceMessage.lengthHeader: "999999"]), 400, "the body has")
            expect(try await answer(request(), ["Content-Encoding": "gzip"]), 415, "gzip")
            message = request()
            message.tensors[0].tensor.values[1] = .infinity
            let (bytes, length) = try message.encoded(as: .inputs) { _ in true }
            expect(
                try await send(Self.path, bytes, [InferenceMessage.lengthHeader: "\(length!)"]), 400,
                "image has a number that is not finite")
            expect(try await answer(request(add: 1000)), 500, "NaN or infinity in sum")
            expect(try await answer(request(add: 1001)), 500, "the model is tired")
            expect(try await answer(request(add: 1002)), 500, "the model returned no sum")
            expect(try await send(Self.path, nil, [:]), 404, "error")
            expect(try await answer(request()), 200, "sum")
        }
    }

    @Test func limitsHold() async throws {
        var options = ModelServer.Options()
        options.maximumRequestBytes = 1000
        try await withServer(options) { send in
            let answer = try await send(Self.path, [UInt8](repeating: 32, count: 1001), [:])
            #expect(answer.status == 413 && answer.text.contains("larger than the 1000 bytes allowed"))
            #expect(try await send(Self.path, [UInt8](repeating: 32, count: 1000), [:]).status == 400)
        }
    }

    @Test func metricsCount() async throws {
        try await withServer { send in
            let bytes = try request().encoded(as: .inputs) { _ in false }.bytes
            for _ in 0..<3 { #expect(try await send(Self.path, bytes, [:]).status == 200) }
            #expect(try await send(Self.path, [1], [:]).status == 400)
            let metrics = try await send("/metrics", nil, [:])
            #expect(metrics.headers["content-type"]?.hasPrefix("text/plain") == true)
            let lines = metrics.text.split(separator: "\n").map(String.init)
            for line in [
                "voxelbridge_requests_total{status=\"200\"} 3", "voxelbridge_requests_total{status=\"400\"} 1",
                "voxelbridge_windows_total 6", "voxelbridge_queue_windows 0", "voxelbridge_computing_windows 0",
                "voxelbridge_received_bytes_total \(3 * bytes.count)", "voxelbridge_inference_seconds_count 3",
                "voxelbridge_inference_seconds_bucket{le=\"+Inf\"} 3",
                "# TYPE voxelbridge_inference_seconds histogram",
            ] { #expect(lines.contains(line), "\(line)") }
        }
    }

    /// A thousand requests that are almost right: each is answered, and the server goes on.
    @Test(.timeLimit(.minutes(5)))
    func mutatedRequestsAreAnswered() async throws {
        try await withServer { send in
            var generator = SeededGenerator(seed: 11)
            var statuses: [Int: Int] = [:]
            for _ in 0..<1000 {
                let isBinary = Bool.random(using: &generator)
                var (bytes, length) = try request().encoded(as: .inputs) { _ in isBinary }
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    let place = Int.random(in: 0..<bytes.count, using: &generator)
                    switch Int.random(in: 0..<5, using: &generator) {
                    case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                    case 1: bytes.insert(contentsOf: Array("99999999".utf8), at: place)
                    case 2: bytes.removeSubrange(place...)
                    case 3: bytes += bytes[place...]
                    default: length = Int.random(in: -5...bytes.count + 5, using: &generator)
                    }
                    if bytes.isEmpty { break }
                }
                let headers = length.map { [InferenceMessage.lengthHeader: "\($0)"] } ?? [:]
                let answer = try await send(Self.path, bytes, headers)
                statuses[answer.status, default: 0] += 1
                if answer.status != 200 { #expect(answer.json["error"] is String, "\(answer.text)") }
            }
            #expect(Set(statuses.keys).isSubset(of: [200, 400]), "\(statuses)")
            #expect(statuses[400, default: 0] > 500)
            let bytes = try request().encoded(as: .inputs) { _ in false }.bytes
            #expect(try await send(Self.path, bytes, [:]).status == 200)
        }
    }

    @Test func aPortThatIsTakenIsAnError() async throws {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        var options = ModelServer.Options()
        options.port = 0
        let first = ModelServer(Adder(), options: options)
        let service = Task { try await first.run { continuation.yield($0) } }
        options.port = try #require(await ports.first { _ in true })
        let second = ModelServer(Adder(), options: options)
        let error = await #expect(throws: ModelServerError.self) { try await second.run() }
        #expect("\(error!)".contains("cannot listen on 127.0.0.1:\(options.port)"), "\(error!)")
        service.cancel()
        try await service.value
    }
}
