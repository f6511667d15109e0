import Foundation
import VolumeFigures
import VoxelBridge

/// Degrades a real brain as a slice-wise method would, translates it to the style of the original, and measures how
/// close the result is.
///
///     Harmonisation [folder for the results] [a skull-stripped brain, .nii or .nii.gz]
///
/// It exits with an error unless the result is closer to the original by every metric.
@main
struct Harmonisation {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        let folder = URL(filePath: arguments.first ?? "build/harmonise", directoryHint: .isDirectory)
        // Colin 27, the skull-stripped average of 27 scans of one person, from Debian's mricron-data.
        let brain = arguments.dropFirst().first ?? "/usr/share/mricron/templates/ch2bet.nii.gz"
        do {
            try await run(brain: brain, folder: folder)
        } catch {
            log("Error: \(error)\n")
            exit(1)
        }
    }

    static func run(brain: String, folder: URL) async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let reference = try RescaleIntensity().apply(to: Volume(contentsOf: brain)).volume
        let source = SliceWiseMethod()(reference)
        let style = try StyleKey(of: reference, intensities: RescaleIntensity(.unit))

        // One step: this denoiser's estimate depends on neither the noisy slices nor the timestep.
        let scheduler = Scheduler(BrownianBridge(), timesteps: [0])
        let denoiser = HistogramMatchingDenoiser()
        let samplers: KeyValuePairs = [
            "Independent windows": SliceSampler(scheduler: scheduler, denoiser: denoiser, aggregation: nil),
            "Co-prediction": SliceSampler(scheduler: scheduler, denoiser: denoiser),
        ]
        var comparison = Comparison(with: reference)
        let before = try comparison.add(source, name: "Source")
        var (result, after) = (source, before)
        for (name, sampler) in samplers {
            result = try await translate(source, style: style, sampler: sampler, name: name)
            after = try comparison.add(result, name: name)
        }
        let table = try comparison.table()
        print("\n\(table)")

        try reference.write(to: folder.appending(path: "reference.nii.gz"))
        try source.write(to: folder.appending(path: "spoiled.nii.gz"))
        try result.write(to: folder.appending(path: "restored.nii.gz"))
        try Data(table.utf8).write(to: folder.appending(path: "metrics.md"), options: .atomic)
        try montage(source: source, result: result, reference: reference)
            .write(to: folder.appending(path: "montage.png"))

        guard after.isBetter(than: before) else { throw NotBetter() }
        print(whatToDoNext(folder.relativePath))
    }

    /// Translates a volume, and reports progress and duration.
    static func translate(
        _ source: Volume, style: StyleKey, sampler: SliceSampler<HistogramMatchingDenoiser>, name: String
    ) async throws -> Volume {
        let translator = VolumeTranslator(preprocessing: .brain(spacing: 1), sampler: sampler)
        let start = ContinuousClock.now
        let isTerminal = isatty(STDERR_FILENO) == 1
        let result = try await translator.translate(source, style: style) { progress in
            guard isTerminal else { return }
            log("\r\(name): \(Int(progress.fractionCompleted * 100)) %")
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        log((isTerminal ? "\r\u{1B}[K" : "") + "\(name): \(String(format: "%.1f s", seconds))\n")
        return result
    }

    /// All rows with the same intensity window, so that their contrast can be compared.
    static func montage(source: Volume, result: Volume, reference: Volume) -> Montage {
        // The sagittal slice goes through one hemisphere: the midline shows little brain.
        let centre = reference.grid.world(atVoxel: SIMD3<Double>(reference.shape &- 1) / 2)
        return Montage(
            rows: [
                .init(source, label: "Source (spoiled)", window: 0...1),
                .init(result, label: "Result (restored)", window: 0...1),
                .init(reference, label: "Reference", window: 0...1),
            ],
            at: centre + SIMD3(25, 0, 0))
    }

    static func whatToDoNext(_ folder: String) -> String {
        """
        Results are in \(folder):
          montage.png                          source, result and reference, side by side
          metrics.md                           the table above
          spoiled, restored, reference.nii.gz  the volumes, for any viewer

        The same with the command line tool:
          swift run -c release voxelbridge translate \(folder)/spoiled.nii.gz \(folder)/translated.nii.gz \\
              --model histogram --style \(folder)/reference.nii.gz
          swift run -c release voxelbridge evaluate \(folder)/translated.nii.gz \(folder)/reference.nii.gz
        """
    }

    static func log(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// The result is not better than the source.
struct NotBetter: LocalizedError, CustomStringConvertible {
    let description = """
        the result is not better than the source: PSNR and SSIM must be higher, and the difference between slices \
        closer to the reference's
        """
    var errorDescription: String? { description }
}
