import Preprocessing
import StyleKeys
import Volumes
import VoxelSupport

/// A monotone map of intensities that transforms one distribution into another (histogram matching).
///
/// Intensities are in [-1, 1]. Background, below the first bin of style keys, stays at -1.
public struct IntensityMap: Sendable {
    /// The mapped values of evenly spaced intensities from the upper end of the background to 1.
    private let table: [Float]

    /// Number of intervals of the table: several per bin of the usual keys (128), so that none of their detail is lost.
    private static let intervals = 1024

    /// The upper end of the background on the scale of style keys, [0, 1].
    private static let background = Float(IntensityConvention.backgroundThreshold)

    /// The map from the distribution of a volume's foreground to that of a style.
    ///
    /// - Parameters:
    ///   - source: a volume with intensities in [-1, 1].
    ///   - style: a style, of which only the `histogram` is used.
    /// - Throws: `StyleKeyError.nothingButBackground` if the source has no foreground;
    ///   ``TranslationError/styleIsNoHistogram`` if the style's histogram has negative values or is empty.
    public init(from source: Volume, to style: StyleKey) throws {
        guard style.histogram.allSatisfy({ $0 >= 0 }), style.histogram.contains(where: { $0 > 0 }) else {
            throw TranslationError.styleIsNoHistogram
        }
        let unit = source.scaledToUnitRange()
        let key = try StyleKey(of: unit, bins: Self.intervals, intensities: RescaleIntensity(.unit))
        let sourceShares = Self.shares(of: key)
        let styleShares = Self.shares(of: style)
        table = sourceShares.map { Self.quantile($0, of: styleShares) * 2 - 1 }
    }

    /// The mapped value of an intensity.
    @inline(__always)
    public func callAsFunction(_ intensity: Float) -> Float {
        let unit = IntensityConvention.unit(fromNetwork: intensity)
        guard unit > Self.background else { return -1 }
        let position =
            min((unit - Self.background) / (1 - Self.background), 1) * Float(Self.intervals)
        let index = min(Int(position), Self.intervals - 1)
        let low = table[index]
        return low + (position - Float(index)) * (table[index + 1] - low)
    }

    /// The cumulative distribution of the foreground at each edge of a key's bins, from 0 to 1.
    private static func shares(of key: StyleKey) -> [Double] {
        var sum = 0.0
        let sums = key.histogram.map { share in
            sum += Double(share)
            return sum
        }
        return [0] + sums.map { $0 / sum }
    }

    /// The quantile of a cumulative distribution as above: an intensity in [0, 1].
    private static func quantile(_ share: Double, of shares: [Double]) -> Float {
        // The upper edge of the first bin that is not empty and reaches the share.
        let upper = shares.partitioningIndex { $0 > 0 && $0 >= share }
        let within = (share - shares[upper - 1]) / (shares[upper] - shares[upper - 1])
        let position = (Double(upper - 1) + within) / Double(shares.count - 1)
        return Float(position) * (1 - background) + background
    }
}
