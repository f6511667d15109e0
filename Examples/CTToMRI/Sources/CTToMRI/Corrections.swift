import ArgumentParser
import Foundation
import VoxelBridge

/// Translates the test subjects of a cohort with every form of the correction, and without one.
struct Corrections: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Translate a cohort's test subjects with every form of ISTA's correction.",
        discussion: """
            Writes corrections.csv (the scores of each subject and setting) and corrections.md (means over \
            subjects). All settings use the same number of network evaluations. Results that corrections.csv \
            already contains are not measured again: choose another folder for another network, key or cohort.
            """)

    @OptionGroup var cohort: CohortOptions

    @Option(help: "The network with style keys.")
    var keyed = "Examples/CTToMRI/Model/ct-to-t1.safetensors"

    @Option(help: "The average key of the training targets (.json).")
    var style = "Examples/CTToMRI/Model/style.json"

    @Option(help: "The folder for the results.")
    var output = "build/ablation"

    @Option(
        help:
            "Number of steps, with a correction after each but the last; 2 n - 1 steps without corrections.")
    var steps = 13

    @Option(parsing: .upToNextOption, help: "The step sizes of corrections, lambda.")
    var lambdas = [0.05, 0.2, 0.5, 1, 2]

    func validate() throws {
        guard (3...500).contains(steps) else {
            throw ValidationError("--steps must be from 3 to 500, but is \(steps)")
        }
        guard lambdas.allSatisfy({ $0 >= 0 && $0.isFinite }) else {
            throw ValidationError("--lambdas must not be negative, but are \(lambdas)")
        }
    }

    func run() async throws {
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let subjects = try cohort.chosen()
        let network = try UNet(weights: URL(filePath: keyed))
        let style = try StyleKey(contentsOf: URL(filePath: style))
        let evaluations = 2 * steps - 1
        let settings = Setting.grid(lambdas: lambdas)
        var file = try ScoreFile(
            folder.appending(path: "corrections.csv"), labelled: ["subject"] + Setting.labels)

        for subject in subjects {
            let missing = settings.filter { file[[subject.name] + $0.labels(evaluations)] == nil }
            guard !missing.isEmpty else { continue }
            let (source, truth) = try subject.volumes()
            for setting in missing {
                let labels = [subject.name] + setting.labels(evaluations)
                let result = try await setting.method.translator(network, evaluations: evaluations)
                    .translate(
                        source, style: style, name: labels.filter { !$0.isEmpty }.joined(separator: ", "))
                try file.add(Scores(of: result, against: truth), labelled: labels)
            }
        }

        let rows = settings.map { setting in
            let labels = setting.labels(evaluations)
            return (labels, Scores(meanOf: subjects.map { file[[$0.name] + labels]! }))
        }
        let table = Scores.table(rows, labelled: Setting.labels, columns: [.psnr, .ssim, .slices])
        let text = """
            \(table)

            Means over \(subjects.count) subjects. "slices" is the mean difference between neighbouring axial slices
            inside the brain, in the truth \(String(format: "%.4f", rows[0].1[.trueSlices])). "evaluations" are those of
            each window.

            """
        try Data(text.utf8).write(to: folder.appending(path: "corrections.md"), options: .atomic)
        print("\n" + text)
    }
}

/// A row of the table: a form of the correction, or none.
private struct Setting {
    let method: Method
    private let numerator, isBounded, stepSize: String

    /// Co-prediction without corrections.
    private init(clips: Bool) {
        method = Method(name: "co-prediction", clips: clips)
        (numerator, isBounded, stepSize) = ("", "", "")
    }

    private init(_ scaling: ScoreCorrector.Scaling, isBounded: Bool, clips: Bool, stepSize: Double) {
        method = Method(
            name: "ISTA",
            corrector: ScoreCorrector(stepSize: stepSize, scaling: scaling, isBounded: isBounded), clips: clips)
        numerator = scaling == .paper ? "d" : "sqrt(d)"
        self.isBounded = isBounded ? "yes" : "no"
        self.stepSize = "\(stepSize)"
    }

    /// All combinations.
    static func grid(lambdas: [Double]) -> [Setting] {
        let clips = [true, false]
        return clips.map { Setting(clips: $0) }
            + [ScoreCorrector.Scaling.reference, .paper].flatMap { scaling in
                [true, false].flatMap { isBounded in
                    clips.flatMap { clips in
                        lambdas.map {
                            Setting(scaling, isBounded: isBounded, clips: clips, stepSize: $0)
                        }
                    }
                }
            }
    }

    static let labels = ["method", "numerator", "bounded", "clipped", "lambda", "steps", "evaluations"]

    func labels(_ evaluations: Int) -> [String] {
        [
            method.name, numerator, isBounded, method.clips ? "yes" : "no", stepSize,
            "\(method.steps(evaluations: evaluations))", "\(evaluations)",
        ]
    }
}
