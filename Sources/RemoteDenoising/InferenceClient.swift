import AsyncHTTPClient
import Foundation
import InferenceProtocol
import VolumeTranslation
import VoxelSupport

/// One server.
struct InferenceClient: Sendable {
    /// Its address, without a slash at its end.
    let address: String
    let http: HTTPConnections
    let options: RemoteOptions
    /// Whether tensors travel as bytes.
    var sendsBytes = false

    /// - Throws: ``RemoteDenoisingError/address(_:)``.
    init(_ address: String, http: HTTPConnections, options: RemoteOptions) throws {
        var text = Substring(address)
        while text.hasSuffix("/") { text = text.dropLast() }
        if text.hasSuffix("/v2") { text = text.dropLast(3) }
        guard let url = URL(string: String(text)), ["http", "https"].contains(url.scheme), url.host() != nil
        else { throw RemoteDenoisingError.address(address) }
        (self.address, self.http, self.options) = (String(text), http, options)
    }

    // MARK: Requests

    /// Checks that server and model are ready, and reads what they are.
    func connect(to model: RemoteModel) async throws -> (client: InferenceClient, model: ResolvedModel) {
        _ = try await send("/v2/health/ready")
        _ = try await send("\(Self.path(of: model))/ready")
        let server = try decode(ServerMetadata.self, try await send("/v2").body)
        let metadata = try decode(ModelMetadata.self, try await send(Self.path(of: model)).body)
        var client = self
        client.sendsBytes =
            switch options.encoding {
            case .automatic: server.extensions?.contains(ServerMetadata.binaryExtension) ?? false
            case .binary: true
            case .json: false
            }
        let resolved = try ResolvedModel(model, metadata, server: address)
        if !client.sendsBytes, let half = resolved.inputs.first(where: { [.f16, .bf16].contains($0.type) }) {
            throw RemoteDenoisingError.mismatch(
                server: address,
                reason: "\(half.type.inferenceName) travels as bytes only, by the extension "
                    + ServerMetadata.binaryExtension,
                found: "the extensions \(server.extensions ?? [])")
        }
        return (client, resolved)
    }

    /// The model's answer, and what travelled.
    func infer(
        _ message: InferenceMessage, with model: RemoteModel, expecting values: Int
    ) async throws -> (answer: InferenceMessage, sent: Int, received: Int) {
        var message = message
        message.requested = [.init(name: model.output, isBinary: sendsBytes)]
        let request: (bytes: [UInt8], jsonLength: Int?)
        do { request = try message.encoded(as: .inputs) { _ in sendsBytes } } catch {
            throw RemoteDenoisingError.input(reason: "\(error)")
        }
        // A number takes up to 8 bytes, or 25 characters of JSON.
        let answer = try await send(
            "\(Self.path(of: model))/infer", body: request, limit: values * 40 + 1 << 20)
        do {
            return (
                try answer.body.withUnsafeBytes {
                    try InferenceMessage(decoding: $0, jsonLength: answer.jsonLength, as: .outputs)
                }, request.bytes.count, answer.body.count
            )
        } catch { throw AnswerError("an invalid answer: \(error)") }
    }

