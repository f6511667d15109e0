import Foundation
import Synchronization
import VoxelBridge

/// Shows how far a run has come and how long it will take: on a terminal a line that is drawn anew, elsewhere
/// a plain line now and then.
final class ProgressLine: Sendable {
    private struct State {
        var lastShown: ContinuousClock.Instant?
        /// When the first report came: what went before it says nothing of the pace.
        var firstReport: (time: ContinuousClock.Instant, done: Int)?
    }

    private let label: String
    private let isTerminal: Bool
    private let state = Mutex(State())

    /// A line for standard error.
    init(label: String) {
        self.label = label
        isTerminal = isatty(STDERR_FILENO) == 1
    }

    /// Shows how far sampling has come.
    func show(_ progress: SamplingProgress) {
        show(
            Int(progress.fractionCompleted * 1_000_000), of: 1_000_000,
            detail: "step \(progress.step) of \(progress.steps)")
    }

    /// Shows how much of the work is done, unless that was shown a moment ago.
    func show(_ done: Int, of all: Int, detail: String) {
        let now = ContinuousClock.now
        let isLast = done == all
        let text: String? = state.withLock { state in
            let interval: Duration = isTerminal ? .milliseconds(100) : .seconds(10)
            let first = state.firstReport ?? (now, done)
            state.firstReport = first
            // Nothing is shown of work that is done in two seconds.
            guard now - first.time > .seconds(2) else { return nil }
            if let last = state.lastShown, now - last < interval, !isLast { return nil }
            state.lastShown = now
            return line(done, of: all, detail, since: first.done, elapsed: now - first.time)
        }
        guard let text else { return }
        let ending = isTerminal ? (isLast ? "\u{1B}[K\n" : "\u{1B}[K") : "\n"
        FileHandle.standardError.write(Data(((isTerminal ? "\r" : "") + text + ending).utf8))
    }

    private func line(
        _ done: Int, of all: Int, _ detail: String, since first: Int, elapsed: Duration
    ) -> String {
        let share = Double(done) / Double(all)
        let remaining = elapsed / Double(done - first) * Double(all - done)
        let percent = Int((share * 100).rounded(.down))
        var text = "\(label) \(percent) %, \(detail)"
        if isTerminal {
            let width = 24
            let filled = Int(share * Double(width))
            let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled)
            text = "\(label) [\(bar)] \(percent) %, \(detail)"
        }
        return text
            + (share < 1 ? ", \(Self.text(of: remaining)) remaining" : ", done in \(Self.text(of: elapsed))")
    }

    /// A duration in the two units that matter.
    static func text(of duration: Duration) -> String {
        let seconds = Int(duration.components.seconds)
        return seconds >= 3600
            ? String(format: "%d h %02d min", seconds / 3600, seconds / 60 % 60)
            : seconds >= 60 ? String(format: "%d min %02d s", seconds / 60, seconds % 60) : "\(seconds) s"
    }
}
