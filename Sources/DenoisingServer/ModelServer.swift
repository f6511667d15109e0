public import Foundation
import Hummingbird
public import Logging

/// Serves a model over HTTP by the Open Inference Protocol (KServe V2), with the binary tensor extension.
///
/// ```swift
/// let server = ModelServer(UNetModel(try UNet(weights: "ct2mri.safetensors")))
/// try await server.run(stopsOnSignals: true)
/// ```
///
/// | request | answer |
/// |---|---|
/// | `GET /v2/health/live`, `GET /v2/health/ready` | 200 |
/// | `GET /v2` | name, version and extensions of the server |
/// | `GET /v2/models/NAME` | inputs, outputs and parameters of the model |
/// | `GET /v2/models/NAME/ready` | 200 |
/// | `POST /v2/models/NAME/infer` | predictions |
/// | `GET /metrics` | counters, in Prometheus' text format |
///
/// `/versions/1` may follow the model's name. A request that is wrong gets status 400 and a sentence that says why; one
/// that is larger than allowed 413; one too many 503 with `Retry-After`.
///
/// Several windows are computed at the same time, each on its own: a prediction has the same bits in any request.
public struct ModelServer: Sendable {
    /// Where and how a server listens.
    public struct Options: Sendable {
        /// The address to listen on. The default, the loopback, can be reached from this machine only.
        public var host = "127.0.0.1"

        /// The port; 0 for one that is free.
        public var port = 8000

        /// The number of windows computed at the same time.
        public var threads = ProcessInfo.processInfo.activeProcessorCount

        /// The largest body of a request, in bytes.
        public var maximumRequestBytes = 64 << 20

        /// The number of inferences that are received, wait, or are computed at the same time; more are answered with 503.
        public var maximumRequests = 256

        /// What clients must send as `Authorization: Bearer TOKEN`, except to ask for health; nil for nothing.
        public var token: String?

        /// The defaults.
        public init() {}
    }

    private let name: String
    private let options: Options
    private let logger: Logger
    private let service: InferenceService

    /// A server.
    ///
    /// - Parameters:
    ///   - model: the model.
    ///   - name: its name in requests.
    ///   - options: where and how to listen.
    ///   - logger: gets a line for each inference; nil for none.
    /// - Precondition: `options.threads` and `options.maximumRequests` are at least 1.
    public init(
        _ model: some ServedModel, name: String = "denoiser", options: Options = Options(),
        logger: Logger? = nil
    ) {
        precondition(options.threads > 0 && options.maximumRequests > 0, "at least one thread and request")
        (self.name, self.options) = (name, options)
        self.logger = logger ?? Logger(label: "voxelbridge.server") { _ in SwiftLogNoOpLogHandler() }
        service = InferenceService(model, threads: options.threads)
    }

    /// Serves until the task is cancelled.
    ///
    /// - Parameters:
    ///   - stopsOnSignals: whether SIGTERM and SIGINT stop the server too: it takes no further requests, answers those
    ///     that it has, and returns.
    ///   - onReady: called with the port once requests are taken.
    /// - Throws: ``ModelServerError`` where the address cannot be used.
    public func run(
        stopsOnSignals: Bool = false, onReady: @escaping @Sendable (Int) async -> Void = { _ in }
    ) async throws {
        var quiet = logger
        // What the framework says of signals and services is of no use to those who run the command.
        if quiet.logLevel < .warning, quiet.logLevel > .debug { quiet.logLevel = .warning }
        let application = Application(
            router: router(),
            server: .http1(configuration: .init(idleTimeout: .seconds(120))),
            configuration: .init(address: .hostname(options.host, port: options.port), backlog: 1024),
            onServerRunning: { await onReady($0.localAddress?.port ?? options.port) }, logger: quiet)
        do {
            try await application.runService(
                gracefulShutdownSignals: stopsOnSignals ? [.sigterm, .sigint] : [])
        } catch is CancellationError {
            return
        } catch {
            throw ModelServerError(address: "\(options.host):\(options.port)", reason: "\(error)")
        }
    }

    // MARK: Routes

