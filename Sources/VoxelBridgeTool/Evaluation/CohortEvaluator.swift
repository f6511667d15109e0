import Foundation
import VoxelBridge
import VoxelSupport

/// Compares the pairs of a table, and writes what was found.
struct CohortEvaluator {
    let options: EvaluationOptions
    /// The seed of confidence intervals.
    let seed: UInt64
    /// How many pairs are evaluated at a time.
    let threads: Int
    let logging: LoggingOptions

    /// Evaluates the pairs in a table.
    ///
    /// - Parameters:
    ///   - output: the folder for tables.
    ///   - report: the folder for a report.
    /// - Throws: an error with the number of pairs that could not be evaluated, after the rest were.
    func evaluate(_ table: String, output: String, report: String?) async throws {
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
            ("evaluation.json", try cohort.sortedJSON(prettyPrinted: true)),
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
            for _ in 0..<min(threads, lines.count) { add() }
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