    private static func path(of model: RemoteModel) -> String {
        let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: "/"))
        func escaped(_ text: String) -> String {
            text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
        }
        return "/v2/models/\(escaped(model.name))"
            + (model.version.map { "/versions/\(escaped($0))" } ?? "")
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ body: [UInt8]) throws -> Value {
        do { return try JSONDecoder().decode(type, from: Data(body)) } catch {
            throw AnswerError("its description is not one of the Open Inference Protocol")
        }
    }

    // MARK: HTTP

    private struct Answer: Sendable {
        var status: Int
        var retryAfter: Double?
        var jsonLength: Int?
        var body: [UInt8]
    }

    /// The answer with status 200.
    ///
    /// - Throws: ``Busy`` where the server asks to come back later; ``RemoteDenoisingError/refused(server:status:reason:)``
    ///   where it refuses; ``AnswerError`` or what the connection throws for all else.
    private func send(
        _ path: String, body: (bytes: [UInt8], jsonLength: Int?)? = nil, limit: Int = 1 << 20
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: address + path)
        for (name, value) in options.headers { request.headers.replaceOrAdd(name: name, value: value) }
        if let token = options.token {
            request.headers.replaceOrAdd(name: "Authorization", value: "Bearer \(token)")
        }
        if let body {
            request.method = .POST
            request.body = .bytes(body.bytes)
            request.headers.replaceOrAdd(
                name: "Content-Type",
                value: body.jsonLength == nil ? "application/json" : "application/octet-stream")
            if let length = body.jsonLength {
                request.headers.replaceOrAdd(name: InferenceMessage.lengthHeader, value: "\(length)")
            }
        }
        let answer = try await withTimeLimit(options.timeout) { [request, http] in
            // The time limit is kept here: it holds for the body too.
            let (response, bytes) = try await http.response(to: request, limit: limit)
            return Answer(
                status: Int(response.status.code),
                retryAfter: response.headers.first(name: "Retry-After").flatMap { Double($0) }
                    .flatMap { (0...86_400).contains($0) ? $0 : nil },
                jsonLength: response.headers.first(name: InferenceMessage.lengthHeader).flatMap { Int($0) },
                body: bytes)
        }
        let reason = answer.status == 200 ? "" : Self.reason(in: answer.body)
        switch answer.status {
        case 200: return answer
        case 429, 503: throw Busy(status: answer.status, retryAfter: answer.retryAfter, reason: reason)
        case 408: throw AnswerError("status 408: \(reason)")
        case 400..<500:
            throw RemoteDenoisingError.refused(server: address, status: answer.status, reason: reason)
        default: throw AnswerError("status \(answer.status): \(reason)")
        }
    }

    /// What a server says of an error: a field of a JSON object, or text.
    private static func reason(in body: [UInt8]) -> String {
        let json = try? JSONValue(parsing: Data(body))
        for field in ["error", "detail", "message"] {
            if case .string(let text) = json?[field] { return text.shortened }
        }
        let text = String(decoding: body.prefix(1000), as: UTF8.self).shortened
        return text.isEmpty ? "no reason given" : text
    }
}

/// The answer of a server that has too much to do.
struct Busy: Error, CustomStringConvertible {
    let status: Int
    let retryAfter: Double?
    let reason: String
    var description: String { "status \(status): \(reason)" }
}

/// Runs `body`, which observes cancellation, for a limited time.
///
/// - Throws: ``AnswerError`` after that time.
private func withTimeLimit<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw AnswerError("no answer within \(limit)")
        }
        defer { group.cancelAll() }
        return try await group.next()!
    }
}

/// The connections to all servers, closed when no one uses them any more.
final class HTTPConnections: Sendable {
    let client: HTTPClient
    /// The time limit of establishing a connection, in seconds.
    private let connectTimeout: Double

    init(_ options: RemoteOptions) {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        if let certificates = options.certificates {
            var tls = HTTPClient.Configuration().tlsConfiguration ?? .makeClientConfiguration()
            tls.trustRoots = .file(certificates.path)
            configuration.tlsConfiguration = tls
        }
        let seconds = options.connectTimeout / .seconds(1)
        connectTimeout = seconds
        configuration.timeout.connect = .nanoseconds(Int64(seconds * 1e9))
        // What fails is tried again by the pool, which knows other servers.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// The answer to a request, with its body.
    ///
    /// - Parameter limit: the most bytes that the body may have.
    /// - Throws: ``AnswerError`` with a reason in words, in place of the names of the libraries' errors.
    func response(
        to request: HTTPClientRequest, limit: Int
    ) async throws -> (head: HTTPClientResponse, body: [UInt8]) {
        do {
            let response = try await client.execute(request, deadline: .distantFuture)
            let length = response.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
            let tooLarge = AnswerError("an answer of more than \(limit) bytes")
            guard length <= limit else { throw tooLarge }
            var body: [UInt8] = []
            body.reserveCapacity(max(length, 0))
            for try await part in response.body {
                guard part.readableBytes <= limit - body.count else { throw tooLarge }
                body += part.readableBytesView
            }
            return (response, body)
        } catch {
            if let text = explanation(of: error) { throw AnswerError(text) }
            throw error
        }
    }

    /// A connection's error in words; nil for any other.
    private func explanation(of error: any Error) -> String? {
        let known = error as? HTTPClientError
        if known == .connectTimeout {
            return "no connection within \(String(format: "%g", connectTimeout)) s"
        }
        if known == .remoteConnectionClosed { return "the server closed the connection" }
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is not signed by a trusted authority; add the authority with "
                + "RemoteOptions.certificates or --certificates FILE.pem"
        }
        return text.contains("handshakeFailed") ? "it does not accept TLS; use http:// or check the port" : nil
    }

    deinit { client.shutdown { _ in } }
}