    private func router() -> Router<BasicRequestContext> {
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: ProtocolErrors(service: service, token: options.token, logger: logger))
        router.get("/metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4"],
                body: .init(byteBuffer: ByteBuffer(string: service.metrics.text)))
        }
        router.get("/v2") { _, _ in
            try json(
                ServerMetadata(
                    name: "voxelbridge", version: "2", extensions: [ServerMetadata.binaryExtension]))
        }
        for path in ["/v2/health/live", "/v2/health/ready"] {
            router.get(RouterPath(path)) { _, _ in Response(status: .ok) }
        }
        let gate = RequestGate(options.maximumRequests)
        for path in ["/v2/models/:model", "/v2/models/:model/versions/:version"] {
            router.get(RouterPath(path)) { _, context in
                try check(context.parameters)
                return try json(metadata)
            }
            router.get(RouterPath("\(path)/ready")) { _, context in
                try check(context.parameters)
                return Response(status: .ok)
            }
            router.post(RouterPath("\(path)/infer")) { request, context in
                try check(context.parameters)
                return try await gate.with { try await infer(request) }
            }
        }
        return router
    }

    private func check(_ parameters: Parameters) throws {
        guard parameters.get("model") == name else {
            throw StatusError(.notFound, "there is no such model; this server has '\(name)'")
        }
        guard ["1", nil].contains(parameters.get("version")) else {
            throw StatusError(.notFound, "there is no such version; '\(name)' has version 1")
        }
    }

    private var metadata: ModelMetadata {
        var parameters = service.model.parameters
        parameters[ModelParameter.threads] = "\(options.threads)"
        parameters[ModelParameter.datatypes] =
            InferenceService.wireTypes.map(\.inferenceName).joined(separator: ",")
        return ModelMetadata(
            name: name, versions: ["1"], platform: "voxelbridge", inputs: service.model.inputs,
            outputs: service.model.outputs, parameters: parameters)
    }

    private func infer(_ request: Request) async throws -> Response {
        let start = ContinuousClock.now
        let body = try await read(request)
        let message = try decode(body, request.headers)
        let answer = try await service.answer(message)
        return try respond(to: message, of: body.readableBytes, with: answer, since: start)
    }

    private func read(_ request: Request) async throws -> ByteBuffer {
        if let encoding = request.headers[.contentEncoding], encoding != "identity" {
            throw StatusError(
                .unsupportedMediaType, "the body is encoded with \(encoding); send it as it is")
        }
        let limit = options.maximumRequestBytes
        let tooLarge = StatusError(.contentTooLarge, "the body is larger than the \(limit) bytes allowed")
        let length = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        guard length <= limit else { throw tooLarge }
        // Most bodies are no larger; memory for others is taken as their bytes arrive.
        var body = ByteBuffer()
        body.reserveCapacity(min(max(length, 0), 1 << 20))
        do {
            for try await var part in request.body {
                guard part.readableBytes <= limit - body.readableBytes else { throw tooLarge }
                body.writeBuffer(&part)
            }
            return body
        } catch let error as StatusError {
            throw error
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw StatusError(.badRequest, "the connection broke within the body")
        }
    }

    // Swift 6.3 crashes where it inlines this into the asynchronous function that calls it.
    @inline(never)
    private func decode(_ body: ByteBuffer, _ headers: HTTPFields) throws -> InferenceMessage {
        let length = try jsonLength(headers)
        return try body.withUnsafeReadableBytes {
            try InferenceMessage(decoding: $0, jsonLength: length, as: .inputs)
        }
    }

    private func respond(
        to message: InferenceMessage, of received: Int, with answer: InferenceMessage,
        since start: ContinuousClock.Instant
    ) throws -> Response {
        var answer = answer
        (answer.modelName, answer.modelVersion) = (name, "1")
        let sendsBytes = message.parameters["binary_data_output"] == .bool(true)
        let encoded = try answer.encoded(as: .outputs) { name in
            message.requested?.first { $0.name == name }?.isBinary ?? sendsBytes
        }
        var headers: HTTPFields = [
            .contentType: encoded.jsonLength == nil ? "application/json" : "application/octet-stream"
        ]
        if let length = encoded.jsonLength { headers.jsonLength = "\(length)" }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        service.metrics.inferred(seconds: seconds, received: received, sent: encoded.bytes.count)
        let windows = message.tensors.first?.tensor.shape.first ?? 0
        logger.info("\(windows) windows in \(String(format: "%.3f", seconds)) s")
        return Response(
            status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: encoded.bytes)))
    }

    private func jsonLength(_ headers: HTTPFields) throws -> Int? {
        guard let text = headers.jsonLength else { return nil }
        guard let length = Int(text), length >= 0 else {
            throw RequestError("\(InferenceMessage.lengthHeader) is '\(text)'; expected a number of bytes")
        }
        return length
    }
}

/// A server that could not listen.
public struct ModelServerError: LocalizedError, CustomStringConvertible {
    /// The address.
    public let address: String

    /// What the system says.
    public let reason: String

    /// The address and what the system says.
    public var description: String { "cannot listen on \(address): \(reason); choose another host or port" }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}

extension HTTPFields {
    /// The header that says how many bytes of a body are JSON.
    fileprivate var jsonLength: String? {
        get { self[.init(InferenceMessage.lengthHeader)!] }
        set { self[.init(InferenceMessage.lengthHeader)!] = newValue }
    }
}

private func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Response(
        status: status, headers: [.contentType: "application/json"],
        body: .init(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
}
