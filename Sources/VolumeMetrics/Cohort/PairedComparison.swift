import Foundation

/// The comparison of two methods by a metric of the same subjects.
public struct PairedComparison: Hashable, Sendable, Codable {
    /// Number of subjects.
    public let count: Int
    /// The mean of first minus second.
    public let meanDifference: Double
    /// The median of first minus second.
    public let medianDifference: Double
    /// Cohen's d of paired samples: the mean difference divided by the standard deviation of the differences; `nil` if
    /// they do not differ.
    public let cohensD: Double?
    /// The matched-pairs rank-biserial correlation, (W+ - W-) / (W+ + W-), from -1 to 1; `nil` if no pair differs. Kerby:
    /// *The Simple Difference Formula*, Comprehensive Psychology 2014.
    public let rankBiserial: Double?
    /// The two-sided p of Wilcoxon's signed-rank test; 1 if no pair differs.
    public let p: Double
    /// Whether p is from the exact distribution rather than the normal approximation.
    public let isExact: Bool

    /// The comparison of finite pairs; `nil` if there are fewer than two.
    ///
    /// Wilcoxon's signed-rank test leaves out equal pairs (Wilcoxon's own treatment) and gives equal differences their
    /// mean rank. With at most 50 other pairs the distribution is exact, for ties too; with more it is the normal
    /// approximation, with the correction for ties and none for continuity. Both are SciPy's `wilcoxon`.
    public init?(_ first: [Double], _ second: [Double]) {
        precondition(first.count == second.count, "paired samples must have the same length")
        let differences = zip(first, second).map(-).filter(\.isFinite)
        guard differences.count >= 2 else { return nil }
        let n = Double(differences.count)
        let sorted = differences.sorted()
        let mean = differences.reduce(0, +) / n
        (count, meanDifference) = (differences.count, mean)
        medianDifference = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
        let deviation = (differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)).squareRoot()
        cohensD = deviation > 0 ? mean / deviation : nil
        let ranks = SignedRanks(differences)
        rankBiserial = ranks.total > 0 ? Double(ranks.positive - ranks.negative) / Double(ranks.total) : nil
        isExact = ranks.doubledRanks.count <= 50
        p = isExact ? ranks.exactP : ranks.approximateP
    }

    /// Holm's correction of several p for each other. Holm: *A Simple Sequentially Rejective Multiple Test Procedure*,
    /// Scandinavian Journal of Statistics 1979.
    ///
    /// - Returns: the corrected p, in the order given.
    public static func holm(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var corrected = values
        var greatest = 0.0
        for (rank, index) in order.enumerated() {
            greatest = max(greatest, min(1, values[index] * Double(values.count - rank)))
            corrected[index] = greatest
        }
        return corrected
    }
}

/// The ranks of the absolute differences other than zero, all doubled, so that mean ranks are whole numbers.
private struct SignedRanks {
    let doubledRanks: [Int]
    /// The doubled sums of the ranks of positive and of negative differences.
    let positive, negative: Int
    /// The sizes of the groups of equal ranks.
    private let ties: [Int]

    var total: Int { positive + negative }

    init(_ differences: [Double]) {
        let nonzero = differences.filter { $0 != 0 }.sorted { abs($0) < abs($1) }
        var (ranks, ties): ([Int], [Int]) = ([], [])
        var (positive, negative) = (0, 0)
        var start = 0
        while start < nonzero.count {
            var end = start + 1
            while end < nonzero.count, abs(nonzero[end]) == abs(nonzero[start]) { end += 1 }
            // The mean of the ranks start + 1 ... end, doubled.
            let rank = start + 1 + end
            for index in start..<end {
                ranks.append(rank)
                if nonzero[index] > 0 { positive += rank } else { negative += rank }
            }
            ties.append(end - start)
            start = end
        }
        (doubledRanks, self.ties, self.positive, self.negative) = (ranks, ties, positive, negative)
    }

    /// Twice the share of all choices of signs whose sum is at most the lesser of the two found.
    var exactP: Double {
        guard !doubledRanks.isEmpty else { return 1 }
        var shares = [Double](repeating: 0, count: total + 1)
        shares[0] = 1
        for rank in doubledRanks {
            for sum in stride(from: total, through: 0, by: -1) {
                shares[sum] = (shares[sum] + (sum >= rank ? shares[sum - rank] : 0)) / 2
            }
        }
        return min(1, 2 * shares[...min(positive, negative)].reduce(0, +))
    }

    var approximateP: Double {
        let n = Double(doubledRanks.count)
        let tied = ties.reduce(0.0) { $0 + Double($1) * (Double($1) * Double($1) - 1) }
        let variance = n * (n + 1) * (2 * n + 1) / 24 - tied / 48
        let z = (Double(min(positive, negative)) / 2 - n * (n + 1) / 4) / variance.squareRoot()
        return min(1, erfc(-z / 2.0.squareRoot()))
    }
}
