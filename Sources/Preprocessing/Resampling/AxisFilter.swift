import Foundation

/// A linear map of the samples along one axis: each result is a weighted sum of adjacent samples.
///
/// Interpolation, smoothing and both at once are such maps; what lies beyond the ends is folded into the weights.
struct AxisFilter: Equatable {
    /// The number of samples.
    let count: Int

    /// For each result, the first sample that it depends on; `first + taps <= count`.
    let first: [Int]

    /// The number of samples that a result depends on.
    let taps: Int

    /// `taps` weights for each result, which add up to 1.
    let weights: [Float]

    /// Whether the weights are those of the samples' B-spline coefficients.
    let isSpline: Bool

    /// The number of results.
    var results: Int { first.count }

    /// Whether the results are the samples.
    var isIdentity: Bool { taps == 1 && first.elementsEqual(0..<count) }

    /// The map to the values at positions, in voxels. Beyond the first and the last sample those are continued.
    init(count: Int, positions: [Double], interpolation: Interpolation) {
        let snapped = positions.map { position in
            let (inside, rounded) = (min(max(position, 0), Double(count - 1)), position.rounded())
            // Rounding of affines must not turn a copy into an interpolation.
            return abs(inside - rounded) < 1e-6 ? rounded : inside
        }
        if interpolation == .nearest || snapped.allSatisfy({ $0 == $0.rounded() }) {
            self.init(count: count, results: snapped.count) {
                [(index: Int((snapped[$0] + 0.5).rounded(.down)), weight: 1)]
            }
        } else if interpolation == .linear {
            self.init(count: count, results: snapped.count) {
                let low = Int(snapped[$0])
                let fraction = snapped[$0] - Double(low)
                return [(low, 1 - fraction), (min(low + 1, count - 1), fraction)]
            }
        } else {
            self.init(count: count, results: snapped.count, isSpline: true) {
                let low = Int(snapped[$0])
                let weights = CubicSpline.weights(snapped[$0] - Double(low))
                return (0..<4).map { (CubicSpline.mirrored(low - 1 + $0, count: count), weights[$0]) }
            }
        }
    }

    /// The convolution with a Gaussian of a standard deviation in voxels, above zero. The samples at the ends are repeated
    /// beyond them.
    init(count: Int, gaussian deviation: Double) {
        // A wider one would see little but the repeated ends.
        let deviation = min(deviation, Double(count))
        let radius = Int((4 * deviation).rounded(.up))
        let weights = (-radius...radius).map { exp(-0.5 * pow(Double($0) / deviation, 2)) }
        let sum = weights.reduce(0, +)
        self.init(count: count, results: count) { centre in
            zip(-radius...radius, weights).map { (min(max(centre + $0, 0), count - 1), $1 / sum) }
        }
    }

    /// This map after another one, whose results are its samples.
    ///
    /// - Precondition: neither takes B-spline coefficients.
    func after(_ inner: AxisFilter) -> AxisFilter {
        precondition(!isSpline && !inner.isSpline && count == inner.results)
        return AxisFilter(count: inner.count, results: results) { result in
            terms(of: result).flatMap { sample, weight in
                inner.terms(of: sample).map { ($0.index, weight * $0.weight) }
            }
        }
    }

    private func terms(of result: Int) -> [(index: Int, weight: Double)] {
        (0..<taps).map { (first[result] + $0, Double(weights[result * taps + $0])) }.filter { $0.1 != 0 }
    }

    /// A map by the terms of each result. Terms of one sample are added.
    private init(
        count: Int, results: Int, isSpline: Bool = false, terms: (Int) -> [(index: Int, weight: Double)]
    ) {
        let spans = (0..<results).map { result in
            let indices = terms(result).map(\.index)
            return (first: indices.min()!, end: indices.max()! + 1)
        }
        let taps = spans.map { $0.end - $0.first }.max()!
        let first = spans.map { min($0.first, count - taps) }
        var weights = [Float](repeating: 0, count: results * taps)
        var sums = [Double](repeating: 0, count: taps)
        for result in 0..<results {
            for tap in 0..<taps { sums[tap] = 0 }
            for (index, weight) in terms(result) { sums[index - first[result]] += weight }
            for tap in 0..<taps { weights[result * taps + tap] = Float(sums[tap]) }
        }
        (self.count, self.first, self.taps, self.weights, self.isSpline) = (
            count, first, taps, weights, isSpline
        )
    }
}

/// The cubic B-spline through samples (Unser, Aldroubi, Eden, *B-spline signal processing*, IEEE Transactions on Signal
/// Processing 1993), which are continued by reflection about the first and the last one.
enum CubicSpline {
    /// The weights of the four coefficients around a position that lies `t`, 0 to 1, beyond the second.
    @inline(__always)
    static func weights<Number: BinaryFloatingPoint>(_ t: Number) -> SIMD4<Number> {
        let (s, sixth) = (1 - t, 1 / 6 as Number)
        let outer = sixth * s * s * s
        let last = sixth * t * t * t
        let second = 4 * sixth - t * t + 3 * last
        return SIMD4(outer, second, 1 - outer - second - last, last)
    }

    /// The index in `0..<count` of a sample beyond the ends.
    static func mirrored(_ index: Int, count: Int) -> Int {
        guard count > 1 else { return 0 }
        let period = 2 * (count - 1)
        let phase = (index % period + period) % period
        return min(phase, period - phase)
    }

    /// Turns `count` samples of each line into the coefficients of the spline through them, in place: two recursive
    /// filters, one each way (equation 2.5).
    static func prefilter(_ lines: Lines, count: Int) {
        guard count > 1 else { return }
        let pole = Float(3.0.squareRoot() - 2)
        let width = lines.width
        // The first filter starts with a sum over the reflected samples, up to where single precision ends.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { start in
            start.initialize(repeating: 0)
            var power: Float = 6
            for place in 0..<16 {
                let samples = lines[mirrored(place, count: count)]
                for column in 0..<width { start[column] += power * samples[column] }
                power *= pole
            }
            lines[0].update(from: start.baseAddress!, count: width)
        }
        for place in 1..<count {
            let (here, before) = (lines[place], lines[place - 1])
            for column in 0..<width { here[column] = 6 * here[column] + pole * before[column] }
        }
        let (last, beforeLast) = (lines[count - 1], lines[count - 2])
        let scale = pole / (pole * pole - 1)
        for column in 0..<width { last[column] = scale * (last[column] + pole * beforeLast[column]) }
        for place in (0..<count - 1).reversed() {
            let (here, next) = (lines[place], lines[place + 1])
            for column in 0..<width { here[column] = pole * (next[column] - here[column]) }
        }
    }
}
