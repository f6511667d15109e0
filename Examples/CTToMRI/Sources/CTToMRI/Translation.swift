import Foundation
import VoxelBridge

extension VolumeTranslator {
    /// Translates a volume, and reports progress and duration on standard error.
    func translate(_ source: Volume, style: StyleKey, name: String) async throws -> Volume {
        let start = ContinuousClock.now
        let isTerminal = isatty(STDERR_FILENO) == 1
        let result = try await translate(source, style: style) { progress in
            guard isTerminal else { return }
            let share = Int(progress.fractionCompleted * 100)
            log("\r\(name): \(share) %, step \(progress.step) of \(progress.steps)\u{1B}[K")
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        log((isTerminal ? "\r\u{1B}[K" : "") + "\(name): \(String(format: "%.1f s", seconds))\n")
        return result
    }
}

private func log(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
