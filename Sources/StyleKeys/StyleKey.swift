import Preprocessing
import Volumes
import VoxelSupport

/// The distribution of intensities in a target modality, which conditions a network on the style to translate to.
///
/// ```swift
/// let style = try StyleKey(of: reference)             // of one volume in the style wanted
/// let average = try StyleKey(averaging: [a, b, c])    // of several
/// try average.write(to: "t1.json")
/// ```
///
/// A key has three tokens of B bins each, over the intensities [0.001, 1] of a volume scaled to [0, 1] by an
/// `IntensityRule`. Background, below 0.001, is left out. Choo et al., *Slice-Consistent 3D Volumetric Brain CT-to-MRI Translation with
/// 2D Brownian Bridge Diffusion Model*, MICCAI 2024 (arXiv 2407.05059), section "Style Key Conditioning".
///
/// The tokens of a key computed from a volume are consistent with one another. Those of a key read from a file need not
/// be.
public struct StyleKey: Hashable, Sendable {
    /// The fraction of voxels in each bin, times 10: the bins sum to 10.
    public let histogram: [Float]

    /// The cumulative sum of the histogram; its last value is 10.
    public let cumulative: [Float]

    /// The difference of each bin of the histogram and the previous one, times 10. The first value repeats the second.
    public let difference: [Float]

    /// The key of a volume. O(n).
    ///
    /// Bins have equal widths and are half-open, except the last, which includes 1. Background, voxels outside
    /// [0.001, 1] after scaling, and voxels that are not finite are skipped.
    ///
    /// - Parameters:
    ///   - volume: a volume in the style wanted.
    ///   - bins: number of bins of each token, at least 2; the published networks use 128.
    ///   - intensities: how intensities are scaled to [0, 1], and what is background; for a network the rule of its
    ///     target.
    ///   - mask: the foreground, on the volume's grid; `nil` for all but the background.
    ///   - resampling: how the volume is resampled after scaling, for a network as its targets were, so that the key of a
    ///     volume with thick slices is that of what the network would see; `nil` for the volume's own grid.
    /// - Throws: `StyleKeyError.nothingButBackground` if no voxel is in a bin, `StyleKeyError.tooFewBins` and
    ///   `StyleKeyError.notResampled`.
    public init(
        of volume: Volume, bins: Int = 128, intensities: RescaleIntensity = RescaleIntensity(),
        mask: ForegroundMask? = nil, resampling: Resample? = nil
    ) throws(StyleKeyError) {
        if mask == nil, resampling == nil, bins >= 2, let scale = intensities.scaleOfWhole(volume) {
            let counts = IntensityBins(count: bins).counts(of: volume.voxels, scale)
            try self.init(counts: counts, of: volume, by: intensities.rule)
            return
        }
        do {
            try self.init(
                of: IntensityFit(intensities, to: volume, mask: mask), bins: bins, resampling: resampling)
        } catch is PreprocessingError {
            throw .nothingButBackground(voxels: volume.voxels.count, rule: intensities.rule)
        } catch let error as StyleKeyError {
            throw error
        } catch { preconditionFailure("\(error)") }
    }

    /// The key of a volume whose intensities have been scaled. O(n).
    ///
    /// - Throws: as ``init(of:bins:intensities:mask:resampling:)``.
    public init(
        of fit: IntensityFit, bins: Int = 128, resampling: Resample? = nil
    ) throws(StyleKeyError) {
        guard bins >= 2 else { throw .tooFewBins(bins) }
        let binning = IntensityBins(count: bins)
        let counts: [Int]
        if let resampling, !resampling.keeps(fit.source.grid) {
            do {
                counts = binning.counts(of: try resampling.apply(to: fit.scaled).volume.voxels, .identity)
            } catch { throw .notResampled(reason: "\(error)") }
        } else {
            counts = binning.counts(of: fit)
        }
        try self.init(counts: counts, of: fit.source, by: fit.step.rule)
    }

    private init(counts: [Int], of volume: Volume, by rule: IntensityRule) throws(StyleKeyError) {
        let total = counts.reduce(0, +)
        guard total > 0 else { throw .nothingButBackground(voxels: volume.voxels.count, rule: rule) }
        let fractions = counts.map { Double($0) / Double(total) * Self.tokenScale }
        var sum = 0.0
        let runningSum = fractions.map { fraction in
            sum += fraction
            return Float(sum)
        }
        let steps = zip(fractions.dropFirst(), fractions).map { Float(($0 - $1) * Self.tokenScale) }
        histogram = fractions.map { Float($0) }
        cumulative = runningSum
        difference = [steps[0]] + steps
    }

    /// The mean of several keys, bin by bin in each token.
    ///
    /// - Throws: `StyleKeyError.noKeys` for an empty array, `StyleKeyError.binsDiffer` if the numbers of bins differ.
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

    /// A key from its three tokens, which need not be consistent with one another.
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

    /// The input of the network, `[3, bins]`: histogram, cumulative, difference.
    public var tokens: [Float] { histogram + cumulative + difference }

    /// The earth mover's distance between the histograms of two keys, from 0 to 1.
    ///
    /// It is the smallest mean change of intensity that turns one histogram into the other, where the intensities of a
    /// volume span [0, 1]: 0.05 means that voxels are on average a twentieth of the range brighter or darker. In one
    /// dimension it is the area between the cumulative distributions, and is computed from the `cumulative` tokens. It is
    /// a metric: symmetric, zero only for equal `cumulative` tokens, and subject to the triangle inequality.
    ///
    /// - Throws: `StyleKeyError.binsDiffer` if the numbers of bins differ.
    public func distance(to other: StyleKey) throws(StyleKeyError) -> Double {
        guard bins == other.bins else { throw .binsDiffer(bins, other.bins) }
        let area = zip(cumulative, other.cumulative).reduce(0.0) { $0 + abs(Double($1.0) - Double($1.1)) }
        return area / Self.tokenScale * IntensityBins(count: bins).width
    }

    /// The sum of a histogram, and the factor of its differences.
    private static let tokenScale = 10.0
}

extension StyleKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The number of bins and a fingerprint of the tokens: equal keys have equal descriptions.
    public var description: String {
        var fingerprint = Fingerprint()
        fingerprint.combine(tokens)
        return "style key of \(bins) bins (\(String(fingerprint.value, radix: 16)))"
    }

    /// The same as `description`.
    public var debugDescription: String { description }

    /// The number of bins.
    public var customMirror: Mirror { Mirror(self, children: ["bins": bins], displayStyle: .struct) }
}
