import Foundation
import VolumeMetrics

/// What the script of a report's page draws, as JSON.
struct Page: Encodable {
    let summary: String
    let warnings: [String]
    let viewer: EmbeddedVolumes?
    let metrics: [Metric]
    let charts: [Chart]
    let pictures: [Picture]
    let cohort: Cohort?
    /// Pairs of a name and a value.
    let facts: [[String]]
    /// Pairs of a name and a path.
    let downloads: [[String]]

    struct Picture: Encodable {
        let caption: String
        /// The image as a data URI.
        let source: String
    }

    struct Chart: Encodable {
        struct Curve: Encodable {
            let label: String
            let points: [[Double]]
        }

        let title, horizontal: String
        let logarithmic: Bool
        let curves: [Curve]

        init(_ plot: LinePlot) {
            (title, horizontal, logarithmic) = (plot.title, plot.horizontal, plot.isLogarithmic)
            curves = plot.curves.map { curve in
                Curve(label: curve.label, points: curve.points.map { [$0.x, $0.y] })
            }
        }
    }
}

/// A metric's value or the reason why it has none, with its definition.
struct Metric: Encodable {
    let name: String
    let value: PageNumber?
    let reason: String?
    let definition: String

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name, forKey: .name)
        // The script tells null from a number; a field that is missing is neither.
        try fields.encode(value, forKey: .value)
        try fields.encodeIfPresent(reason, forKey: .reason)
        try fields.encode(definition, forKey: .definition)
    }

    private enum CodingKeys: String, CodingKey {
        case name, value, reason, definition
    }
}

/// A number; infinity, which JSON lacks, is a string that JavaScript's `Number` reads.
struct PageNumber: Encodable {
    let value: Double

    init(_ value: Double) { self.value = value }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if value.isFinite {
            try container.encode(value)
        } else {
            try container.encode(value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity")
        }
    }
}

extension Page {
    struct Cohort: Encodable {
        let metrics: [Kind]
        let methods: [String]
        let rows: [Row]
        let columns: [String]
        let chosen: String
        let summaries: [Summary]
        let comparisons: [Comparison]

        /// A metric, and whether `lowest` or `highest` values, or those near a number, are best.
        struct Kind: Encodable {
            let name, definition: String
            let goal: Goal
        }

        enum Goal: Encodable {
            case word(String)
            case number(Double)

            init(_ goal: MetricGoal) {
                self =
                    switch goal {
                    case .lowest: .word("lowest")
                    case .highest: .word("highest")
                    case .nearest(let best): .number(best)
                    }
            }

            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                switch self {
                case .word(let word): try container.encode(word)
                case .number(let number): try container.encode(number)
                }
            }
        }

        struct Row: Encodable {
            let subject, method: String
            let values: [String: PageNumber?]
            let reasons: [String: String]
            let failure: String?
            let link: String?
            let picture: String?
        }

        struct Summary: Encodable {
            let metric, method: String
            let count, missing: Int
            let mean, sd, median, low, high: Double?

            init(_ summary: CohortEvaluation.MetricSummary) {
                (metric, method, missing) = (summary.metric, summary.method, summary.missing + summary.infinite)
                let known = summary.distribution
                count = known?.count ?? 0
                (mean, sd, median) = (known?.mean, known?.standardDeviation, known?.median)
                (low, high) = (known?.meanInterval?.low, known?.meanInterval?.high)
            }

            func encode(to encoder: any Encoder) throws {
                var fields = encoder.container(keyedBy: CodingKeys.self)
                try fields.encode(metric, forKey: .metric)
                try fields.encode(method, forKey: .method)
                try fields.encode(count, forKey: .count)
                try fields.encode(missing, forKey: .missing)
                try fields.encode(mean, forKey: .mean)
                try fields.encode(sd, forKey: .sd)
                try fields.encode(median, forKey: .median)
                try fields.encode(low, forKey: .low)
                try fields.encode(high, forKey: .high)
            }

            private enum CodingKeys: String, CodingKey {
                case metric, method, count, missing, mean, sd, median, low, high
            }
        }

        struct Comparison: Encodable {
            let metric, first, second: String
            let count: Int
            let difference, p, holm: Double
            let d, r: PageNumber

            init(_ comparison: CohortEvaluation.Comparison) {
                (metric, first, second) = (comparison.metric, comparison.first, comparison.second)
                let test = comparison.test
                (count, difference, p, holm) = (test.count, test.meanDifference, test.p, comparison.correctedP)
                (d, r) = (PageNumber(test.cohensD ?? .nan), PageNumber(test.rankBiserial ?? .nan))
            }
        }
    }
}
