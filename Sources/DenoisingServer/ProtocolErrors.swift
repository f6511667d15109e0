import Foundation
import Hummingbird
import InferenceProtocol
import Logging
import Synchronization

/// Answers errors as the protocol does, `{"error": "..."}`, checks the token, and counts answers.
struct ProtocolErrors<Context: RequestContext>: RouterMiddleware {
    let service: InferenceService
    let token: String?
    let logger: Logger

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            try authorize(request)
            response = try await next(request, context)
        } catch {
            let failure = StatusError(describing: error, path: request.uri.path)
            response = failure.response
            logger.log(
                level: failure.status.code >= 500 ? .error : .info,
                "\(request.method.rawValue) \(request.uri.path): \(failure.status.code), \(failure.reason.shortened)"
            )
        }
        service.metrics.answered(status: response.status.code)
        return response
    }

    private func authorize(_ request: Request) throws {
        guard let token, !request.uri.path.hasPrefix("/v2/health/") else { return }
        let (given, expected) = (
            Array((request.headers[.authorization] ?? "").utf8), Array("Bearer \(token)".utf8)
        )
        // In a time that does not tell how much of it was right.
        let difference = expected.indices.reduce(UInt8(given.count == expected.count ? 0 : 1)) {
            $0 | (expected[$1] ^ (given.indices.contains($1) ? given[$1] : 0))
        }
        guard difference == 0 else {
            throw StatusError(
                .unauthorized,
                request.headers[.authorization] == nil
                    ? "this server requires a token: send 'Authorization: Bearer TOKEN'"
                    : "the token is not valid for this server")
        }
    }
}

/// An answer that is an error.
struct StatusError: Error {
    let status: HTTPResponse.Status
    let reason: String

    init(_ status: HTTPResponse.Status, _ reason: String) { (self.status, self.reason) = (status, reason) }

    /// The answer to a request that failed.
    init(describing error: any Error, path: String) {
        switch error {
        case let error as StatusError: self = error
        case is RequestError, is InferenceMessageError: self.init(.badRequest, "\(error)")
        case let error as any HTTPResponseError:
            let known: [HTTPResponse.Status: String] = [
                .notFound: "there is nothing at \(path)",
                .methodNotAllowed: "the method is not allowed for \(path)",
            ]
            self.init(error.status, known[error.status] ?? error.status.reasonPhrase)
        case is CancellationError: self.init(.serviceUnavailable, "the server is stopping")
        default: self.init(.internalServerError, "\(error)")
        }
    }

    var response: Response {
        let text = (try? JSONEncoder().encode(["error": reason])).map { [UInt8]($0) } ?? []
        var headers: HTTPFields = [.contentType: "application/json"]
        if status == .serviceUnavailable { headers[.retryAfter] = "1" }
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: text)))
    }
}

/// Lets a limited number of requests in, before anything of them is read.
final class RequestGate: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    init(_ limit: Int) { self.limit = limit }

    /// Runs `body`.
    ///
    /// - Throws: ``StatusError`` with 503 if the limit is reached.
    func with<Result>(_ body: () async throws -> Result) async throws -> Result {
        let isLetIn = count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
        guard isLetIn else {
            throw StatusError(.serviceUnavailable, "\(limit) requests are being served; try again later")
        }
        defer { count.withLock { $0 -= 1 } }
        return try await body()
    }
}
