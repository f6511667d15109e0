import DenoisingServer
import Foundation
import Hummingbird
import InferenceProtocol
import RemoteDenoising
import TestSupport
import VoxelSupport

/// An elementwise network that a server and this process compute alike.
struct MixingModel: ServedModel {
    var name = "x"
    var channels = 3
    /// What is done before each prediction.
    var before: @Sendable () throws -> Void = {}

    var inputs: [TensorDescription] {
        [
            TensorDescription(name: name, shape: [-1, channels, -1, -1]),
            TensorDescription(name: "y", shape: [-1, channels, -1, -1]),
            TensorDescription(name: "t", shape: [-1]),
        ]
    }
    var outputs: [TensorDescription] { [TensorDescription(name: "out", shape: [-1, channels, -1, -1])] }

    func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
        try before()
        let (x, y, t) = (inputs[name]!, inputs["y"]!, inputs["t"]!.values[0])
        return ["out": Tensor(shape: x.shape, values: mix(x.values, y.values, at: t))]
    }
}

func mix(_ x: [Float], _ y: [Float], at t: Float) -> [Float] {
    zip(x, y).map { 0.3 * $0 - 0.2 * $1 + 1e-4 * t }
}

/// The same network in this process.
struct LocalMixing: SliceDenoiser {
    let radius = 1
    let predictionType = PredictionType.gradient

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        (0..<windows.count).flatMap { mix(Array(windows.noisy($0)), Array(windows.source($0)), at: Float(t)) }
    }
}

/// Runs `body` with the address of a server, which is stopped afterwards.
func withServer<Result: Sendable>(
    _ model: some ServedModel, options: ModelServer.Options = .init(),
    _ body: @Sendable @escaping (String) async throws -> Result
) async throws -> Result {
    var options = options
    options.port = 0
    let server = ModelServer(model, options: options)
    return try await withPort({ try await server.run(onReady: $0) }, body)
}

/// Runs `body` with the address of a server that gives its port.
func withPort<Result: Sendable>(
    _ run: @Sendable @escaping (@Sendable @escaping (Int) async -> Void) async throws -> Void,
    _ body: @Sendable @escaping (String) async throws -> Result
) async throws -> Result {
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    let service = Task {
        defer { continuation.finish() }
        try await run { continuation.yield($0) }
    }
    guard let port = await ports.first(where: { _ in true }) else {
        try await service.value
        throw CancellationError()
    }
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body("http://127.0.0.1:\(port)")) } catch { result = .failure(error) }
    service.cancel()
    _ = await service.result
    return try result.get()
}

/// Runs `body` with the address of a server whose answers to inferences a test decides.
///
/// - Parameter respond: gets the number of the request, from 0, and the right answer.
func withScriptedServer<Result: Sendable>(
    metadata: ModelMetadata = .mixing, extensions: [String] = [ServerMetadata.binaryExtension],
    respond: @Sendable @escaping (Int, () throws -> Response) async throws -> Response,
    _ body: @Sendable @escaping (String) async throws -> Result
) async throws -> Result {
    let counter = Counter()
    let router = Router()
    func json(_ value: some Encodable) throws -> Response {
        Response(status: .ok, body: .init(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(value))))
    }
    let (server, model) = (
        try json(ServerMetadata(name: "scripted", version: "1", extensions: extensions)), try json(metadata)
    )
    router.get("/v2") { _, _ in server }
    router.get("/v2/health/ready") { _, _ in Response(status: .ok) }
    router.get("/v2/models/denoiser/ready") { _, _ in Response(status: .ok) }
    router.get("/v2/models/denoiser") { _, _ in model }
    router.post("/v2/models/denoiser/infer") { request, _ in
        let length = request.headers[.init(InferenceMessage.lengthHeader)!].flatMap { Int($0) }
        let body = try await request.body.collect(upTo: 1 << 26)
        return try await respond(counter.next()) {
            let message = try body.withUnsafeReadableBytes {
                try InferenceMessage(decoding: $0, jsonLength: length, as: .inputs)
            }
            return try answer(to: message)
        }
    }
    let responder = router.buildResponder()
    return try await withPort(
        { onReady in
            let application = Application(
                responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
                onServerRunning: { await onReady($0.localAddress!.port!) },
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try await application.run()
        }, body)
}

/// The right answer of the mixing network.
func answer(
    to message: InferenceMessage, shape: ([Int]) -> [Int] = { $0 }, values: ([Float]) -> [Float] = { $0 }
) throws -> Response {
    let (x, y, t) = (message.tensors[0].tensor, message.tensors[1].tensor, message.tensors[2].tensor)
    var answer = InferenceMessage()
    answer.modelName = "denoiser"
    answer.tensors = [
        InferenceTensor(
            name: "out", type: .f32,
            tensor: Tensor(shape: shape(x.shape), values: values(mix(x.values, y.values, at: t.values[0]))))
    ]
    let isBinary = message.requested?.first?.isBinary ?? false
    let (bytes, length) = try answer.encoded(as: .outputs) { _ in isBinary }
    var headers = HTTPFields()
    if let length { headers[.init(InferenceMessage.lengthHeader)!] = "\(length)" }
    return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
}

extension ModelMetadata {
    static var mixing: ModelMetadata {
        ModelMetadata(
            name: "denoiser", versions: ["1"], platform: "voxelbridge", inputs: MixingModel().inputs,
            outputs: MixingModel().outputs, parameters: [:])
    }
}

/// Counts from 0.
actor Counter {
    private(set) var count = 0
    func next() -> Int {
        defer { count += 1 }
        return count
    }
}

/// Short waits, so that tests of failures are short.
var impatient: RemoteOptions {
    var options = RemoteOptions()
    options.timeout = .seconds(60)
    (options.backoff, options.connectTimeout) = (.milliseconds(20), .seconds(20))
    return options
}

/// A source of noise.
func randomSource(_ shape: SIMD3<Int> = [8, 6, 12], seed: UInt64 = 1) -> Volume {
    var generator = SeededGenerator(seed: seed)
    return Volume.random(shape: shape, using: &generator)
}

/// A sampler of few steps.
func sampler<Denoiser: SliceDenoiser>(
    _ denoiser: Denoiser, steps: Int = 3, batch: Int = 2, inFlight: Int = 3
) -> SliceSampler<Denoiser> {
    SliceSampler(
        scheduler: Scheduler(BrownianBridge(), steps: steps), denoiser: denoiser,
        corrector: ScoreCorrector(steps: 1), batchSize: batch, batchesInFlight: inFlight)
}

/// The volume that the mixing network gives in this process.
func expectedVolume(_ source: Volume = randomSource(), steps: Int = 3) async throws -> Volume {
    try await sampler(LocalMixing(), steps: steps).sample(from: source)
}
