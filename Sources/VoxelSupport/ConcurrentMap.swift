import Dispatch

/// The results of `body` for `0..<count`, each computed whole on one thread.
package func concurrentMap<Result: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Result) -> [Result] {
    guard count > 1 else { return (0..<count).map(body) }
    return [Result](unsafeUninitializedCapacity: count) { results, initialized in
        // Each iteration initialises an element of its own.
        nonisolated(unsafe) let results = results
        DispatchQueue.concurrentPerform(iterations: count) { index in
            (results.baseAddress! + index).initialize(to: body(index))
        }
        initialized = count
    }
}
