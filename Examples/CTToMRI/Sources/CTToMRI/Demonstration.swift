import ArgumentParser
import Foundation
import VolumeFigures
import VolumePhantoms
import VoxelBridge

/// Translates a CT that was not used in training to the average style of the training targets, and to the style of the
/// true T1 image.
struct Demonstration: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Synthesise the CT and T1 of a new subject, translate the CT, and compare with the T1.")

    @Option(help: "The folder for the results.")
    var output = "build/demo"

    @Option(help: "The folder with the network and the average key.")
    var model = "Examples/CTToMRI/Model"

    @Option(help: "The brain from which subjects are deformed (.nii or .nii.gz).")
    var anatomy = "/usr/share/mricron/templates/ch2bet.nii.gz"

    @Option(
        help: "The subject of the cohort; the network was trained on 1 to 48 and validated on 49 to 51.")
    var subject = 60

    func validate() throws {
        guard (1...9999).contains(subject) else {
            throw ValidationError("--subject must be from 1 to 9999, but is \(subject)")
        }
    }

    func run() async throws {
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (source, truth) = try makeSubject()
        let network = try UNet(weights: URL(filePath: model).appending(path: "ct-to-t1.safetensors"))
        let styles: KeyValuePairs = [
            "Average style": try StyleKey(contentsOf: URL(filePath: model).appending(path: "style.json")),
            "The true style": try StyleKey(of: truth, intensities: RescaleIntensity(.unit)),
        ]

        let translator = try VolumeTranslator(network, steps: 25)
        let before = try Scores(of: RescaleIntensity(.window(.brain)).apply(to: source).volume, against: truth)
        var results: [(name: String, volume: Volume, scores: Scores)] = []
        for (name, style) in styles {
            let result = try await translator.translate(source, style: style, name: name)
            results.append((name, result, try Scores(of: result, against: truth)))
        }
        let table = Scores.table(
            [(["The CT itself"], before)] + results.map { ([$0.name], $0.scores) })
        print("\n\(table)\n")

        let files = [("ct", source), ("average", results[0].volume), ("own", results[1].volume), ("t1", truth)]
        for (name, volume) in files { try volume.write(to: folder.appending(path: "\(name).nii.gz")) }
        try Data((table + "\n").utf8).write(to: folder.appending(path: "metrics.md"), options: .atomic)
        let translations = results.map {
            Montage.Row($0.volume, label: "T1, \($0.name.lowercased())", window: 0...1)
        }
        try montage(source, translations, truth).write(to: folder.appending(path: "montage.png"))
        try report(source, results[0].volume, truth).write(to: folder.appending(path: "report.html"))
        guard results[0].scores[.psnr] > before[.psnr] + 6 else { throw NotTranslated() }
        print(whatToDoNext)
    }

    /// The CT and the T1 image of a subject, the latter in [0, 1] by the rule of the network's targets.
    private func makeSubject() throws -> (source: Volume, truth: Volume) {
        // As created by `voxelbridge phantom --shape 88x104x88 --spacing 2 --seed 27 --source brain`.
        let cohort = PhantomCohort(
            seed: 27, shape: [88, 104, 88], spacing: 2,
            anatomy: try PhantomAnatomy(t1: Volume(contentsOf: anatomy)), source: .brain)
        let made = cohort.subject(subject - 1)
        return (made.source, try RescaleIntensity(.minMax).apply(to: made.target).volume)
    }

    private func montage(_ source: Volume, _ translations: [Montage.Row], _ truth: Volume) -> Montage {
        // The sagittal slice goes through one hemisphere: the midline shows little brain.
        Montage(
            rows: [.init(source, label: "CT")] + translations
                + [.init(truth, label: "T1, truth", window: 0...1)],
            at: SIMD3(25, 0, 0), pixelSize: 1)
    }

    /// A page with the CT, its translation to the average style, and the truth.
    private func report(_ source: Volume, _ result: Volume, _ truth: Volume) throws -> HTMLReport {
        var page = HTMLReport(title: "A synthetic subject, from CT to T1")
        page.summary =
            "Subject \(subject), which the network has not seen, in the average style of its training subjects"
        page.volumes = ReportVolumes(source: source, result: result, reference: truth)
        let metrics = MetricReport.standardMetrics(dataRange: .fixed(1))
        page.setMetrics(try MetricReport(of: result, against: truth, metrics: metrics), of: metrics)
        page.charts = [
            .histogram(of: ["result": result, "reference": truth]),
            .styleKeys(["result": try StyleKey(of: result), "reference": try StyleKey(of: truth)]),
        ]
        page.facts = [("command", "make demo"), ("model", "\(model)/ct-to-t1.safetensors, 25 steps")]
        page.downloads = [("CT", "ct.nii.gz"), ("translation", "average.nii.gz"), ("T1", "t1.nii.gz")]
        return page
    }

    private var whatToDoNext: String {
        """
        Results are in \(output):
          report.html              the same and more, slice by slice: open it in a browser,
                                   file://\(URL(filePath: output).standardizedFileURL.path)/report.html
          montage.png              the CT, both translations, and the truth
          metrics.md               the table above
          ct, average, own, t1     .nii.gz, for any viewer

        The same with the command line tool:
          swift run -c release voxelbridge translate \(output)/ct.nii.gz \(output)/translated.nii.gz \\
              --model \(model)/ct-to-t1.safetensors --style \(model)/style.json --steps 25
          swift run -c release voxelbridge evaluate \(output)/translated.nii.gz \(output)/t1.nii.gz
        """
    }
}

/// The translation is hardly better than the source.
struct NotTranslated: LocalizedError, CustomStringConvertible {
    let description =
        "the translation is hardly closer to the T1 image than the CT: its PSNR must be 6 dB higher"
    var errorDescription: String? { description }
}
