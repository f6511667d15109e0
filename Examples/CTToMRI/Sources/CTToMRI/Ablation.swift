import ArgumentParser
import BridgeTraining
import Foundation
import VolumeFigures
import VolumeTranslation

/// Translates the test subjects of a cohort by every method, and measures what each part of it adds.
struct Ablation: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Translate a cohort's test subjects with one part of the method after another.",
        discussion: """
            Writes ablation.md, the means over subjects; ablation.csv, each subject's figures; and a picture of \
            each subject.
            """)

    @Argument(help: "The table of subjects (.csv), as 'voxelbridge phantom' writes it.")
    var manifest: String

    @Option(help: "The network that takes a key.")
    var keyed: String

    @Option(help: "The network without one, trained alike.")
    var pure: String

    @Option(help: "The average key of the training targets (.json).")
    var style: String

    @Option(help: "The folder for the results.")
    var output = "build/ablation"

    @Option(help: "How often the network is evaluated on each window.")
    var evaluations = 49

    @Option(help: "The size of a correction, lambda.")
    var stepSize = 0.5

    @Option(help: "The share of the posterior variance that each step brings back as noise, 0 to 1.")
    var eta = 0.0

    @Option(help: "Which subjects.")
    var split = Manifest.Split.test

    @Option(help: "At most so many subjects.")
    var subjects = 100

    func run() async throws {
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let manifest = try Manifest(contentsOf: URL(filePath: manifest))
        let chosen = manifest.subjects.filter { $0.split == split }.prefix(subjects)
        guard !chosen.isEmpty else {
            throw ValidationError("\(manifest.file.path): there is no subject of the split \(split.rawValue)")
        }
        let networks = (
            keyed: try UNet(weights: URL(filePath: keyed)), pure: try UNet(weights: URL(filePath: pure))
        )
        let average = try StyleKey(contentsOf: URL(filePath: style))

        var results: [(subject: String, method: Method, scores: Scores)] = []
        for subject in chosen {
            let source = try Volume(contentsOf: subject.source)
            let truth = try RescaleIntensity().apply(to: Volume(contentsOf: subject.target)).volume
            let exact = try StyleKey(of: truth)
            var rows = [Montage.Row(source, label: "CT")]
            for method in Method.allCases {
                let sampler = method.sampler(
                    method.takesKey ? networks.keyed : networks.pure, evaluations: evaluations,
                    stepSize: stepSize, eta: eta)
                let result = try await translate(
                    source, style: method == .exactKey ? exact : average, sampler: sampler,
                    name: "\(subject.name), \(method.rawValue)")
                results.append((subject.name, method, try Scores(of: result, against: truth)))
                rows.append(.init(result, label: method.rawValue, window: 0...1))
            }
            rows.append(.init(truth, label: "Truth", window: 0...1))
            try Montage(rows: rows, at: SIMD3(25, 0, 0), pixelSize: 1)
                .write(to: folder.appending(path: "\(subject.name).png"))
        }

        let table = Scores.table(
            Method.allCases.map { method in
                let values = results.filter { $0.method == method }.map(\.scores.values)
                let sums = values.dropFirst().reduce(values[0]) { zip($0, $1).map(+) }
                return (method.rawValue, sums.map { $0 / Double(values.count) })
            })
        let lines = results.map { result in
            ([result.subject, "\"\(result.method.rawValue)\""] + result.scores.values.map { "\($0)" })
                .joined(separator: ",")
        }
        let header = (["subject", "method"] + Scores.columns.map { "\"\($0)\"" }).joined(separator: ",")
        let csv = ([header] + lines).map { $0 + "\n" }.joined()
        try Data(csv.utf8).write(to: folder.appending(path: "ablation.csv"), options: .atomic)
        try Data((table + "\n").utf8).write(to: folder.appending(path: "ablation.md"), options: .atomic)
        print("\n\(table)\n\nMeans over \(chosen.count) subjects, \(evaluations) evaluations of each window.")
    }
}

extension Manifest.Split: ExpressibleByArgument {}
