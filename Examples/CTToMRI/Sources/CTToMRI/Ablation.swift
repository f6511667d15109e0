import ArgumentParser
import Foundation
import VolumeFigures
import VoxelBridge

/// Translates the test subjects of a cohort by every method, and measures the effect of each part.
struct Ablation: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Translate a cohort's test subjects, adding the parts of the method one by one.",
        discussion: """
            Writes ablation.md (means over subjects), ablation.csv (each subject's scores) and a picture of each \
            subject.
            """)

    @OptionGroup var cohort: CohortOptions

    @Option(help: "The network with style keys.")
    var keyed: String

    @Option(help: "The network without style keys, trained with the same settings.")
    var pure: String

    @Option(help: "The average key of the training targets (.json).")
    var style: String

    @Option(help: "The folder for the results.")
    var output = "build/ablation"

    @Option(help: "Number of network evaluations per window.")
    var evaluations = 49

    @Option(help: "The step size of corrections, lambda.")
    var stepSize = 0.5

    @Option(help: "The fraction of the posterior deviation added as noise in each step, from 0 to 1.")
    var eta = 0.0

    func validate() throws {
        guard evaluations >= 5 else {
            throw ValidationError("--evaluations must be at least 5, but is \(evaluations)")
        }
        guard (0...1).contains(eta) else { throw ValidationError("--eta must be from 0 to 1, but is \(eta)") }
    }

    func run() async throws {
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let subjects = try cohort.chosen()
        let networks = (
            keyed: try UNet(weights: URL(filePath: keyed)), pure: try UNet(weights: URL(filePath: pure))
        )
        let average = try StyleKey(contentsOf: URL(filePath: style))
        let methods = Method.ablation(stepSize: stepSize)

        var results: [(subject: String, method: String, scores: Scores)] = []
        for subject in subjects {
            let (source, truth) = try subject.volumes()
            let exact = try StyleKey(of: truth, intensities: RescaleIntensity(.unit))
            var rows = [Montage.Row(source, label: "CT")]
            for method in methods {
                let translator = try method.translator(
                    method.key == .none ? networks.pure : networks.keyed, evaluations: evaluations, eta: eta)
                let result = try await translator.translate(
                    source, style: method.key == .exact ? exact : average,
                    name: "\(subject.name), \(method.name)")
                results.append((subject.name, method.name, try Scores(of: result, against: truth)))
                rows.append(.init(result, label: method.name, window: 0...1))
            }
            rows.append(.init(truth, label: "Truth", window: 0...1))
            try Montage(rows: rows, at: SIMD3(25, 0, 0), pixelSize: 1)
                .write(to: folder.appending(path: "\(subject.name).png"))
        }

        let table = Scores.table(
            methods.map { method in
                ([method.name], Scores(meanOf: results.filter { $0.method == method.name }.map(\.scores)))
            })
        let columns = Scores.Column.allCases
        let lines =
            [["subject", "method"] + columns.map { "\"\($0.rawValue)\"" }]
            + results.map { result in
                [result.subject, "\"\(result.method)\""] + columns.map { "\(result.scores[$0])" }
            }
        let csv = lines.map { $0.joined(separator: ",") + "\n" }.joined()
        try Data(csv.utf8).write(to: folder.appending(path: "ablation.csv"), options: .atomic)
        try Data((table + "\n").utf8).write(to: folder.appending(path: "ablation.md"), options: .atomic)
        print("\n\(table)\n\nMeans over \(subjects.count) subjects, \(evaluations) evaluations of each window.")
    }
}
