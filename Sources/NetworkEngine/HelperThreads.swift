import CVoxelKernels
import Dispatch
import Foundation
import Synchronization

/// The threads of the process that take parts of networks' work, for any number of evaluations at once.
///
/// A layer of a small network takes less time than it takes to wake a thread (40 us). So a thread that has done its part
/// looks for the next one for a short while before it sleeps.
final class HelperThreads: Sendable {
    /// There are no more of them than cores, whatever the number of networks.
    static let shared = HelperThreads()

    private struct Helpers {
        /// Those without work; the last has worked last, and sleeps least.
        var free: [Helper] = []
        var started = 0
    }
    // Not a Mutex, which ThreadSanitizer takes for no lock.
    private let lock = NSLock()
    private nonisolated(unsafe) var helpers = Helpers()
    private let cores = ProcessInfo.processInfo.activeProcessorCount

    /// Runs `body` for `0..<count`: 0 on this thread, and each other part on a helper, or here where none is free.
    func perform(_ count: Int, _ body: @Sendable (Int) -> Void) {
        // The call returns after all parts.
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { work in
                let team = take(min(count, cores) - 1)
                for (helper, part) in zip(team, 1...) { helper.offer(work, part) }
                body(0)
                for part in (team.count + 1)..<count { body(part) }
                // A helper that has not come yet, since others use its core, is not waited for.
                for (helper, part) in zip(team, 1...) where helper.takeBack() { body(part) }
                for helper in team { helper.waitUntilDone() }
                lock.withLock { helpers.free += team }
            }
        }
    }

    /// Takes up to `count` free helpers. Starts others for the next call where there are too few.
    private func take(_ count: Int) -> ArraySlice<Helper> {
        lock.withLock {
            let team = helpers.free.suffix(count)
            helpers.free.removeLast(team.count)
            for _ in 0..<min(count - team.count, cores - 1 - helpers.started) {
                helpers.started += 1
                let thread = Thread { [self] in
                    let helper = Helper()
                    // From here on it is there to be taken. A thread that the system does not start never is.
                    lock.withLock { helpers.free.append(helper) }
                    helper.run()
                }
                thread.name = "network helper"
                thread.start()
            }
            return team
        }
    }
}

/// A thread's work, and where it stands.
private final class Helper: Sendable {
    typealias Work = UnsafePointer<@Sendable (Int) -> Void>

    private enum State {
        /// Without work, and looking for it.
        static let idle = 0
        /// Without work, until it is woken.
        static let asleep = 1
        /// With work that it has not begun, and that can be taken back.
        static let offered = 2
        static let busy = 3
        /// Busy, and the other side sleeps until it is done.
        static let awaited = 4
    }
    private let state = Atomic(State.idle)
    private let (wake, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    /// Written before the work is offered, and read after it is begun.
    private nonisolated(unsafe) var next: (work: Work, part: Int)?

    /// Spin iterations before a thread sleeps; about as long as waking it takes.
    private static let looks = 2000

    /// Whether the state was `old`, and is `new` now.
    private func change(_ old: Int, to new: Int) -> Bool {
        state.compareExchange(expected: old, desired: new, ordering: .acquiringAndReleasing).exchanged
    }

    /// Offers a part to a helper without work.
    func offer(_ work: Work, _ part: Int) {
        next = (work, part)
        if state.exchange(State.offered, ordering: .acquiringAndReleasing) == State.asleep { wake.signal() }
    }

    /// Takes back what the helper has not begun.
    func takeBack() -> Bool { change(State.offered, to: State.idle) }

    func waitUntilDone() {
        for _ in 0..<Self.looks {
            if state.load(ordering: .acquiring) < State.busy { return }
            voxel_pause()
        }
        if change(State.busy, to: State.awaited) { done.wait() }
    }

    /// Does parts for ever.
    func run() {
        while true {
            waitForWork()
            if let (work, part) = next { work.pointee(part) }
            if state.exchange(State.idle, ordering: .acquiringAndReleasing) == State.awaited { done.signal() }
        }
    }

    private func waitForWork() {
        while true {
            for _ in 0..<Self.looks {
                if state.load(ordering: .relaxed) == State.offered, change(State.offered, to: State.busy) {
                    return
                }
                voxel_pause()
            }
            // Woken for work that was taken back, it looks again.
            if change(State.idle, to: State.asleep) { wake.wait() }
        }
    }
}
