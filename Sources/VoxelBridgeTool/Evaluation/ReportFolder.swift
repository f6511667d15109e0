import Foundation
import VolumeFigures
import VoxelBridge
import VoxelSupport

/// The command line and the versions that made a result.
var runFacts: [(name: String, value: String)] {
    let plain = CharacterSet(charactersIn: "-_./=,:@%+").union(.alphanumerics)
    let words = CommandLine.arguments.enumerated().map { index, word in
        let name = index == 0 ? URL(filePath: word).lastPathComponent : word
        return !name.isEmpty && name.unicodeScalars.allSatisfy(plain.contains)
            ? name : "'" + name.replacing("'", with: #"'\\''"#) + "'"
    }
    return [
        ("command", words.joined(separator: " ")), ("folder", FileManager.default.currentDirectoryPath),
        (
            "version",
            "voxelbridge \(VoxelBridge.configuration.version), \(ProcessInfo.processInfo.operatingSystemVersionString)"
        ),
    ]
}

/// The folder of a report: `index.html`, and files beside it.
struct ReportFolder: Sendable {
    private let folder: URL
    private let options: EvaluationOptions

    /// Creates the folder.
    init(_ path: String, options: EvaluationOptions = EvaluationOptions(), isCohort: Bool = false) throws {
        folder = URL(filePath: path, directoryHint: .isDirectory)
        self.options = options
        try checkParent(ofOutput: folder)
        let subjects = isCohort ? folder.appending(path: "subjects") : folder
        try FileManager.default.createDirectory(at: subjects, withIntermediateDirectories: true)
    }

    // MARK: A result

    /// Writes the page of a translation, with the volumes in full precision beside it.
    func write(
        translationOf source: Volume, to result: Volume, charts: [LinePlot], title: String,
        facts: [(name: String, value: String)]
    ) throws {
        var page = HTMLReport(title: title)
        page.volumes = ReportVolumes(source: source, result: result)
        page.charts = [.histogram(of: ["result": result])] + charts
        page.facts = runFacts + facts
        page.downloads = try copies(["source": source, "result": result])
        try page.write(to: folder.appending(path: "index.html"))
    }

    /// Writes the page of a pair, with its volumes and metrics beside it.
    ///
    /// - Parameter files: the paths of the prediction, the reference, the mask and the source.
    func write(_ pair: EvaluatedPair, title: String, files: [String?]) throws {
        let source = try self.source(files[3], on: pair.reference.grid)
        var page = self.page(pair, title: title, source: source.volume, files: files)
        page.warnings += source.warnings
        page.facts = runFacts + page.facts
        page.downloads = try copies(
            ["prediction": pair.prediction, "reference": pair.reference, "source": source.volume])
        let cohort = CohortEvaluation(
            results: [.init(subject: title, metrics: pair.metrics)], metrics: options.metrics)
        try AtomicFile.write(Data(cohort.metricsTable.utf8), to: folder.appending(path: "metrics.csv"))
        page.downloads.append(("metrics.csv", "metrics.csv"))
        try page.write(to: folder.appending(path: "index.html"))
    }

    private func page(
        _ pair: EvaluatedPair, title: String, source: Volume?, files: [String?]
    ) -> HTMLReport {
        var page = HTMLReport(title: title)
        page.summary = "\(pair.facts.voxels) voxels compared; \(pair.reference.grid)"
        page.warnings = pair.warnings
        page.volumes = ReportVolumes(
            source: source, result: pair.prediction, reference: pair.reference, mask: pair.mask)
        page.setMetrics(pair.metrics, of: options.metrics)
        let (prediction, expected) = (pair.compared(pair.prediction), pair.compared(pair.reference))
        page.charts = [.histogram(of: ["result": prediction, "reference": expected])]
        if let result = try? StyleKey(of: prediction), let reference = try? StyleKey(of: expected) {
            page.charts.append(.styleKeys(["result": result, "reference": reference]))
        }
        let names = ["prediction", "reference", "mask", "source"]
        page.facts = zip(names, files).compactMap { name, path in path.map { (name, $0) } }
        let ssim = SSIM(
            window: .uniform(width: options.window),
            dataRange: options.dataRange.map { .fixed($0) } ?? .ofReference)
        if let map = try? ssim.map(pair.prediction, against: pair.reference),
            let png = try? Montage(
                rows: [.init(pair.compared(map), window: 0...1, scale: .heat)],
                at: pair.reference.foregroundCentre,
                pixelSize: pair.reference.grid.extent / 240, isAnnotated: true
            ).image().pngData()
        {
            page.pictures = [("Map of \(ssim.name): dark where the result is unlike the reference", png)]
        }
        if options.match != .none { page.facts.append(("match", options.match.rawValue)) }
        return page
    }

    /// A volume that is only shown: without it, a warning.
    private func source(
        _ path: String?, on grid: VoxelGrid
    ) throws -> (volume: Volume?, warnings: [String]) {
        guard let path else { return (nil, []) }
        do {
            let file = try VolumeFile(contentsOf: path)
            return (try GridAlignment.aligned(file.volume, onto: grid, name: path), [])
        } catch { return (nil, ["The source is not shown: \(error.explanation)"]) }
    }

    /// Writes volumes in full precision beside the page.
    private func copies(_ volumes: KeyValuePairs<String, Volume?>) throws -> [(name: String, path: String)] {
        try volumes.compactMap { name, volume in
            guard let volume else { return nil }
            let file = "\(name).nii.gz"
            try volume.write(to: folder.appending(path: file), text: "voxelbridge report")
            return ("\(name), 32-bit (\(file))", file)
        }
    }

    // MARK: A cohort

    /// The page of a subject.
    struct SubjectPage: Sendable {
        /// The page's path in the report's folder.
        let path: String
        /// Slices of the result, the reference and their difference.
        let picture: Data
    }

    /// Writes the page of a subject.
    func write(_ pair: EvaluatedPair, of line: PairTable.Pair, number: Int) throws -> SubjectPage {
        let files = [line.prediction, line.reference, line.mask, line.source]
        let source = try self.source(line.source, on: pair.reference.grid)
        var page = self.page(pair, title: line.title, source: source.volume, files: files)
        page.warnings += source.warnings
        page.facts = runFacts + page.facts
        page.downloads = [("All subjects", "../index.html")]
        let names = zip(["prediction", "reference", "mask", "source"], files)
        page.downloads += names.compactMap { name, path in
            path.map { (name, URL(filePath: $0).standardizedFileURL.absoluteString) }
        }
        let letters = line.title.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        let path = String(format: "subjects/%04d-%@.html", number + 1, String(letters.prefix(60)))
        try page.write(to: folder.appending(path: path))
        // Volumes in one unit are shown alike.
        let window = pair.facts.differenceOfUnits == nil ? pair.reference.displayRange : nil
        let montage = Montage(
            rows: [
                .init(pair.prediction, label: "result", window: window),
                .init(pair.reference, label: "reference", window: window),
                .init(
                    difference: pair.compared(pair.prediction), from: pair.reference, label: "difference"),
            ],
            at: pair.compared(pair.reference).foregroundCentre,
            pixelSize: max(pair.reference.grid.spacing.min(), pair.reference.grid.extent / 160),
            isAnnotated: true)
        return SubjectPage(path: path, picture: try montage.image().pngData())
    }

    /// The most subjects whose pictures the first page holds, about 100 kB each.
    private static let mostPictures = 60

    /// Writes the first page of a cohort.
    func write(_ evaluation: CohortEvaluation, pages: [SubjectPage?], table: String) throws {
        var cohort = CohortReport(evaluation, metrics: options.metrics)
        for (index, page) in pages.enumerated() {
            guard let page else { continue }
            cohort.links[index] = page.path
        }
        let worst = evaluation.results(worstBy: cohort.chosen).prefix(Self.mostPictures)
        for (index, result) in evaluation.results.enumerated() where worst.contains(result) {
            cohort.pictures[index] = pages[index]?.picture
        }
        var report = HTMLReport(title: "Evaluation of \(URL(filePath: table).lastPathComponent)")
        let failures = evaluation.results.count { $0.failure != nil }
        report.summary = "\(evaluation.results.count) pairs"
        if failures > 0 {
            report.warnings.append("\(failures) pairs could not be evaluated; their reasons are in the table.")
        }
        for warning in Set(evaluation.results.flatMap(\.warnings)).sorted().prefix(20) {
            report.warnings.append(warning)
        }
        report.cohort = cohort
        report.facts = runFacts + [("table", table)]
        try report.write(to: folder.appending(path: "index.html"))
    }
}

extension EvaluatedPair {
    /// A volume with NaN where the two are not compared.
    fileprivate func compared(_ volume: Volume) -> Volume {
        guard let mask else { return volume }
        return Volume(
            grid: volume.grid, voxels: zip(volume.voxels, mask.voxels).map { $1 > 0 ? $0 : .nan })
    }
}

extension VoxelGrid {
    /// The greatest extent along a voxel axis in millimetres.
    fileprivate var extent: Double { (SIMD3<Double>(shape) * spacing).max() }
}
