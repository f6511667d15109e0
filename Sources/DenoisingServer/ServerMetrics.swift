import Synchronization

/// What the server has done so far, in Prometheus' text format.
final class ServerMetrics: Sendable {
    private struct State {
        var requests: [Int: Int] = [:]
        var windows = 0
        var computeSeconds = 0.0
        var requestSeconds = Histogram()
        var received = 0
        var sent = 0
        var waiting = 0
        var computing = 0
    }

    private struct Histogram {
        static let bounds = [0.005, 0.02, 0.1, 0.5, 2, 10, 60]
        var counts = [Int](repeating: 0, count: bounds.count)
        var count = 0
        var sum = 0.0

        mutating func add(_ seconds: Double) {
            for (index, bound) in Self.bounds.enumerated() where seconds <= bound { counts[index] += 1 }
            count += 1
            sum += seconds
        }
    }

    private let state = Mutex(State())

    /// A request has been answered.
    func answered(status: Int) { state.withLock { $0.requests[status, default: 0] += 1 } }

    /// An inference has been made.
    func inferred(seconds: Double, received: Int, sent: Int) {
        state.withLock {
            $0.requestSeconds.add(seconds)
            $0.received += received
            $0.sent += sent
        }
    }

    /// Windows wait for a thread.
    func wait(_ windows: Int) { state.withLock { $0.waiting += windows } }

    /// A window that waited is computed.
    func start() {
        state.withLock {
            $0.waiting -= 1
            $0.computing += 1
        }
    }

    /// A window has been computed, or has failed.
    func finish(seconds: Double, isComputed: Bool) {
        state.withLock {
            $0.computing -= 1
            if isComputed { $0.windows += 1 }
            $0.computeSeconds += seconds
        }
    }

    var text: String {
        let state = state.withLock { $0 }
        var lines: [String] = []
        func add(_ name: String, _ type: String, _ help: String, _ samples: [(String, String)]) {
            lines += ["# HELP voxelbridge_\(name) \(help)", "# TYPE voxelbridge_\(name) \(type)"]
            lines += samples.map { "voxelbridge_\(name)\($0.0) \($0.1)" }
        }
        add(
            "requests_total", "counter", "Requests answered, by status.",
            state.requests.sorted { $0.key < $1.key }.map { ("{status=\"\($0.key)\"}", "\($0.value)") })
        add("windows_total", "counter", "Windows computed.", [("", "\(state.windows)")])
        add(
            "compute_seconds_total", "counter", "Seconds that threads spent on windows.",
            [("", "\(state.computeSeconds)")])
        add("received_bytes_total", "counter", "Bytes of inference requests.", [("", "\(state.received)")])
        add("sent_bytes_total", "counter", "Bytes of inference answers.", [("", "\(state.sent)")])
        add("queue_windows", "gauge", "Windows that wait for a thread.", [("", "\(state.waiting)")])
        add("computing_windows", "gauge", "Windows that are being computed.", [("", "\(state.computing)")])
        let seconds = state.requestSeconds
        add(
            "inference_seconds", "histogram", "Seconds of an inference, its wait included.",
            zip(Histogram.bounds, seconds.counts).map { ("_bucket{le=\"\($0)\"}", "\($1)") } + [
                ("_bucket{le=\"+Inf\"}", "\(seconds.count)"), ("_sum", "\(seconds.sum)"),
                ("_count", "\(seconds.count)"),
            ])
        return lines.joined(separator: "\n") + "\n"
    }
}
