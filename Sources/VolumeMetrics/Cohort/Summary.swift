import Foundation
import VoxelSupport

/// The distribution of a metric over subjects.
public struct Summary: Hashable, Sendable, Codable {
    /// Number of values.
    public let count: Int
    /// The mean.
    public let mean: Double
    /// The standard deviation of a sample (n - 1); `nil` for one value.
    public let standardDeviation: Double?
    /// The median, the mean of the middle two of an even number.
    public let median: Double
    /// The lowest value.
    public let minimum: Double
    /// The highest value.
    public let maximum: Double
    /// The bootstrap confidence interval of the mean; `nil` for one value.
    public let meanInterval: ConfidenceInterval?

    /// The distribution of finite values, of which there is at least one; `nil` if there is none.
    ///
    /// - Parameters:
    ///   - values: one for each subject. Infinite values and NaN are left out.
    ///   - level: the level of the confidence interval.
    ///   - resamples: number of bootstrap resamples.
    ///   - seed: of the resamples.
    public init?(of values: [Double], level: Double = 0.95, resamples: Int = 10_000, seed: UInt64 = 0) {
        let values = values.filter(\.isFinite)
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        count = values.count
        let mean = values.reduce(0, +) / Double(values.count)
        self.mean = mean
        median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
        (minimum, maximum) = (sorted[0], sorted[count - 1])
        guard count > 1 else {
            (standardDeviation, meanInterval) = (nil, nil)
            return
        }
        standardDeviation =
            (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)).squareRoot()
        meanInterval = ConfidenceInterval(ofMeanOf: values, level: level, resamples: resamples, seed: seed)
    }
}

/// A percentile bootstrap confidence interval of a mean.
///
/// The mean of each of many resamples, drawn with replacement, and of these means the percentiles. Efron, Tibshirani: *An
/// Introduction to the Bootstrap*, 1993, chapter 13. SciPy's `bootstrap(method="percentile")` is the same but for its
/// random numbers.
public struct ConfidenceInterval: Hashable, Sendable, Codable {
    /// The lower end.
    public let low: Double
    /// The upper end.
    public let high: Double
    /// The level, such as 0.95.
    public let level: Double
    /// Number of resamples.
    public let resamples: Int
    /// The seed of the resamples.
    public let seed: UInt64

    /// - Precondition: there is a value, and a resample; the level is between 0 and 1.
    public init(ofMeanOf values: [Double], level: Double = 0.95, resamples: Int = 10_000, seed: UInt64 = 0) {
        precondition(!values.isEmpty && resamples > 0 && level > 0 && level < 1, "nothing to resample")
        let count = UInt64(values.count)
        var means = (0..<resamples).map { resample in
            var sum = 0.0
            for start in stride(from: 0, to: values.count, by: 4) {
                let bits = Philox4x32.block(
                    counter: [
                        UInt32(truncatingIfNeeded: start), UInt32(truncatingIfNeeded: resample), 0, 0x626F6F74,
                    ],
                    key: Philox4x32.key(seed))
                for lane in 0..<min(4, values.count - start) {
                    sum += values[Int((UInt64(bits[lane]) * count) >> 32)]
                }
            }
            return sum / Double(values.count)
        }
        means.sort()
        func percentile(_ share: Double) -> Double {
            let position = share * Double(means.count - 1)
            let index = Int(position)
            let next = min(index + 1, means.count - 1)
            return means[index] + (position - Double(index)) * (means[next] - means[index])
        }
        (low, high) = (percentile((1 - level) / 2), percentile((1 + level) / 2))
        (self.level, self.resamples, self.seed) = (level, resamples, seed)
    }
}
