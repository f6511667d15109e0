import Foundation

/// The rule by which the predictions of overlapping windows for a slice are combined (co-prediction).
///
/// A slice is in up to 2N+1 windows, in each at a different position. Its prediction is the weighted mean over these
/// windows, with weights by position. At the ends of a volume fewer windows contain a slice. A slice whose weights are
/// all zero gets the prediction of the window with the nearest middle.
public protocol SliceAggregation: Sendable {
    /// The weight of each position 0 ... 2N in a window: 2N+1 values, none negative, at least one above zero.
    func weights(radius: Int) -> [Float]
}

/// The mean over all windows that contain a slice (arXiv 2407.05059, eq. 5).
public struct MeanAggregation: SliceAggregation {
    /// The mean with equal weights.
    public init() {}

    /// One for each position.
    public func weights(radius: Int) -> [Float] { [Float](repeating: 1, count: 2 * radius + 1) }
}

/// The prediction of the window whose middle is the slice.
public struct MiddleSliceAggregation: SliceAggregation {
    /// The aggregation by the middle position only.
    public init() {}

    /// One for the middle position, zero for the others.
    public func weights(radius: Int) -> [Float] {
        (0...2 * radius).map { $0 == radius ? 1 : 0 }
    }
}

/// A weighted mean over the windows that contain a slice: predictions are best in a window's middle, which has
/// neighbours on both sides.
public struct WeightedAggregation: SliceAggregation {
    private let weight: @Sendable (_ distance: Int, _ radius: Int) -> Double

    /// Weights by the distance from the middle of a window in slices, from 0 to the radius N.
    public init(weight: @escaping @Sendable (_ distance: Int, _ radius: Int) -> Double) { self.weight = weight }

    /// The weight of each position, by its distance from the middle.
    public func weights(radius: Int) -> [Float] {
        (-radius...radius).map { Float(weight(abs($0), radius)) }
    }
}

extension SliceAggregation where Self == MeanAggregation {
    /// The mean over all windows that contain a slice.
    public static var mean: MeanAggregation { MeanAggregation() }
}

extension SliceAggregation where Self == MiddleSliceAggregation {
    /// The prediction of the window whose middle is the slice.
    public static var middleSlice: MiddleSliceAggregation { MiddleSliceAggregation() }
}

extension SliceAggregation where Self == WeightedAggregation {
    /// Weights that decrease linearly from the middle of a window: N + 1 - d at a distance of d slices.
    public static var triangular: WeightedAggregation {
        WeightedAggregation { distance, radius in Double(radius + 1 - distance) }
    }

    /// Weights exp(-d² / (2 deviation²)) at a distance of d slices from the middle of a window.
    ///
    /// - Parameter deviation: the standard deviation in slices, above zero.
    public static func gaussian(deviation: Double) -> WeightedAggregation {
        precondition(deviation > 0, "the deviation must be above zero")
        return WeightedAggregation { distance, _ in
            exp(-Double(distance * distance) / (2 * deviation * deviation))
        }
    }
}
