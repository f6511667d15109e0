import InferenceProtocol
import Synchronization

/// Servers that have the same model. A request goes to the one with the fewest, and to another one where it fails.
final class ServerPool: Sendable {
    typealias Instant = ContinuousClock.Instant

    private struct Server {
        /// Requests that it has at the moment.
        var load = 0
        /// Failures since its last answer, and how often it was busy since.
        var failures = 0
        var refusals = 0
        var lastFailure: (time: Instant, reason: String)?
        /// It gets no request before this.
        var waitsUntil: Instant?
        /// It is left out until this, and then gets one request.
        var leftOutUntil: Instant?
    }

    private enum Choice {
        case server(Int)
        case wait(until: Instant)
        case none
    }

    private let clients: [InferenceClient]
    private let options: RemoteOptions
    private let onEvent: (@Sendable (RemoteEvent) -> Void)?
    private let servers: Mutex<[Server]>

    init(
        _ clients: [InferenceClient], options: RemoteOptions, onEvent: (@Sendable (RemoteEvent) -> Void)?
    ) {
        (self.clients, self.options, self.onEvent) = (clients, options, onEvent)
        servers = Mutex([Server](repeating: Server(), count: clients.count))
    }

    /// Performs a request with one server after another until it succeeds.
    ///
    /// - Parameter willRepeat: called before a request that failed is made again.
    /// - Throws: ``RemoteDenoisingError`` where a server refuses the request or none is left; `CancellationError`.
    func perform<Value>(
        willRepeat: () -> Void = {}, _ request: (InferenceClient) async throws -> Value
    ) async throws -> Value {
        var failures = 0
        var busySince: Instant?
        while true {
            try Task.checkCancellation()
            let index: Int
            switch choose() {
            case .server(let chosen): index = chosen
            case .wait(let until):
                try await Task.sleep(until: until, clock: .continuous)
                continue
            case .none: throw noServerLeft()
            }
            let start = Instant.now
            do {
                let value = try await request(clients[index])
                succeeded(index)
                return value
            } catch let error as RemoteDenoisingError {
                servers.withLock { $0[index].load -= 1 }
                throw error
            } catch {
                if Task.isCancelled {
                    servers.withLock { $0[index].load -= 1 }
                    throw CancellationError()
                }
                if let busy = error as? Busy {
                    busySince = busySince ?? start
                    let waited = Instant.now - busySince!
                    if waited + .seconds(busy.retryAfter ?? 0) < options.timeout {
                        turnedAway(index, busy)
                        willRepeat()
                        continue
                    }
                }
                failed(index, since: start, reason: "\(error)")
                failures += 1
                // Where servers fail at one batch and answer others.
                guard failures < options.attempts * clients.count else { throw noServerLeft() }
                willRepeat()
            }
        }
    }

    private func choose() -> Choice {
        let now = Instant.now
        return servers.withLock { servers in
            let candidates = servers.indices.filter { index in
                guard let until = servers[index].leftOutUntil else { return true }
                return until <= now && servers[index].load == 0
            }
            let free = candidates.filter { servers[$0].waitsUntil ?? now <= now }
            if let index = free.min(by: { servers[$0].load < servers[$1].load }) {
                servers[index].load += 1
                return .server(index)
            }
            if let until = candidates.compactMap({ servers[$0].waitsUntil }).min() {
                return .wait(until: until)
            }
            // A server that was left out has its one request at the moment: what comes of it decides.
            let isTried = servers.contains { $0.load > 0 && $0.leftOutUntil ?? now + .seconds(1) <= now }
            return isTried ? .wait(until: now + .milliseconds(20)) : .none
        }
    }

    private func succeeded(_ index: Int) {
        let wasLeftOut = servers.withLock { servers in
            let wasLeftOut = servers[index].leftOutUntil != nil
            servers[index].load -= 1
            (servers[index].failures, servers[index].refusals) = (0, 0)
            (servers[index].waitsUntil, servers[index].leftOutUntil) = (nil, nil)
            return wasLeftOut
        }
        if wasLeftOut { onEvent?(.isBack(server: clients[index].address)) }
    }

    /// A busy server gets no request for the time that it asks for, or one that grows with its refusals, and somewhat longer,
    /// at random.
    private func turnedAway(_ index: Int, _ busy: Busy) {
        servers.withLock { servers in
            servers[index].load -= 1
            servers[index].refusals += 1
            let stated = Duration.seconds((busy.retryAfter ?? 0) * .random(in: 1...1.5))
            servers[index].waitsUntil = .now + max(stated, backoff(servers[index].refusals))
        }
        onEvent?(.retrying(server: clients[index].address, reason: "\(busy)"))
    }

    private func failed(_ index: Int, since start: Instant, reason: String) {
        let isLeftOut = servers.withLock { servers in
            servers[index].load -= 1
            // Requests that were under way together fail together, and count once.
            if let last = servers[index].lastFailure, start < last.time, servers[index].leftOutUntil == nil {
                servers[index].lastFailure?.reason = reason
                return false
            }
            servers[index].failures += 1
            servers[index].lastFailure = (.now, reason)
            guard servers[index].failures < options.attempts, servers[index].leftOutUntil == nil else {
                servers[index].leftOutUntil = .now + options.leftOutFor
                servers[index].waitsUntil = nil
                return true
            }
            servers[index].waitsUntil = .now + backoff(servers[index].failures)
            return false
        }
        let server = clients[index].address
        onEvent?(
            isLeftOut ? .leftOut(server: server, reason: reason) : .retrying(server: server, reason: reason))
    }

    private func backoff(_ count: Int) -> Duration {
        let longest = min(options.backoff * Double(1 << min(count - 1, 20)), .seconds(30))
        return longest * Double.random(in: 0.5...1.5)
    }

    private func noServerLeft() -> RemoteDenoisingError {
        let servers = servers.withLock { $0 }
        return .noServerLeft(
            failures: zip(clients, servers).compactMap { client, server in
                server.lastFailure.map { (client.address, $0.reason) }
            })
    }
}
