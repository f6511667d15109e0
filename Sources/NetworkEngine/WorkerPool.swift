import Synchronization

/// The threads that evaluations of one network share.
///
/// An evaluation that runs alone spreads each layer over all threads; of several at once, each uses its part. No
/// result depends on that: work is split between results, never within one.
final class WorkerPool: Sendable {
    /// The number of threads.
    let threads: Int
    private let running = Atomic<Int>(0)

    init(threads: Int) { self.threads = max(1, threads) }

    /// The calling thread.
    static let alone = WorkerPool(threads: 1)

    /// The threads that an evaluation may use at this moment.
    var width: Int { max(1, threads / max(1, running.load(ordering: .relaxed))) }

    /// Runs an evaluation.
    func withShare<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        running.wrappingAdd(1, ordering: .relaxed)
        defer { running.wrappingSubtract(1, ordering: .relaxed) }
        return try body()
    }

    /// Splits `0..<count`, in whole groups of `group`, into a run for each thread that is free, or for `width`.
    ///
    /// `body` takes a run and the number of its worker, in `0..<threads`; the workers of one call differ.
    func split(
        _ count: Int, by group: Int = 1, width: Int? = nil,
        _ body: @Sendable (Range<Int>, _ worker: Int) -> Void
    ) {
        let groups = (count + group - 1) / group
        let width = min(groups, width ?? self.width)
        guard width > 1 else {
            if count > 0 { body(0..<count, 0) }
            return
        }
        HelperThreads.shared.perform(width) { worker in
            let (first, end) = (groups * worker / width * group, groups * (worker + 1) / width * group)
            body(first..<min(end, count), worker)
        }
    }
}
