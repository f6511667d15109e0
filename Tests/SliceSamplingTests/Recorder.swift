import SliceSampling
import Synchronization

/// Keeps the reports of a run.
final class Recorder: Sendable {
    private let stored = Mutex<[SamplingProgress]>([])

    var reports: [SamplingProgress] { stored.withLock { $0 } }

    func append(_ report: SamplingProgress) { stored.withLock { $0.append(report) } }
}

/// Counts from several tasks at once.
final class Counter: Sendable {
    private let stored = Mutex(0)

    var value: Int { stored.withLock { $0 } }

    func increment(by count: Int = 1) { stored.withLock { $0 += count } }
}
