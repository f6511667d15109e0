import Foundation
import TestSupport
import Testing
import VolumeMetrics

/// Against numbers of SciPy.
struct StatisticsTests {
    private let first = [0.91, 0.87, 0.93, 0.88, 0.95, 0.90, 0.86, 0.92]
    private let second = [0.89, 0.88, 0.90, 0.84, 0.96, 0.85, 0.80, 0.915]

    @Test func exactSignedRanks() throws {
        let test = try #require(PairedComparison(first, second))
        #expect(test.isExact && abs(test.p - 0.078125) < 1e-12)
        #expect(abs(test.cohensD! - 0.8698919124555959) < 1e-10)
        #expect(abs(test.meanDifference - 0.023125) < 1e-12 && abs(test.medianDifference - 0.025) < 1e-12)
        #expect(try #require(PairedComparison(second, first)).p == test.p)
    }

    @Test func tiesAndEqualPairs() throws {
        let test = try #require(PairedComparison([5, 7, 3, 9, 6, 8, 4, 7, 5], [4, 7, 5, 6, 4, 7, 5, 4, 4]))
        #expect(test.isExact && abs(test.p - 0.2109375) < 1e-12)
        #expect(abs(test.rankBiserial! - 0.5555555555555556) < 1e-12)
        #expect(abs(test.cohensD! - 0.5255089483542896) < 1e-12)
        let equal = try #require(PairedComparison([1, 2], [1, 2]))
        #expect(equal.p == 1 && equal.rankBiserial == nil && equal.cohensD == nil)
        #expect(PairedComparison([1], [2]) == nil)
    }

    @Test func manySubjectsAreApproximated() throws {
        let first = (0..<60).map { Double($0 * 37 % 61) / 10 }
        let second = (0..<60).map { Double(($0 * 23 + 11) % 59) / 10 }
        let test = try #require(PairedComparison(first, second))
        #expect(!test.isExact && abs(test.p - 0.7824983053117782) < 1e-9)
        #expect(abs(test.cohensD! - 0.046159864781524326) < 1e-12)
    }

    @Test func holmsCorrection() {
        let corrected = PairedComparison.holm([0.01, 0.04, 0.03, 0.005])
        for (value, expected) in zip(corrected, [0.03, 0.06, 0.06, 0.02]) {
            #expect(abs(value - expected) < 1e-12)
        }
        #expect(PairedComparison.holm([0.9, 0.8]) == [1, 1])
    }

    @Test func theBootstrapIsSciPysUpToChance() throws {
        let summary = try #require(Summary(of: first + [.infinity], resamples: 20_000, seed: 3))
        #expect(summary.count == 8 && abs(summary.mean - 0.9025) < 1e-12)
        #expect(abs(summary.standardDeviation! - 0.031052950170405942) < 1e-12)
        #expect(abs(summary.median - 0.905) < 1e-12)
        let interval = try #require(summary.meanInterval)
        #expect(abs(interval.low - 0.8825) < 0.001 && abs(interval.high - 0.9225) < 0.001)
        #expect(Summary(of: first, resamples: 20_000, seed: 3)?.meanInterval == interval)
        #expect(Summary(of: first, resamples: 20_000, seed: 4)?.meanInterval != interval)
        #expect(Summary(of: [.nan]) == nil && Summary(of: [2])?.meanInterval == nil)
    }

    /// The exact distribution, by counting every choice of signs.
    @Test func exactPIsAShareOfAllSigns() async {
        await checkLaw(cases: 30) { generator in
            let count = 2 + generator.size(in: 0...8)
            let differences = (0..<count).map { _ in Double(Int.random(in: -6...6, using: &generator)) }
            let ranked = differences.filter { $0 != 0 }.map(abs)
            let ranks = ranked.map { value in
                Double(ranked.count { $0 < value }) + Double(ranked.count { $0 == value } + 1) / 2
            }
            let signs = differences.filter { $0 != 0 }.map { $0 > 0 }
            func least(_ signs: [Bool]) -> Double {
                let positive = zip(ranks, signs).reduce(0) { $0 + ($1.1 ? $1.0 : 0) }
                return min(positive, ranks.reduce(0, +) - positive)
            }
            let all = 1 << ranks.count
            let below = (0..<all).count { choice in
                least(ranks.indices.map { choice >> $0 & 1 == 1 }) <= least(signs) + 1e-9
            }
            let test = try #require(PairedComparison(differences, [Double](repeating: 0, count: count)))
            try #require(abs(test.p - min(1, Double(below) / Double(all))) < 1e-12)
        }
    }
}

struct CohortEvaluationTests {
    private func report(_ psnr: Double?) -> MetricReport {
        MetricReport(entries: [
            psnr.map { .init(name: "psnr", value: $0) } ?? .init(name: "psnr", reason: "flat, \"so\"")
        ])
    }

    private var cohort: CohortEvaluation {
        let values: [(String, String, Double?)] = [
            ("a", "x", 20), ("b", "x", 22), ("c", "x", 24), ("d", "x", nil), ("a", "y", 19), ("b", "y", 21),
            ("c", "y", .infinity), ("d", "y", 18),
        ]
        return CohortEvaluation(
            results: values.map { .init(subject: $0, method: $1, metrics: report($2)) }
                + [.init(subject: "e", method: "y", metrics: MetricReport(entries: []), failure: "no file")],
            metrics: [PSNR()])
    }

    @Test func summarisesEachMethod() {
        let summaries = cohort.summaries
        #expect(summaries.map(\.method) == ["x", "y"])
        #expect(summaries[0].distribution?.mean == 22 && summaries[0].missing == 1)
        #expect(
            summaries[1].distribution?.count == 3 && summaries[1].infinite == 1 && summaries[1].missing == 1)
    }

    @Test func comparesPairsThatBothHave() {
        #expect(cohort.comparisons.count == 1)
        let comparison = cohort.comparisons[0]
        #expect(comparison.first == "x" && comparison.second == "y" && comparison.test.count == 2)
        #expect(comparison.test.meanDifference == 1 && comparison.correctedP == comparison.test.p)
    }

    @Test func theWorstComeFirst() {
        #expect(cohort.results(worstBy: "psnr").prefix(3).map(\.subject) == ["d", "e", "d"])
        #expect(cohort.results(worstBy: "psnr").last?.metrics["psnr"] == .infinity)
    }

    @Test func tablesQuoteReasons() {
        let lines = cohort.metricsTable.split(separator: "\n")
        #expect(lines[0] == "subject,method,metric,value,reason" && lines[1] == "a,x,psnr,20.0,")
        #expect(lines[4] == #"d,x,psnr,,"flat, ""so""""#)
        #expect(lines.last == "e,y,,,no file")
        #expect(cohort.summaryTable.split(separator: "\n").count == 3)
        #expect(cohort.comparisonTable.contains("psnr,x,y,2,1.0,1.0,"))
    }
}
