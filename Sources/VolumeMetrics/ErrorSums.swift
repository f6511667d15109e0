import Volumes

/// What the metrics that look at one voxel at a time are made of, from one pass over both volumes.
///
/// Sums are in Double and go slice by slice, so that a sum of many voxels keeps its last digits.
struct ErrorSums {
    private(set) var count = 0
    /// Sum of |p - r|.
    private(set) var absolute = 0.0
    /// Sum of (p - r)^2.
    private(set) var squared = 0.0
    /// Sum of r.
    private(set) var reference = 0.0
    /// Sum of r^2.
    private(set) var referenceSquared = 0.0
    /// Least and greatest of the prediction and of the reference.
    private(set) var predictionRange = 0.0
    private(set) var referenceRange = 0.0

    /// Mean of (p - r)^2.
    var meanSquared: Double { squared / Double(count) }

    /// The sums over the mask.
    init(
        _ prediction: Volume, _ reference: Volume, mask: Volume?, metric: String
    ) throws(MetricError) {
        try MetricError.checkShapes(prediction, reference, mask: mask)
        var (low, high) = (SIMD2<Float>(repeating: .infinity), SIMD2<Float>(repeating: -.infinity))
        for z in 0..<reference.shape.z {
            let (p, r, m) = (prediction.slice(z), reference.slice(z), mask?.slice(z))
            var slice = SIMD4<Double>.zero
            for index in p.indices {
                if let m, !(m[index] > 0) { continue }
                let pair = SIMD2(p[index], r[index])
                low = pointwiseMin(low, pair)
                high = pointwiseMax(high, pair)
                let value = Double(pair.y)
                let error = Double(pair.x) - value
                slice += SIMD4(abs(error), error * error, value, value * value)
                count += 1
            }
            absolute += slice[0]
            squared += slice[1]
            self.reference += slice[2]
            referenceSquared += slice[3]
        }
        guard count > 0 else { throw .emptyMask(metric: metric) }
        guard squared.isFinite, referenceSquared.isFinite else { throw .notFinite(metric: metric) }
        predictionRange = Double(high.x) - Double(low.x)
        referenceRange = Double(high.y) - Double(low.y)
    }
}
