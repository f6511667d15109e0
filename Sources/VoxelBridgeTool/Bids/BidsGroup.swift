import ArgumentParser
import Foundation
import VolumeFigures
import VoxelBridge
import VoxelSupport

/// How results are evaluated.
struct BidsEvaluation: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The suffix of the acquired volumes to compare with. (default: that of the results)",
            valueName: "suffix"))
    var referenceSuffix: String?

    @Option(
        help: ArgumentHelp(
            "A BIDS data set with the volumes to compare with, on the sources' grids. (default: BIDS_DIR)",
            valueName: "folder"))
    var references: String?

    @Option(
        help: ArgumentHelp(
            "Convert results to the references' intensities first: none, range, scale, key.",
            discussion: """
                Results have intensities from 0 to 1. range maps minimum and maximum, scale applies the gain with the \
                least squared error, key matches the histograms of the foreground.
                """))
    var match = IntensityMatching.scale
}

/// The group level: lists all results, compares them with acquired volumes, and completes the data set.
struct BidsGroup {
    let selection: BidsSelection
    let evaluation: BidsEvaluation
    let source: BidsDataset
    let derivative: BidsDerivative
    let masks: BidsDataset?
    /// The data set of the volumes to compare with.
    let references: BidsDataset
    let threads: Int
    let logging: LoggingOptions
    let isDryRun: Bool

    /// The folder of tables and reports.
    static let folder = "group"

    /// A result, and the acquired volume that it is compared with.
    private struct Row {
        let name: BidsName
        let path: String
        let description: String
        /// Its source in the source data set.
        let source: String?
        let reference: BidsDataset.File?

        /// The subject with everything that tells its volumes apart.
        var title: String {
            name.keeping { $0.key != "desc" }.entities.map(\.description).joined(separator: "_")
        }
    }

    func run() async throws {
        let all = try rows()
        let rows = all.filter { row in
            selection.participants?.contains(row.name["sub"] ?? "") ?? true && selection.contains(row.name)
                && (selection.targetSuffix.isEmpty || selection.targetSuffix.contains(row.name.suffix))
        }
        guard !rows.isEmpty else {
            throw FileFailure(
                path: derivative.folder.path,
                reason: "there are no results to evaluate; translate volumes first, at the participant level")
        }
        guard !isDryRun else {
            for row in rows {
                print(
                    "\(row.path): " + (row.reference.map { "compared with \($0.path)" } ?? "no acquired volume")
                )
            }
            return
        }
        try FileManager.default.createDirectory(
            at: derivative.url(Self.folder), withIntermediateDirectories: true)
        try writeTable(rows)
        try completeDataset(all)
        var failures: [String] = []
        for (suffix, rows) in Dictionary(grouping: rows, by: \.name.suffix).sorted(by: { $0.key < $1.key }) {
            do { try await evaluate(rows, suffix: suffix) } catch let error as FileFailure {
                failures.append(error.description)
            }
        }
        logging.logger.info("Wrote \(derivative.url(Self.folder).path)")
        guard failures.isEmpty else { throw FileFailure(message: failures.joined(separator: "\n")) }
    }

