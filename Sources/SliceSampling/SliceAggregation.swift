import Foundation

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

    /// One for every position.
    public func weights(radius: Int) -> [Float] { [Float](repeating: 1, count: 2 * radius + 1) }
}

/// The prediction of the window that has the slice in its middle.
public struct MiddleSliceAggregation: SliceAggregation {
    /// Only the middle position counts.
    public init() {}

    /// One for the middle position, and zero for the others.
    public func weights(radius: Int) -> [Float] {
        (0...2 * radius).map { $0 == radius ? 1 : 0 }
    }
}

/// A weighted mean over the windows that hold a slice: a network knows the most of a window's middle, where it sees
/// neighbours on either side.
public struct WeightedAggregation: SliceAggregation {
    private let weight: @Sendable (_ distance: Int, _ radius: Int) -> Double

    /// Weights of your own, by the distance from the middle of a window in slices, from 0 to the radius N.
    public init(weight: @escaping @Sendable (_ distance: Int, _ radius: Int) -> Double) { self.weight = weight }

    /// The weight of each position's distance from the middle.
    public func weights(radius: Int) -> [Float] {
        (-radius...radius).map { Float(weight(abs($0), radius)) }
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

extension SliceAggregation where Self == WeightedAggregation {
    /// Weights that fall evenly from the middle of a window: N + 1 - d at a distance of d slices.
    public static var triangular: WeightedAggregation {
        WeightedAggregation { distance, radius in Double(radius + 1 - distance) }
    }

    /// Weights exp(-d² / (2 deviation²)) at a distance of d slices from the middle of a window.
    ///
    /// - Parameter deviation: in slices, above zero.
    public static func gaussian(deviation: Double) -> WeightedAggregation {
        precondition(deviation > 0, "the deviation must be above zero")
        return WeightedAggregation { distance, _ in
            exp(-Double(distance * distance) / (2 * deviation * deviation))
        }
    }
}
