import ArgumentParser
import Foundation
import LatentTranslation
import VolumeFigures
import VolumeIO
import VolumeMetrics
import VolumePhantoms

/// Translates the T1 image of a subject that was not used in training to T2, FLAIR and proton density.
struct Demonstration: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract:
            "Synthesise a new subject, translate its T1 image to each target, and compare with the truths.")

    @Option(help: "The folder for the results.")
    var output = "build/demo-latent"

    @Option(help: "The 3-D latent model (.safetensors).")
    var model = "Examples/OneToMany/Model/one-to-many.safetensors"

    @Option(help: "The brain from which subjects are deformed (.nii or .nii.gz).")
    var anatomy = "/usr/share/mricron/templates/ch2bet.nii.gz"

    @Option(help: "The subject; the model was trained on 1 to 24 and validated on 25 and 26.")
    var subject = 27

    @Option(help: "Number of steps of the diffusion.")
    var steps = 10

    func validate() throws {
        guard (1...9999).contains(subject) else {
            throw ValidationError("--subject must be from 1 to 9999, but is \(subject)")
        }
    }

    /// A translation beside the truth.
    private struct Result {
        let target: PhantomContrast
        let volume, truth: Volume
        /// PSNR inside the brain, of the translation and of the source with the truth's histogram.
        let psnr, matched: Double
    }

    func run() async throws {
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (images, mask) = try Subjects(anatomy: anatomy).images(of: subject)
        let source = images[.t1]!
        let translator = try LatentVolumeTranslator(
            LatentModel(contentsOf: URL(filePath: model)), steps: steps)
        let encoded = try await translator.encode(source)
        var results: [Result] = []
        for target in Subjects.targets {
            let volume = try await translator.translate(encoded, to: target.rawValue)
            results.append(try compare(volume, source, to: images[target]!, in: mask, target))
        }
        print("\n\(table(results))\n")
        try source.write(to: folder.appending(path: "t1.nii.gz"))
        for result in results {
            try result.volume.write(to: folder.appending(path: "\(result.target.rawValue).nii.gz"))
            try result.truth.write(to: folder.appending(path: "\(result.target.rawValue)-truth.nii.gz"))
        }
        try Data((table(results) + "\n").utf8)
            .write(to: folder.appending(path: "metrics.md"), options: .atomic)
        try montage(source, results).write(to: folder.appending(path: "montage.png"))
        print("Results are in \(output): montage.png, metrics.md, and the volumes")
        for result in results where result.psnr < result.matched + 3 {
            print(
                "Note: the translation to \(result.target.rawValue) is less than 3 dB closer to the truth than the T1 image "
                    + "with the truth's histogram")
        }
    }

    private func compare(
        _ volume: Volume, _ source: Volume, to truth: Volume, in mask: Volume, _ target: PhantomContrast
    ) throws -> Result {
        let psnr = PSNR(dataRange: .fixed(1))
        let matched = try IntensityMatching.key(source, to: truth, mask: mask)
        return Result(
            target: target, volume: volume, truth: truth, psnr: try psnr(volume, against: truth, mask: mask),
            matched: try psnr(matched, against: truth, mask: mask))
    }

    private func table(_ results: [Result]) -> String {
        let rows = results.map { result in
            "| \(result.target.rawValue.padding(toLength: 6, withPad: " ", startingAt: 0)) | "
                + String(format: "%21.2f | %11.2f |", result.matched, result.psnr)
        }
        return (["| target | T1, histogram matched | translation |", "| --- | ---: | ---: |"] + rows)
            .joined(separator: "\n")
    }

    private func montage(_ source: Volume, _ results: [Result]) -> Montage {
        var rows = [Montage.Row(source, label: "T1", window: 0...1)]
        for result in results {
            let name = result.target.rawValue.uppercased()
            rows.append(Montage.Row(result.volume, label: name, window: 0...1))
            rows.append(Montage.Row(result.truth, label: "\(name), truth", window: 0...1))
        }
        // The sagittal slice goes through one hemisphere: the midline shows little brain.
        return Montage(rows: rows, at: SIMD3(25, 0, 0), pixelSize: 1.5)
    }
}
