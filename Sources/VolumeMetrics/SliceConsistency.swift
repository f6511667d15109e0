import Volumes

/// How much neighbouring slices differ: the mean of |v(k + 1) - v(k)| over the slices k of a plane.
///
/// A 2-D network translates each slice without knowledge of the next, and the volume flickers from slice to
/// slice. Anatomy changes between slices too, so the figure to aim at is not zero but the reference's.
public struct SliceConsistency: VolumeMetric {
    /// What is reported.
    public enum Measure: String, CaseIterable, Sendable, Codable {
        /// The prediction's adjacent-slice difference, in units of intensity.
        case difference = "slice_difference"
        /// The prediction's less the reference's: 0 is best, above it the prediction flickers, below it the
        /// prediction is smoother than the reference across slices.
        case error = "slice_difference_error"
    }

    /// What is reported.
    public let measure: Measure

    /// The plane whose slices are compared.
    public let plane: SlicePlane

    /// The measure and the plane: `slice_difference_error_axial`.
    public var name: String { "\(measure.rawValue)_\(plane.rawValue)" }

    /// The consistency of a plane's slices.
    public init(_ measure: Measure = .error, plane: SlicePlane) {
        (self.measure, self.plane) = (measure, plane)
    }

    /// The mean over all pairs of neighbouring voxels that both lie in the mask. O(n).
    ///
    /// - Throws: also `MetricError.smallerThanWindow` where there are not two slices.
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
