import SliceSampling
import Synchronization

/// Keeps the reports of a run.
final class Recorder: Sendable {
    private let stored = Mutex<[SamplingProgress]>([])

    var reports: [SamplingProgress] { stored.withLock { $0 } }

    func append(_ report: SamplingProgress) { stored.withLock { $0.append(report) } }
}
