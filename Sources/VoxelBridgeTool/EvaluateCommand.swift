import ArgumentParser
import Foundation
import Logging
import Synchronization
import VoxelBridge
import VoxelSupport

struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Compare predicted volumes with references.",
        discussion: """
            Prints errors (mae, mse, rmse, nrmse with four normalisations, nmse: lower is better), psnr in decibels, \
            ssim in 3-D, by slices and of several scales, correlation (ncc) and mutual information (nmi; higher is \
            better), distances of the histograms, the error of gradients, and the consistency of adjacent slices. A \
            metric without a value says why. Values equal those of scikit-image.

              voxelbridge evaluate mri.nii.gz truth.nii.gz --mask brain.nii.gz

            The volumes must be on the same grid, to a hundredth of a voxel; axes stored in another order are \
            reordered. Voxels that are NaN are left out.

            A cohort is a table with a line for each subject, and for each method to compare:

              subject,method,prediction,reference,mask
              anna,ista,anna/ista.nii.gz,anna/t1.nii.gz,anna/brain.nii.gz

              voxelbridge evaluate --pairs pairs.csv --output results

            It writes metrics.csv (each subject), summary.csv (mean, standard deviation, median and a bootstrap \
            confidence interval of the mean), comparisons.csv (pairs of methods: Wilcoxon's signed-rank test, effect \
            sizes, p corrected by Holm's method) and evaluation.json, all of these together. A pair that cannot be \
            compared is reported, the rest are evaluated, and the exit code is 1.
            """)

    @Argument(help: "The predicted volume.")
    var prediction: String?

    @Argument(help: "The expected volume, on the same grid.")
    var reference: String?

    @Option(help: "A volume that is above zero in the voxels to compare.")
    var mask: String?

    @OptionGroup
    var options: EvaluationOptions

    @Flag(help: "Print a JSON object.")
    var json = false

    @Flag(help: "Print comma-separated lines: metric, value, reason.")
    var csv = false

    @Option(help: "A table of pairs to evaluate (.csv), in place of two volumes.")
    var pairs: String?

    @Option(help: "The folder for the results of --pairs; it is created if necessary.")
    var output: String?

    @Option(
        help: ArgumentHelp(
            "A folder for a report, index.html, to open in a browser; it is created if necessary.",
            discussion: """
                It shows slices of all volumes, their difference, histograms, and the metrics with their definitions; \
                for a cohort the distributions, the worst subjects first, and a page for each subject.
                """))
    var report: String?

    @Option(help: "A volume that the prediction was made from, for the report.")
    var source: String?

    @Option(help: "The seed of the confidence intervals of --pairs.")
    var seed: UInt64 = 0

    @OptionGroup
    var threads: ThreadOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        if pairs != nil {
            try require(
                prediction == nil && mask == nil && source == nil,
                "--pairs takes the volumes and masks from its table; leave the other volumes out")
            try require(output != nil, "give the folder for the results of --pairs with --output")
        } else {
            try require(prediction != nil, "give a prediction and a reference, or a table with --pairs")
            try require(reference != nil, "give the reference to compare \(prediction ?? "") with")
            try require(output == nil, "--output belongs to --pairs; without it, metrics are printed")
        }
        try require(
            source == nil || report != nil, "--source is shown in the report; give its folder with --report")
        try require(!(json && csv), "--json and --csv exclude each other")
    }

    func run() async throws {
        if let pairs, let output { return try await evaluateCohort(pairs, output: output) }
        guard let prediction, let reference else { return }
        let pages = try report.map { try ReportFolder($0, options: options) }
        let pair = try options.evaluate(prediction: prediction, reference: reference, mask: mask)
        try pages?.write(
            pair, title: URL(filePath: prediction).lastPathComponent,
            files: [prediction, reference, mask, source])
        for warning in pair.warnings { logging.logger.warning("\(warning)") }
        if json {
            try printJSON(
                PairOutput(
                    prediction: prediction, reference: reference, mask: mask, match: options.match,
                    voxels: pair.facts.voxels, leftOut: pair.facts.leftOut, warnings: pair.warnings,
                    metrics: pair.metrics))
        } else if csv {
            print(
                CohortEvaluation(
                    results: [.init(subject: prediction, metrics: pair.metrics)], metrics: options.metrics
                ).metricsTable, terminator: "")
        } else {
            print(pair.metrics)
        }
    }

    /// What `--json` prints.
    private struct PairOutput: Encodable {
        let prediction, reference: String
        let mask: String?
        let match: IntensityMatching
        let voxels, leftOut: Int
        let warnings: [String]
        let metrics: MetricReport
    }
}

// MARK: Cohorts

