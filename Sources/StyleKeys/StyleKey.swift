import Volumes

/// How the grey values of a target modality are spread: what tells a network which style to translate to.
///
/// ```swift
/// let style = try StyleKey(of: reference)             // of one volume in the style wanted
/// let average = try StyleKey(averaging: [a, b, c])    // of several
/// try average.write(to: URL(filePath: "t1.json"))
/// ```
///
/// A key has three tokens of B bins each, over intensities [0.001, 1] of a volume scaled to [0, 1]. Background
/// lies at zero and is left out. Choo et al., *Slice-Consistent 3D Volumetric Brain CT-to-MRI Translation with
/// 2D Brownian Bridge Diffusion Model*, MICCAI 2024 (arXiv 2407.05059), section "Style Key Conditioning".
///
/// A key made here has tokens that follow from one another. A key that is decoded or put together from tokens
/// need not: it is whatever its network was trained with.
public struct StyleKey: Hashable, Sendable {
    /// The share of voxels in each bin, scaled so that all bins sum to 10.
    public let histogram: [Float]

    /// The running sum of the histogram; its last value is 10.
    public let cumulative: [Float]

    /// What each bin of the histogram is above the one before it, times 10. The first bin has none before it
    /// and repeats the second's.
    public let difference: [Float]

    /// How a volume's intensities become the [0, 1] that a key is measured over.
    public enum Scaling: Sendable {
        /// The least finite intensity becomes 0 and the greatest 1.
        case minMax
        /// They are in [0, 1] already; those outside are left out.
        case none
    }

    /// The key of a volume. O(n).
    ///
    /// Bins are of one width. Each holds its lower edge, and the last its upper edge too. Voxels outside
    /// [0.001, 1] and those that are not finite are passed over.
    ///
    /// - Parameters:
    ///   - volume: a volume in the style wanted.
    ///   - bins: bins in each token, at least 2; the published networks take 128.
    ///   - scaling: whether intensities are still to be brought to [0, 1].
    /// - Throws: `StyleKeyError.nothingButBackground` where no voxel falls into a bin, and
    ///   `StyleKeyError.tooFewBins`.
    public init(of volume: Volume, bins: Int = 128, scaling: Scaling = .minMax) throws(StyleKeyError) {
        guard bins >= 2 else { throw .tooFewBins(bins) }
        let counts = IntensityBins(count: bins).counts(of: volume, scaling: scaling)
        let total = counts.reduce(0, +)
        guard total > 0 else { throw .nothingButBackground(voxels: volume.voxels.count, scaling: scaling) }

        let shares = counts.map { Double($0) / Double(total) * Self.tokenScale }
        var sum = 0.0
        let runningSum = shares.map { share in
            sum += share
            return Float(sum)
        }
        let steps = zip(shares.dropFirst(), shares).map { Float(($0 - $1) * Self.tokenScale) }
        histogram = shares.map { Float($0) }
        cumulative = runningSum
        difference = [steps[0]] + steps
    }

    /// The mean of keys, bin by bin in each token: one style from several volumes.
    ///
    /// - Throws: `StyleKeyError.noKeys` for an empty array, `StyleKeyError.binsDiffer` where the keys do not
    ///   have as many bins as the first.
    public init(averaging keys: [StyleKey]) throws(StyleKeyError) {
        guard let first = keys.first else { throw .noKeys }
        if let other = keys.first(where: { $0.bins != first.bins }) {
            throw .binsDiffer(first.bins, other.bins)
        }
        func mean(_ token: (StyleKey) -> [Float]) -> [Float] {
            var sums = [Double](repeating: 0, count: first.bins)
            for key in keys {
                for (bin, value) in token(key).enumerated() { sums[bin] += Double(value) }
            }
            return sums.map { Float($0 / Double(keys.count)) }
        }
        histogram = mean(\.histogram)
        cumulative = mean(\.cumulative)
        difference = mean(\.difference)
    }

    /// A key from its three tokens, which need not follow from one another.
    ///
    /// - Throws: `StyleKeyError.lengthsDiffer`, `StyleKeyError.tooFewBins` (fewer than 2) or
    ///   `StyleKeyError.notFinite`.
    public init(histogram: [Float], cumulative: [Float], difference: [Float]) throws(StyleKeyError) {
        guard histogram.count == cumulative.count, histogram.count == difference.count else {
            throw .lengthsDiffer(
                histogram: histogram.count, cumulative: cumulative.count, difference: difference.count)
        }
        guard histogram.count >= 2 else { throw .tooFewBins(histogram.count) }
        let named = [("histogram", histogram), ("cumulative", cumulative), ("difference", difference)]
        for (name, values) in named {
            if let bin = values.firstIndex(where: { !$0.isFinite }) {
                throw .notFinite(token: name, bin: bin, value: values[bin])
            }
        }
        (self.histogram, self.cumulative, self.difference) = (histogram, cumulative, difference)
    }

    /// Number of bins in each token.
    public var bins: Int { histogram.count }

    /// The three tokens as a network takes them, [3, bins], row by row: histogram, cumulative, difference.
    public var tokens: [Float] { histogram + cumulative + difference }

    /// How far two styles are apart: the earth mover's distance between their histograms.
    ///
    /// It is the least mean change of intensity that turns one histogram into the other, on the scale where a
    /// volume's intensities span [0, 1]: 0.05 means that tissue is on average a twentieth of the range
    /// brighter or darker. In one dimension it is the area between the cumulative distributions, so it
    /// follows from the `cumulative` tokens. It is a metric: symmetric, zero for equal `cumulative` tokens
    /// alone, and no longer than a way round by a third key.
    ///
    /// - Throws: `StyleKeyError.binsDiffer` unless both keys have as many bins.
    public func distance(to other: StyleKey) throws(StyleKeyError) -> Double {
        guard bins == other.bins else { throw .binsDiffer(bins, other.bins) }
        let area = zip(cumulative, other.cumulative).reduce(0.0) { $0 + abs(Double($1.0) - Double($1.1)) }
        return area / Self.tokenScale * IntensityBins(count: bins).width
    }

    /// What a histogram sums to, and what its differences are multiplied by.
    private static let tokenScale = 10.0
}
