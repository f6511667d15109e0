import Dispatch
import Synchronization

/// The threads that evaluations of one network share.
///
/// An evaluation that runs alone spreads each layer over all of them; as more run at once, each gets its part.
/// What is computed never depends on that: work is split between results, never within one.
final class WorkerPool: Sendable {
    /// How many threads there are.
    let threads: Int
    private let running = Atomic<Int>(0)

    init(threads: Int) { self.threads = max(1, threads) }

    /// The calling thread.
    static let alone = WorkerPool(threads: 1)

    /// How many threads an evaluation may use at this moment.
    var width: Int { max(1, threads / max(1, running.load(ordering: .relaxed))) }

    /// Runs an evaluation.
    func withShare<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        running.wrappingAdd(1, ordering: .relaxed)
        defer { running.wrappingSubtract(1, ordering: .relaxed) }
        return try body()
    }

    /// Splits `0..<count`, in whole groups of `group`, into a run for each thread that is free, or for `width`.
    ///
    /// `body` is given its run and which worker it is, from `0..<threads`; no two at a time are the same.
    func split(_ count: Int, by group: Int = 1, width: Int? = nil, _ body: (Range<Int>, _ worker: Int) -> Void)
    {
        let groups = (count + group - 1) / group
        let width = min(groups, width ?? self.width)
        guard width > 1 else {
            if count > 0 { body(0..<count, 0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            // The runs are disjoint, and none is left when this returns.
            nonisolated(unsafe) let body = body
            DispatchQueue.concurrentPerform(iterations: width) { worker in
                let (first, end) = (groups * worker / width * group, groups * (worker + 1) / width * group)
                body(first..<min(end, count), worker)
            }
        }
    }
}
