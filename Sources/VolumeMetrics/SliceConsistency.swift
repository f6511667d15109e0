import Volumes
import VoxelSupport

/// How consistent the adjacent slices of a plane are.
///
/// A 2-D network translates slices independently, so that intensities flicker from slice to slice: in other planes it
/// shows as stripes. Anatomy also changes between slices, so that the prediction is compared with the reference.
///
/// `stripeEnergy` measures the flicker itself. In each slice k the prediction is fitted by the reference, p ~ g_k r + o_k, in
/// the least squares sense over the voxels compared. From a slice to the next the gain and the offset jump by dg and do,
/// which changes the intensities by dg r + do. The energy is half the mean square of this change, over the voxels of both
/// slices and all pairs of adjacent slices, divided by the variance of the reference:
///
///     E = mean over k of ((dg)^2 <r^2> + 2 dg do <r> + (do)^2) / (2 var(r))
///
/// If every slice has an independent gain of variance s^2, the expected energy is s^2 <r^2> / var(r). Smooth changes of
/// intensity, which are no stripes, contribute little. Slices in which the reference is constant have no gain and are left
/// out.
public struct SliceConsistency: PairMetric {
    /// The quantity to report.
    public enum Measure: String, CaseIterable, Sendable, Codable {
        /// The mean of |v(k + 1) - v(k)| over the slices k of the prediction, in units of intensity.
        case difference = "slice_difference"
        /// The difference of the prediction minus that of the reference. 0 is best; above zero the prediction flickers,
        /// below zero it is smoother across slices than the reference.
        case error = "slice_difference_error"
        /// The difference of the prediction divided by that of the reference. 1 is best.
        case ratio = "slice_difference_ratio"
        /// The energy of the changes of gain and offset from slice to slice, relative to the variance of the reference. 0
        /// is best.
        case stripeEnergy = "stripe_energy"
    }

    /// The quantity to report.
    public let measure: Measure

    /// The plane of the slices.
    public let plane: SlicePlane

    /// The measure and the plane, for example `slice_difference_error_axial`.
    public var name: String { "\(measure.rawValue)_\(plane.rawValue)" }

    /// The formula.
    public var definition: String {
        switch measure {
        case .difference: "mean of |p(k + 1) - p(k)| over \(plane.rawValue) slices k"
        case .error: "mean of |p(k + 1) - p(k)| - mean of |r(k + 1) - r(k)|"
        case .ratio: "mean of |p(k + 1) - p(k)| / mean of |r(k + 1) - r(k)|"
        case .stripeEnergy: "mean square jump of gain and offset between \(plane.rawValue) slices / (2 var r)"
        }
    }

    /// Which values are better.
    public var goal: MetricGoal {
        switch measure {
        case .difference, .stripeEnergy: .lowest
        case .error: .nearest(0)
        case .ratio: .nearest(1)
        }
    }

    /// The consistency of the slices of a plane.
    public init(_ measure: Measure = .error, plane: SlicePlane) {
        (self.measure, self.plane) = (measure, plane)
    }

    /// - Throws: `MetricError`; `smallerThanWindow` if there are fewer than two slices.
    func value(of pair: VolumePair) throws -> Double {
        let all = try pair.comparableSums(for: name)
        let order = plane.permutation(for: pair.reference.grid)
        let normal = order.sources[2]
        guard pair.reference.shape[normal] >= 2 else {
            var window = SIMD3(1, 1, 1)
            window[normal] = 2
            throw MetricError.smallerThanWindow(metric: name, shape: pair.reference.shape, window: window)
        }
        let slices = PlaneSlices(pair, order: order)
        if measure == .stripeEnergy {
            return try slices.stripeEnergy(metric: name)
                .normalised(by: all.referenceVariance, "the variance of the reference", of: name)
        }
        let (own, expected) = try slices.meanDifferences(metric: name)
        switch measure {
        case .ratio:
            return try own.normalised(by: expected, "the difference of the reference's slices", of: name)
        case .error: return own - expected
        default: return own
        }
    }
}

