import Foundation
import VoxelSupport

/// The metrics of the subjects of a cohort, by one method or several.
///
/// ```swift
/// let report = try MetricReport(of: prediction, against: reference)
/// let results = [CohortEvaluation.Result(subject: "anna", metrics: report)]       // and the other subjects
/// let cohort = CohortEvaluation(results: results, metrics: MetricReport.standardMetrics(), seed: 1)
/// for summary in cohort.summaries { print(summary.method, summary.metric, summary.distribution?.mean ?? .nan) }
/// for comparison in cohort.comparisons { print(comparison.metric, comparison.correctedP) }
/// ```
public struct CohortEvaluation: Sendable, Encodable {
    /// The metrics of one subject by one method.
    public struct Result: Hashable, Sendable, Codable {
        /// The subject.
        public let subject: String
        /// The method; empty if there is only one.
        public let method: String
        /// The metrics; without entries if the pair could not be evaluated.
        public let metrics: MetricReport
        /// What is to be known about the values.
        public let warnings: [String]
        /// Why the pair could not be evaluated; `nil` if it was.
        public let failure: String?

        /// A result.
        public init(
            subject: String, method: String = "", metrics: MetricReport, warnings: [String] = [],
            failure: String? = nil
        ) {
            (self.subject, self.method, self.metrics) = (subject, method, metrics)
            (self.warnings, self.failure) = (warnings, failure)
        }
    }

    /// A metric over all subjects of a method.
    public struct MetricSummary: Hashable, Sendable, Codable {
        /// The method.
        public let method: String
        /// The metric.
        public let metric: String
        /// The distribution of its finite values; `nil` if there is none.
        public let distribution: Summary?
        /// Number of subjects whose value is infinite.
        public let infinite: Int
        /// Number of subjects without a value.
        public let missing: Int
    }

    /// A metric of two methods over the subjects that have a value by both.
    public struct Comparison: Hashable, Sendable, Codable {
        /// The metric.
        public let metric: String
        /// The methods: differences are the first's value minus the second's.
        public let first, second: String
        /// The differences, the test and the effect sizes.
        public let test: PairedComparison
        /// The p corrected by Holm's method for all comparisons of this cohort.
        public let correctedP: Double
    }

    /// The results, in order.
    public let results: [Result]
    /// The definition of each metric by its name.
    public let definitions: [String: String]
    /// The distributions, by method and metric in the order of the results.
    public let summaries: [MetricSummary]
    /// The comparisons of each pair of methods by each metric; empty for one method.
    public let comparisons: [Comparison]

    private let goals: [String: MetricGoal]

    private enum CodingKeys: String, CodingKey {
        case results, definitions, summaries, comparisons
    }

    /// The evaluation of results.
    ///
    /// - Parameters:
    ///   - results: one for each subject and method.
    ///   - metrics: the metrics, in the order of the summaries.
    ///   - level: the level of confidence intervals.
    ///   - seed: the seed of bootstrap resamples.
    public init(results: [Result], metrics: [any VolumeMetric], level: Double = 0.95, seed: UInt64 = 0) {
        self.results = results
        definitions = Dictionary(
            metrics.map { ($0.name, $0.definition) }, uniquingKeysWith: { first, _ in first })
        goals = Dictionary(metrics.map { ($0.name, $0.goal) }, uniquingKeysWith: { first, _ in first })
        var methods: [String] = []
        for result in results where !methods.contains(result.method) { methods.append(result.method) }
        var names: [String] = []
        for metric in metrics where !names.contains(metric.name) { names.append(metric.name) }
        summaries = methods.flatMap { method in
            names.map { name in
                let values = results.filter { $0.method == method }.map { $0.metrics[name] }
                return MetricSummary(
                    method: method, metric: name,
                    distribution: Summary(of: values.compactMap(\.self), level: level, seed: seed),
                    infinite: values.count { $0?.isFinite == false }, missing: values.count { $0 == nil })
            }
        }
        comparisons = Self.compare(results, methods: methods, metrics: names)
    }

    private static func compare(_ results: [Result], methods: [String], metrics: [String]) -> [Comparison] {
        var tests: [(metric: String, first: String, second: String, test: PairedComparison)] = []
        for (index, first) in methods.enumerated() {
            for second in methods.dropFirst(index + 1) {
                let others = Dictionary(
                    results.filter { $0.method == second }.map { ($0.subject, $0.metrics) },
                    uniquingKeysWith: { first, _ in first })
                for metric in metrics {
                    let pairs = results.filter { $0.method == first }.compactMap { result in
                        result.metrics[metric].flatMap { own in
                            others[result.subject]?[metric].map { (own, $0) }
                        }
                    }.filter { $0.0.isFinite && $0.1.isFinite }
                    if let test = PairedComparison(pairs.map(\.0), pairs.map(\.1)) {
                        tests.append((metric, first, second, test))
                    }
                }
            }
        }
        return zip(tests, PairedComparison.holm(tests.map(\.test.p))).map {
            Comparison(
                metric: $0.metric, first: $0.first, second: $0.second, test: $0.test, correctedP: $1)
        }
    }

    /// The results from the worst to the best by a metric; those without a value come first.
    public func results(worstBy metric: String) -> [Result] {
        let goal = goals[metric] ?? .lowest
        func cost(_ result: Result) -> Double { result.metrics[metric].map { goal.cost(of: $0) } ?? .infinity }
        return results.enumerated().sorted { (cost($0.element), $1.offset) > (cost($1.element), $0.offset) }
            .map(\.element)
    }
}

// MARK: Tables

extension CohortEvaluation {
    /// A line for each subject, method and metric: `subject,method,metric,value,reason`.
    public var metricsTable: String {
        Self.table(
            ["subject", "method", "metric", "value", "reason"],
            results.flatMap { result in
                let common = [result.subject, result.method]
                if let failure = result.failure { return [common + ["", "", failure]] }
                return result.metrics.map {
                    common + [$0.name, $0.value.map { "\($0)" } ?? "", $0.reason ?? ""]
                }
            })
    }

    /// A line for each method and metric, with the distribution.
    public var summaryTable: String {
        Self.table(
            [
                "method", "metric", "count", "mean", "sd", "median", "minimum", "maximum", "ci_low", "ci_high",
                "infinite", "missing",
            ],
            summaries.map { summary in
                let known = summary.distribution
                let numbers = [
                    known?.mean, known?.standardDeviation, known?.median, known?.minimum, known?.maximum,
                    known?.meanInterval?.low, known?.meanInterval?.high,
                ].map { $0.map { "\($0)" } ?? "" }
                return [summary.method, summary.metric, "\(known?.count ?? 0)"] + numbers + [
                    "\(summary.infinite)", "\(summary.missing)",
                ]
            })
    }

    /// A line for each comparison of two methods by a metric.
    public var comparisonTable: String {
        Self.table(
            [
                "metric", "first", "second", "count", "mean_difference", "median_difference", "cohens_d",
                "rank_biserial", "p", "p_holm", "exact",
            ],
            comparisons.map { comparison in
                let test = comparison.test
                return [
                    comparison.metric, comparison.first, comparison.second, "\(test.count)",
                    "\(test.meanDifference)", "\(test.medianDifference)", test.cohensD.map { "\($0)" } ?? "",
                    test.rankBiserial.map { "\($0)" } ?? "", "\(test.p)", "\(comparison.correctedP)",
                    test.isExact ? "yes" : "no",
                ]
            })
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> String {
        ([header] + rows).map { $0.map(\.commaSeparatedField).joined(separator: ",") + "\n" }.joined()
    }
}
