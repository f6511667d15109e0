import Volumes

/// The mean absolute difference of adjacent slices: the mean of |v(k + 1) - v(k)| over the slices k of a plane.
///
/// A 2-D network translates slices independently, so that intensities flicker from slice to slice. Anatomy also changes
/// between slices: the best value is not zero but that of the reference.
public struct SliceConsistency: VolumeMetric {
    /// The quantity to report.
    public enum Measure: String, CaseIterable, Sendable, Codable {
        /// The difference of adjacent slices of the prediction, in units of intensity.
        case difference = "slice_difference"
        /// The difference of the prediction minus that of the reference. 0 is best; above zero the prediction flickers,
        /// below zero it is smoother across slices than the reference.
        case error = "slice_difference_error"
    }

    /// The quantity to report.
    public let measure: Measure

    /// The plane of the slices.
    public let plane: SlicePlane

    /// The measure and the plane, for example `slice_difference_error_axial`.
    public var name: String { "\(measure.rawValue)_\(plane.rawValue)" }

    /// The consistency of the slices of a plane.
    public init(_ measure: Measure = .error, plane: SlicePlane) {
        (self.measure, self.plane) = (measure, plane)
    }

    /// The mean over all pairs of adjacent voxels that are both in the mask. O(n).
    ///
    /// - Throws: `MetricError`; `smallerThanWindow` if there are fewer than two slices.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        try MetricError.checkShapes(prediction, reference, mask: mask)
        let order = plane.permutation(for: reference.grid)
        let normal = order.sources[2]
        guard reference.shape[normal] >= 2 else {
            var window = SIMD3(1, 1, 1)
            window[normal] = 2
            throw MetricError.smallerThanWindow(metric: name, shape: reference.shape, window: window)
        }
        let permutedMask = mask?.permuted(order)
        let own = try meanDifference(prediction.permuted(order), permutedMask)
        switch measure {
        case .difference: return own
        case .error: return try own - meanDifference(reference.permuted(order), permutedMask)
        }
    }

    /// The mean of |v(k + 1) - v(k)| along the last axis.
    private func meanDifference(_ volume: Volume, _ mask: Volume?) throws(MetricError) -> Double {
        var (total, count) = (0.0, 0)
        for z in 1..<volume.shape.z {
            let (below, above) = (volume.slice(z - 1), volume.slice(z))
            let masks = mask.map { ($0.slice(z - 1), $0.slice(z)) }
            var slice = 0.0
            for (lower, upper) in zip(below.indices, above.indices) {
                if let masks, !(masks.0[lower] > 0 && masks.1[upper] > 0) { continue }
                slice += abs(Double(above[upper]) - Double(below[lower]))
                count += 1
            }
            total += slice
        }
        guard count > 0 else { throw .emptyMask(metric: name) }
        guard total.isFinite else { throw .notFinite(metric: name) }
        return total / Double(count)
    }
}