    /// All results, sorted by path.
    private func rows() throws -> [Row] {
        let prefix = "bids:\(BidsDerivative.sourceLink):"
        return try derivative.results.map { result, name, sidecar in
            var sources: [String] = []
            if case .array(let values)? = sidecar["Sources"] {
                sources = values.compactMap { if case .string(let text) = $0 { text } else { nil } }
            }
            let path = sources.first { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
            let description: String = if case .string(let text)? = sidecar["Description"] { text } else { "" }
            return Row(
                name: name, path: result, description: description, source: path,
                reference: try reference(for: name, madeFrom: path))
        }.sorted { $0.path < $1.path }
    }

    /// The acquired volume of the same subject and session that shares most entities; nil if there is none, or several.
    private func reference(for name: BidsName, madeFrom path: String?) throws -> BidsDataset.File? {
        guard let subject = name["sub"], isFolder(references.url("sub-\(subject)")) else { return nil }
        let suffix = evaluation.referenceSuffix ?? name.suffix
        // What a result was made from is no reference for it.
        let excluded = references.folder == source.folder ? path : nil
        let candidates = try references.volumes(of: subject).filter {
            $0.name.suffix == suffix && $0.visit == [name["sub"], name["ses"]] && $0.path != excluded
        }
        let match = BidsMatch.best(of: candidates, for: name)
        if match == nil, !candidates.isEmpty {
            logging.logger.warning(
                """
                \(name.stem) matches several acquired volumes, \(candidates.map(\.path).joined(separator: ", ")), and is \
                not compared; keep one, or give a data set that has one with --references
                """)
        }
        return match
    }

    // MARK: Tables

    private func writeTable(_ rows: [Row]) throws {
        let header = ["participant_id", "session_id", "suffix", "desc", "result", "source", "reference"]
        let lines = rows.map { row in
            [
                row.name["sub"].map { "sub-\($0)" }, row.name["ses"].map { "ses-\($0)" }, row.name.suffix,
                row.name["desc"], row.path, row.source, row.reference?.path,
            ].map { $0 ?? "n/a" }
        }
        try write([header] + lines, to: "\(Self.folder)/results.tsv")
    }

    /// Describes labels and participants of all results.
    private func completeDataset(_ rows: [Row]) throws {
        let descriptions = Dictionary(grouping: rows) { "desc-\($0.name["desc"] ?? "")" }.mapValues {
            Set($0.map(\.description)).sorted().joined(separator: " ")
        }
        try write(
            [["desc_id", "description"]] + descriptions.sorted { $0.key < $1.key }.map { [$0.key, $0.value] },
            to: "descriptions.tsv")
        try writeParticipants(of: rows)
        // The tables and reports of the group are no part of BIDS.
        let ignored = derivative.url(".bidsignore")
        let text = (try? String(contentsOf: ignored, encoding: .utf8)) ?? ""
        if !text.split(whereSeparator: \.isNewline).contains(Substring(Self.folder)) {
            let separator = text.isEmpty || text.hasSuffix("\n") ? "" : "\n"
            try derivative.replace(".bidsignore", with: Data("\(text)\(separator)\(Self.folder)\n".utf8))
        }
    }

    /// Copies what the source's table says of the participants who have results.
    private func writeParticipants(of rows: [Row]) throws {
        let file = source.url("participants.tsv")
        guard FileManager.default.fileExists(atPath: file.path) else { return }
        let text = try naming(file.path) { try String(contentsOf: file, encoding: .utf8) }
        let lines = text.split(whereSeparator: \.isNewline).map {
            $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
        guard let header = lines.first, let column = header.firstIndex(of: "participant_id") else {
            return logging.logger.warning("\(file.path) has no column participant_id; it is not copied")
        }
        let subjects = Set(rows.compactMap { $0.name["sub"] }.map { "sub-\($0)" })
        let kept = lines.dropFirst().filter { $0.indices.contains(column) && subjects.contains($0[column]) }
        try write([header] + kept, to: "participants.tsv")
        let sidecar = source.url("participants.json")
        if let data = try? Data(contentsOf: sidecar) { try derivative.replace("participants.json", with: data) }
    }

    private func write(_ table: [[String]], to path: String) throws {
        let text = table.map { $0.joined(separator: "\t") + "\n" }.joined()
        try derivative.replace(path, with: Data(text.utf8))
    }

    // MARK: Evaluation

    private func evaluate(_ rows: [Row], suffix: String) async throws {
        let folder = derivative.url("\(Self.folder)/\(suffix)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let report = folder.appending(path: "report").path
        let compared = rows.filter { $0.reference != nil }
        guard !compared.isEmpty else {
            logging.logger.info(
                "No subject has an acquired \(evaluation.referenceSuffix ?? suffix); the report shows the results alone"
            )
            return try writePictures(of: rows, suffix: suffix, to: folder)
        }
        if compared.count < rows.count {
            logging.logger.warning(
                "\(rows.count - compared.count) of \(rows.count) results have no acquired volume to compare with"
            )
        }
        let isOneMethod = Set(compared.map { $0.name["desc"] }).count == 1
        let header = ["subject", "method", "prediction", "reference", "mask", "source"]
        let table = try compared.map { row in
            let reference = row.reference.map { references.url($0.path).relativePath(from: folder) } ?? ""
            var mask = ""
            if let masks, let file = try self.mask(for: row.name, in: masks) {
                mask = masks.url(file.path).relativePath(from: folder)
            }
            return [
                row.title, isOneMethod ? "" : row.name["desc"] ?? "",
                derivative.url(row.path).relativePath(from: folder), reference, mask,
                row.source.map { source.url($0).relativePath(from: folder) } ?? "",
            ]
        }
        let pairs = folder.appending(path: "pairs.csv")
        let text = ([header] + table).map { line in
            line.map { $0.contains(",") ? "\"\($0)\"" : $0 }.joined(separator: ",") + "\n"
        }.joined()
        try AtomicFile.write(Data(text.utf8), to: pairs)
        let options = try EvaluationOptions.parse(["--match", evaluation.match.rawValue])
        try await CohortEvaluator(options: options, seed: 0, threads: threads, logging: logging)
            .evaluate(pairs.path, output: folder.path, report: report)
    }

    private func mask(for name: BidsName, in masks: BidsDataset) throws -> BidsDataset.File? {
        guard let subject = name["sub"], isFolder(masks.url("sub-\(subject)")) else { return nil }
        let all = try masks.volumes(of: subject).filter {
            $0.name.suffix == "mask" && $0.visit == [name["sub"], name["ses"]]
        }
        return BidsMatch.best(of: all, for: name) { $0["desc"] == "brain" }
    }

    /// The most pictures in a report, about 50 kB each.
    private static let mostPictures = 100

    /// Writes a report with slices of sources and results, for results that there is nothing to compare with.
    private func writePictures(of rows: [Row], suffix: String, to folder: URL) throws {
        let report = folder.appending(path: "report")
        try FileManager.default.createDirectory(at: report, withIntermediateDirectories: true)
        var page = HTMLReport(title: "\(suffix) of \(derivative.folder.lastPathComponent)")
        page.summary = "\(rows.count) results"
        if rows.count > Self.mostPictures {
            page.warnings.append("The first \(Self.mostPictures) of \(rows.count) results are shown.")
        }
        page.facts = runFacts
        page.downloads = [("all results", "../../results.tsv")]
        let progress = logging.quiet ? nil : ProgressLine(label: "Drawing")
        for (index, row) in rows.prefix(Self.mostPictures).enumerated() {
            var lines: [Montage.Row] = []
            for (path, label) in [
                (row.source.map { source.url($0).path }, "source"), (derivative.url(row.path).path, "result"),
            ] {
                guard let path else { continue }
                do { lines.append(.init(try VolumeFile(contentsOf: path).volume, label: label)) } catch {
                    page.warnings.append("\(message(of: error))")
                }
            }
            if let grid = lines.last?.volume.grid {
                let size = max(grid.spacing.min(), (SIMD3<Double>(grid.shape) * grid.spacing).max() / 160)
                page.pictures.append(
                    (row.title, try Montage(rows: lines, pixelSize: size, isAnnotated: true).image().pngData()))
            }
            progress?.show(index + 1, of: min(rows.count, Self.mostPictures), detail: row.title)
        }
        try page.write(to: report.appending(path: "index.html"))
    }
}