extension EvaluateCommand {
    private func evaluateCohort(_ table: String, output: String) async throws {
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        let lines = try PairTable(contentsOf: table).lines
        try checkParent(ofOutput: folder)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let pages = try report.map { try ReportFolder($0, options: options, isCohort: true) }
        let made = try await evaluate(lines, pages: pages)
        let results = made.map(\.result)
        let cohort = CohortEvaluation(results: results, metrics: options.metrics, seed: seed)
        for result in results {
            for warning in result.warnings { logging.logger.warning("\(warning)") }
            if let failure = result.failure { logging.logger.error("\(failure)") }
        }
        let files = [
            ("metrics.csv", Data(cohort.metricsTable.utf8)), ("summary.csv", Data(cohort.summaryTable.utf8)),
            ("comparisons.csv", Data(cohort.comparisonTable.utf8)),
            ("evaluation.json", try sortedJSON(cohort)),
        ]
        for (name, data) in files where name != "comparisons.csv" || !cohort.comparisons.isEmpty {
            try AtomicFile.write(data, to: folder.appending(path: name))
        }
        try pages?.write(cohort, pages: made.map(\.page), table: table)
        let failures = results.count { $0.failure != nil }
        print(cohort.summaryText, terminator: "")
        logging.logger.info("Wrote \(results.count - failures) of \(results.count) pairs to \(output)")
        guard failures == 0 else {
            throw FileFailure(
                path: table, reason: "\(failures) of \(results.count) pairs could not be evaluated; see above")
        }
    }

    /// The results of the pairs, as many at a time as there are threads.
    private func evaluate(
        _ lines: [(pair: PairTable.Pair, problem: String?)], pages: ReportFolder?
    ) async throws -> [EvaluatedLine] {
        let progress = logging.quiet ? nil : ProgressLine(label: "Evaluating")
        var results = [EvaluatedLine?](repeating: nil, count: lines.count)
        try await withThrowingTaskGroup(of: (Int, EvaluatedLine).self) { group in
            var (next, done) = (0, 0)
            func add() {
                guard next < lines.count else { return }
                let (index, line, options) = (next, lines[next], options)
                next += 1
                group.addTask {
                    try Task.checkCancellation()
                    return (
                        index, options.result(of: line.pair, problem: line.problem, number: index, pages: pages)
                    )
                }
            }
            for _ in 0..<min(threads.count, lines.count) { add() }
            for try await (index, result) in group {
                results[index] = result
                done += 1
                progress?.show(done, of: lines.count, detail: "pair \(done) of \(lines.count)")
                add()
            }
        }
        return results.compactMap(\.self)
    }
}

/// The result of a line, and its page in the report.
struct EvaluatedLine: Sendable {
    let result: CohortEvaluation.Result
    let page: ReportFolder.SubjectPage?
}

extension EvaluationOptions {
    fileprivate func result(
        of pair: PairTable.Pair, problem: String?, number: Int, pages: ReportFolder?
    ) -> EvaluatedLine {
        func failed(_ reason: String) -> EvaluatedLine {
            EvaluatedLine(
                result: .init(
                    subject: pair.subject, method: pair.method, metrics: MetricReport(entries: []),
                    failure: reason),
                page: nil)
        }
        if let problem { return failed(problem) }
        do {
            let evaluated = try evaluate(
                prediction: pair.prediction, reference: pair.reference, mask: pair.mask)
            return EvaluatedLine(
                result: .init(
                    subject: pair.subject, method: pair.method, metrics: evaluated.metrics,
                    warnings: evaluated.warnings),
                page: try pages?.write(evaluated, of: pair, number: number))
        } catch { return failed("\(pair.title): \(error.explanation)") }
    }
}

extension CohortEvaluation {
    /// The mean and the deviation of each metric, a column for each method.
    fileprivate var summaryText: String {
        var methods: [String] = []
        var metrics: [String] = []
        for summary in summaries {
            if !methods.contains(summary.method) { methods.append(summary.method) }
            if !metrics.contains(summary.metric) { metrics.append(summary.metric) }
        }
        func cell(_ metric: String, _ method: String) -> String {
            let summary = summaries.first { $0.metric == metric && $0.method == method }
            guard let known = summary?.distribution else { return "-" }
            let deviation = known.standardDeviation.map { String(format: " (sd %.4g)", $0) } ?? ""
            return String(format: "%.6g", known.mean) + deviation
        }
        let header = methods == [""] ? [] : [["metric"] + methods]
        let rows = header + metrics.map { metric in [metric] + methods.map { cell(metric, $0) } }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
        return rows.map { row in
            zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
                .joined(separator: "  ").trimmingCharacters(in: .whitespaces) + "\n"
        }.joined()
    }
}