/// The slices of a plane of both volumes, in order.
private struct PlaneSlices: Sendable {
    let prediction, reference: Volume
    let mask: Volume?

    init(_ pair: VolumePair, order: AxisPermutation) {
        (prediction, reference) = (pair.prediction.permuted(order), pair.reference.permuted(order))
        mask = pair.comparedVoxels?.permuted(order)
    }

    /// The mean of |v(k + 1) - v(k)| of the prediction and of the reference, over all pairs of adjacent voxels compared.
    func meanDifferences(metric: String) throws(MetricError) -> (prediction: Double, reference: Double) {
        let area = reference.shape.x * reference.shape.y
        let slices = concurrentMap(reference.shape.z - 1) { slice -> (Double, Double, Int) in
            var (sumP, sumR, count) = (0.0, 0.0, 0)
            for index in slice * area..<(slice + 1) * area {
                if let mask, !(mask.voxels[index] > 0 && mask.voxels[index + area] > 0) { continue }
                sumP += abs(Double(prediction.voxels[index + area]) - Double(prediction.voxels[index]))
                sumR += abs(Double(reference.voxels[index + area]) - Double(reference.voxels[index]))
                count += 1
            }
            return (sumP, sumR, count)
        }
        let (sumP, sumR, count) = slices.reduce((0.0, 0.0, 0)) { ($0.0 + $1.0, $0.1 + $1.1, $0.2 + $1.2) }
        guard count > 0 else { throw .emptyMask(metric: metric) }
        return (sumP / Double(count), sumR / Double(count))
    }

    /// The fit of a slice of the prediction by that of the reference.
    private struct Fit {
        /// Number of voxels, and the means of r and r^2.
        let count, mean, meanSquare: Double
        let gain, offset: Double
    }

    private func fit(_ slice: Int) -> Fit? {
        let area = reference.shape.x * reference.shape.y
        let range = slice * area..<(slice + 1) * area
        var sums = FitSums()
        guard let first = range.first(where: { mask == nil || mask!.voxels[$0] > 0 }) else { return nil }
        let (p0, r0) = (Double(prediction.voxels[first]), Double(reference.voxels[first]))
        for index in range {
            if let mask, !(mask.voxels[index] > 0) { continue }
            sums.add(Double(prediction.voxels[index]) - p0, Double(reference.voxels[index]) - r0)
        }
        let n = sums.count
        let variance = sums.rr / n - (sums.r / n) * (sums.r / n)
        guard n >= 2, variance > 1e-12 * (sums.rr / n) else { return nil }
        let gain = (sums.pr / n - (sums.p / n) * (sums.r / n)) / variance
        let mean = r0 + sums.r / n
        return Fit(
            count: n, mean: mean, meanSquare: variance + mean * mean, gain: gain,
            offset: p0 + sums.p / n - gain * mean)
    }

    /// Half the mean square change of intensity by the changes of gain and offset.
    func stripeEnergy(metric: String) throws(MetricError) -> Double {
        let fits = concurrentMap(reference.shape.z) { fit($0) }
        var (energy, weight) = (0.0, 0.0)
        for (lower, upper) in zip(fits, fits.dropFirst()) {
            guard let lower, let upper else { continue }
            let count = lower.count + upper.count
            let mean = (lower.count * lower.mean + upper.count * upper.mean) / count
            let meanSquare = (lower.count * lower.meanSquare + upper.count * upper.meanSquare) / count
            let (gain, offset) = (upper.gain - lower.gain, upper.offset - lower.offset)
            energy += count * (gain * gain * meanSquare + 2 * gain * offset * mean + offset * offset)
            weight += count
        }
        guard weight > 0 else {
            throw .zeroNormaliser(
                metric: metric, normaliser: "the variance of the reference in adjacent slices")
        }
        return max(0, energy / (2 * weight))
    }
}

/// The sums of a linear fit.
private struct FitSums {
    var count = 0.0, p = 0.0, r = 0.0, rr = 0.0, pr = 0.0

    @inline(__always)
    mutating func add(_ p: Double, _ r: Double) {
        count += 1
        self.p += p
        self.r += r
        rr += r * r
        pr += p * r
    }
}
