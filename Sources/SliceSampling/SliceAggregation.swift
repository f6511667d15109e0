/// How the predictions that several windows make for one slice become one (co-prediction).
///
/// A slice is held by up to 2N+1 windows, in each at another position. Its prediction is the weighted mean
/// over those windows, where the weight belongs to the position. At the ends of a volume fewer windows hold a
/// slice; the mean is over those alone. A slice for which all weights are zero takes the prediction of the
/// window whose middle is nearest.
public protocol SliceAggregation: Sendable {
    /// The weight of each position 0 ... 2N in a window: 2N+1 values, none negative, at least one above zero.
    func weights(radius: Int) -> [Float]
}

/// The mean over all windows that hold a slice (arXiv 2407.05059, eq. 5).
public struct MeanAggregation: SliceAggregation {
    /// Every position counts alike.
    public init() {}

    /// 2N+1 times 1.
    public func weights(radius: Int) -> [Float] { [Float](repeating: 1, count: 2 * radius + 1) }
}

/// The prediction of the window that has the slice in its middle.
public struct MiddleSliceAggregation: SliceAggregation {
    /// Only the middle position counts.
    public init() {}

    /// 1 in the middle, 0 around it.
    public func weights(radius: Int) -> [Float] {
        (0...2 * radius).map { $0 == radius ? 1 : 0 }
    }
}

extension SliceAggregation where Self == MeanAggregation {
    /// The mean over all windows that hold a slice.
    public static var mean: MeanAggregation { MeanAggregation() }
}

extension SliceAggregation where Self == MiddleSliceAggregation {
    /// The prediction of the window that has the slice in its middle.
    public static var middleSlice: MiddleSliceAggregation { MiddleSliceAggregation() }
}
