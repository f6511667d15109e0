import Foundation
import VolumeTranslation

/// Translates a volume, and says on standard error how far it is and how long it took.
func translate(
    _ source: Volume, style: StyleKey, sampler: SliceSampler<UNetDenoiser>, name: String
) async throws -> Volume {
    let settings = sampler.denoiser.network.translation ?? TranslationSettings()
    let translator = VolumeTranslator(preprocessing: .brain(spacing: settings.spacing), sampler: sampler)
    let start = ContinuousClock.now
    let isTerminal = isatty(STDERR_FILENO) == 1
    let result = try await translator.translate(source, style: style) { progress in
        guard isTerminal else { return }
        let share = Int(progress.fractionCompleted * 100)
        log("\r\(name): \(share) %, step \(progress.step) of \(progress.steps)\u{1B}[K")
    }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    log((isTerminal ? "\r\u{1B}[K" : "") + "\(name): \(String(format: "%.1f s", seconds))\n")
    return result
}

func log(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
