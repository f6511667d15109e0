/// The moment at which long work of a task stops.
///
/// ```swift
/// try await TimeLimit.$end.withValue(.now + .seconds(60)) { try await work() }      // work() calls TimeLimit.check()
/// ```
package enum TimeLimit {
    /// The moment, or nil for no limit. Threads outside the task do not see it unless it is set for them.
    @TaskLocal package static var end: ContinuousClock.Instant?

    /// - Throws: ``TimeIsUp`` after the end; `CancellationError` if the task is cancelled.
    package static func check() throws {
        try Task.checkCancellation()
        if let end, ContinuousClock.now >= end { throw TimeIsUp() }
    }
}

/// The time for some work is over, and the work is not done.
package struct TimeIsUp: Error, CustomStringConvertible {
    package init() {}
    package var description: String { "the time is over" }
}
