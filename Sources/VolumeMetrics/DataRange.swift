/// The range L of intensities that a metric relates errors to.
public enum DataRange: Hashable, Sendable {
    /// The reference's greatest intensity less its least, over the voxels that the mask holds.
    case ofReference
    /// A range that is known, such as 1 for volumes in [0, 1] and 2 for those in [-1, 1]: values of many
    /// volumes can be compared and averaged then. Above zero.
    case fixed(Double)

    func value(_ referenceRange: Double, metric: String) throws(MetricError) -> Double {
        switch self {
        case .fixed(let range):
            precondition(range > 0 && range.isFinite, "a data range must be above zero")
            return range
        case .ofReference:
            guard referenceRange > 0 else {
                throw .zeroNormaliser(metric: metric, normaliser: "the range of the reference")
            }
            return referenceRange
        }
    }
}

extension Double {
    func normalised(by normaliser: Double, _ words: String, of metric: String) throws(MetricError) -> Double {
        guard normaliser != 0 else { throw .zeroNormaliser(metric: metric, normaliser: words) }
        return self / normaliser
    }
}
