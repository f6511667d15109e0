/// The intensities that networks and style keys work with.
///
/// A prepared volume has intensities in [0, 1], with background at 0. A network sees them in [-1, 1], with background at
/// -1.
public enum IntensityConvention {
    /// The largest intensity that counts as background, as a fraction of the range of intensities: 0.001, where the
    /// histograms of style keys begin (arXiv 2407.05059).
    public static let backgroundThreshold = 0.001

    /// Background as a network sees it.
    public static let networkBackground: Float = -1

    /// An intensity in [0, 1] as a network sees it: 2 x - 1.
    @inlinable
    public static func network(fromUnit intensity: Float) -> Float { 2 * intensity - 1 }

    /// An intensity of a network in [0, 1]: (x + 1) / 2.
    @inlinable
    public static func unit(fromNetwork intensity: Float) -> Float { (intensity + 1) / 2 }
}

extension Volume {
    /// A volume with intensities in [0, 1] as a network sees it, in [-1, 1]. O(n).
    public func scaledToNetworkRange() -> Volume { map(IntensityConvention.network(fromUnit:)) }

    /// A volume with intensities in [-1, 1], as networks give it, in [0, 1]. O(n).
    public func scaledToUnitRange() -> Volume { map(IntensityConvention.unit(fromNetwork:)) }
}
