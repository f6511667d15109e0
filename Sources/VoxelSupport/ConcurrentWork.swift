import Dispatch
import Synchronization

/// Runs `body` for each index of `0..<count`, several at once.
///
/// `body` must write to no place that it writes to for another index. The result is then the same on any number of
/// cores.
///
/// - Parameters:
///   - count: the number of indices.
///   - threads: how many run at once at most; all cores by default.
///   - body: takes an index.
package func concurrentForEach(_ count: Int, threads: Int = .max, _ body: (Int) -> Void) {
    let width = min(count, threads)
    guard width > 1 else { return (0..<max(0, count)).forEach(body) }
    // The call returns after all of them, and what they share is only read.
    nonisolated(unsafe) let body = body
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: width) { _ in
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            body(index)
        }
    }
}

/// Runs `body` on parts of `0..<count`, of `size` each but the last, on all cores, as ``concurrentForEach(_:threads:_:)``.
package func concurrentRuns(of count: Int, by size: Int, _ body: (Range<Int>) -> Void) {
    concurrentForEach((count + size - 1) / size) { run in body(run * size..<min((run + 1) * size, count)) }
}

/// The results of `body` for `0..<count`, in order, each computed whole on one thread.
///
/// - Parameters:
///   - count: the number of results.
///   - threads: how many are computed at once at most; all cores by default.
///   - body: computes the result of an index.
/// - Throws: the error of the first index that has one.
package func concurrentMap<Element: Sendable, Failure: Error>(
    _ count: Int, threads: Int = .max, _ body: @Sendable (Int) throws(Failure) -> Element
) throws(Failure) -> [Element] {
    // Swift notes the count of an array without room in the empty array that all share: a race, though a harmless one.
    guard count > 0 else { return [] }
    let results = [Result<Element, Failure>](unsafeUninitializedCapacity: count) { results, initialized in
        concurrentForEach(count, threads: threads) { index in
            let result = Result { () throws(Failure) in try body(index) }
            (results.baseAddress! + index).initialize(to: result)
        }
        initialized = count
    }
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for result in results { elements.append(try result.get()) }
    return elements
}
