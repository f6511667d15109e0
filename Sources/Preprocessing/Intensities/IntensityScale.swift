/// A rule fitted to a volume: a monotone map of its intensities to [0, 1], and back.
///
/// ## Laws
/// - The map is monotone, and is within [0, 1] unless the rule is ``IntensityRule/unit``.
/// - `inverse(scale(x))` is x, to rounding, wherever x was not clipped and the map is not flat.
public struct IntensityScale: Hashable, Sendable {
    /// Intensities, ascending.
    private let intensities: [Double]
    /// What they become, ascending. Between them the map is linear.
    private let values: [Double]
    /// Whether what the map makes is within [0, 1] always.
    let clips: Bool

    /// The linear map of `low` to 0 and `high` to 1.
    init(from low: Double, to high: Double) { (intensities, values, clips) = ([low, high], [0, 1], true) }

    /// A piecewise linear map.
    init(intensities: [Double], values: [Double]) {
        (self.intensities, self.values, clips) = (intensities, values, true)
    }

    private init() { (intensities, values, clips) = ([0, 1], [0, 1], false) }

    /// No change.
    package static let identity = IntensityScale()

    /// The intensities that become 0 and 1.
    public var range: ClosedRange<Double> { intensities[0]...intensities[intensities.count - 1] }

    /// Whether the map is linear where it does not clip.
    package var isLinear: Bool { intensities.count == 2 }

    /// The scaled intensity. O(1); for a histogram O(log of its bins).
    public func callAsFunction(_ intensity: Float) -> Float { Float(unit(Double(intensity))) }

    /// The intensity that becomes a value.
    public func inverse(_ value: Float) -> Float { Float(intensity(Double(value))) }

    /// The scaled intensity, in double precision.
    package func unit(_ intensity: Double) -> Double {
        if isLinear {
            // In double precision: the range of two finite floats may exceed the largest float.
            let value = (intensity - intensities[0]) / (intensities[1] - intensities[0])
            return clips ? min(max(value, 0), 1) : value
        }
        return interpolate(intensity, from: intensities, to: values)
    }

    private func intensity(_ value: Double) -> Double {
        if isLinear { return value * (intensities[1] - intensities[0]) + intensities[0] }
        return interpolate(value, from: values, to: intensities)
    }
}

/// The linear interpolation of a table with ascending places, constant beyond its ends.
private func interpolate(_ x: Double, from places: [Double], to values: [Double]) -> Double {
    var (low, high) = (0, places.count - 1)
    guard x > places[low] else { return values[low] }
    guard x < places[high] else { return values[high] }
    while high - low > 1 {
        let middle = (low + high) / 2
        if places[middle] <= x { low = middle } else { high = middle }
    }
    let fraction = (x - places[low]) / (places[high] - places[low])
    return values[low] + fraction * (values[high] - values[low])
}
