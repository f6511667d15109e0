import Dispatch

/// Runs `body` on parts of `0..<count`, of `size` each but the last, on all cores.
///
/// `body` must write to no place that it writes to for another part. The result is then the same on any number of cores.
package func inRuns(of count: Int, by size: Int, _ body: (Range<Int>) -> Void) {
    let runs = (count + size - 1) / size
    guard runs > 1 else {
        if count > 0 { body(0..<count) }
        return
    }
    // The call returns after all parts, and what they share is only read.
    nonisolated(unsafe) let body = body
    DispatchQueue.concurrentPerform(iterations: runs) { run in
        body(run * size..<min((run + 1) * size, count))
    }
}
