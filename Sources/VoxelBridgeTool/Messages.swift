import ArgumentParser
import BridgeTraining
import Foundation
import Logging
import Synchronization
import VoxelBridge
import VoxelSupport

/// The verbosity of a command.
struct LoggingOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Print debug messages.")
    var verbose = false

    @Flag(name: .shortAndLong, help: "Print errors only, without progress.")
    var quiet = false

    func validate() throws {
        if verbose && quiet {
            throw ValidationError("--verbose and --quiet cannot be used together; give only one")
        }
    }

    /// A logger that writes plain lines to standard error.
    var logger: Logger {
        var logger = Logger(label: "voxelbridge") { _ in StandardErrorLog() }
        logger.logLevel = verbose ? .debug : quiet ? .error : .info
        return logger
    }
}

/// Writes each message to standard error as a line, with its level from warnings up.
private struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let prefix = event.level >= .warning ? "\(event.level.rawValue.capitalized): " : ""
        writeMessage("\(prefix)\(event.message)\n")
    }
}

/// Shows progress and the remaining time: in a terminal on a line that is redrawn, otherwise on a new line at intervals.
final class ProgressLine: Sendable {
    private struct State {
        var lastShown: ContinuousClock.Instant?
        /// The first report, from which the speed is measured.
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

    /// Shows the progress of sampling.
    func show(_ progress: SamplingProgress) {
        show(
            Int(progress.fractionCompleted * 1_000_000), of: 1_000_000,
            detail: "step \(progress.step) of \(progress.steps)")
    }

    /// Shows that a number of units is done, unless the line has just been updated.
    func show(_ done: Int, of all: Int, detail: String) {
        let now = ContinuousClock.now
        let isLast = done == all
        let text: String? = state.withLock { state in
            let interval: Duration = isTerminal ? .milliseconds(100) : .seconds(10)
            let first = state.firstReport ?? (now, done)
            state.firstReport = first
            // Work of up to two seconds shows no progress.
            guard now - first.time > .seconds(2) else { return nil }
            if let last = state.lastShown, now - last < interval, !isLast { return nil }
            state.lastShown = now
            return line(done, of: all, detail, since: first.done, elapsed: now - first.time)
        }
        guard let text else { return }
        let ending = isTerminal ? (isLast ? "\u{1B}[K\n" : "\u{1B}[K") : "\n"
        writeMessage((isTerminal ? "\r" : "") + text + ending)
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

    /// A duration in its two largest units.
    static func text(of duration: Duration) -> String {
        let seconds = Int(duration.components.seconds)
        return seconds >= 3600
            ? String(format: "%d h %02d min", seconds / 3600, seconds / 60 % 60)
            : seconds >= 60 ? String(format: "%d min %02d s", seconds / 60, seconds % 60) : "\(seconds) s"
    }
}

/// Shows the progress of training, as `ProgressLine` does.
final class TrainingLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastShown: ContinuousClock.Instant?

    func show(_ progress: TrainingProgress) {
        let now = ContinuousClock.now
        let interval: Duration = isTerminal ? .milliseconds(200) : .seconds(30)
        if let lastShown, now - lastShown < interval { return }
        lastShown = now
        let text = String(
            format: "Step %d of %d, loss %.4f, rate %.2g, %.2f examples/s, %@ remaining", progress.step,
            progress.steps, progress.loss, progress.learningRate, progress.examplesPerSecond,
            ProgressLine.text(of: progress.remaining))
        writeMessage(isTerminal ? "\r\(text)\u{1B}[K" : "\(text)\n")
    }

    /// Clears the line before a message.
    func clear() { if isTerminal, lastShown != nil { writeMessage("\r\u{1B}[K") } }
}

/// Writes text to standard error, or nothing if that is closed or full. Lines are cut, as they may hold names from files.
func writeMessage(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        let start = line.unicodeScalars.prefix(4096)
        return start.endIndex == line.endIndex ? String(line) : String(start) + "..."
    }
    StandardStreams.writeError(lines.joined(separator: "\n"))
}
