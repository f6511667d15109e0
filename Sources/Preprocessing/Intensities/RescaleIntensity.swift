public import Volumes
import VoxelSupport

/// Scales intensities to [0, 1] by a rule that is fitted to the volume's foreground. What is outside becomes 0.
///
/// Put it first in a pipeline: then the background is judged on the volume as it was scanned, and interpolation does not
/// mix tissue with what a rule clips.
///
/// In a description: `{"kind": "rescale_intensity", "rule": "percentiles:0.1,99.9", "background": "border"}`.
public struct RescaleIntensity: StorableTransform, Hashable {
    /// The name in descriptions.
    public static let kind = "rescale_intensity"

    /// How intensities are scaled.
    public var rule: IntensityRule

    /// What counts as background where there is no mask.
    public var background: Background

    /// A step that scales to [0, 1].
    ///
    /// - Parameters:
    ///   - rule: how intensities are scaled.
    ///   - background: what counts as background; `nil` for what suits the rule: `lowest` for min-max, what is at most
    ///     0.001 for intensities in [0, 1], else `border`.
    public init(_ rule: IntensityRule = .percentiles(), background: Background? = nil) {
        self.rule = rule
        self.background = background ?? rule.defaultBackground
    }

    /// None: labels keep their values.
    public var forLabels: (any VolumeTransform)? { nil }

    /// The scaled volume; the inverse does not restore what was clipped. O(n).
    ///
    /// - Throws: ``PreprocessingError/constantVolume(_:)`` if the foreground's intensities are all equal, and no others are
    ///   there.
    public func apply(to volume: Volume) throws -> TransformedVolume {
        try IntensityFit(self, to: volume).transformed
    }
}

extension RescaleIntensity {
    /// The scale for a volume without a mask where it does not depend on the foreground, and where all background becomes
    /// less than 0.001; `nil` otherwise. O(n), much faster than an `IntensityFit`.
    package func scaleOfWhole(_ volume: Volume) -> IntensityScale? {
        guard background == rule.defaultBackground else { return nil }
        switch rule {
        case .unit: return .identity
        case .minMax:
            let range = volume.intensityRange
            guard range.lowerBound.isFinite, range.upperBound.isFinite, range.lowerBound < range.upperBound
            else {
                return nil
            }
            return IntensityScale(from: Double(range.lowerBound), to: Double(range.upperBound))
        default: return nil
        }
    }
}

extension IntensityRule {
    /// What counts as background where nothing is said.
    var defaultBackground: Background {
        switch self {
        case .minMax: .lowest
        case .unit: .atMost(IntensityConvention.backgroundThreshold)
        default: .border
        }
    }
}

/// A rule that was fitted to a volume, and what may be wrong with it.
///
/// ```swift
/// let fit = try IntensityFit(RescaleIntensity(.window(.brain)), to: ct)
/// for warning in fit.warnings { print(warning) }
/// ```
public struct IntensityFit: Sendable {
    /// The volume that the rule was fitted to.
    public let source: Volume

    /// The rule and the background.
    public let step: RescaleIntensity

    /// The map of intensities.
    public let scale: IntensityScale

    /// Whether each voxel counts: is in the mask, or not in the background, and finite.
    package let isInside: [Bool]

    /// What may make the result wrong.
    public let warnings: [IntensityWarning]

    /// Fits a rule.
    ///
    /// - Parameters:
    ///   - step: the rule and the background.
    ///   - volume: the volume.
    ///   - mask: the foreground, on the volume's grid; `nil` for all but the background.
    /// - Throws: ``PreprocessingError/constantVolume(_:)``, ``PreprocessingError/constantForeground(_:)``,
    ///   ``PreprocessingError/emptyMask``, also where all voxels are background.
    /// - Complexity: O(n).
    public init(_ step: RescaleIntensity, to volume: Volume, mask: ForegroundMask? = nil) throws {
        precondition(
            mask.map { $0.isForeground.count == volume.grid.count } ?? true,
            "the mask is that of another volume")
        let inside = mask ?? ForegroundMask(of: volume, background: step.background)
        var isInside = inside.isForeground
        let values = [Float](unsafeUninitializedCapacity: isInside.count) { values, count in
            isInside.withUnsafeMutableBufferPointer { isInside in
                for (index, voxel) in volume.voxels.enumerated() {
                    isInside[index] = isInside[index] && voxel.isFinite
                    // Without a branch: what is outside is overwritten.
                    values[count] = voxel
                    count += isInside[index] ? 1 : 0
                }
            }
        }
        guard !values.isEmpty else { throw volume.constant ?? .emptyMask }
        let measured = OrderStatistics(finite: values)
        let rule = step.rule
        func level() -> Double? {
            let found = mask == nil ? inside : ForegroundMask(of: volume, background: step.background)
            return OrderStatistics(zip(volume.voxels, found.isForeground).compactMap { $1 ? nil : $0 })
                .quantile(0.5)
        }
        let whole = { mask == nil ? volume.finiteRange! : measured.range }
        guard let scale = rule.scale(of: measured, background: level, whole: whole) else {
            throw volume.constant ?? .constantForeground(measured.finite[0])
        }
        (source, self.step, self.scale, self.isInside) = (volume, step, scale, isInside)
        warnings = IntensityWarning.warnings(
            rule: rule, volume: volume, isInside: isInside, measured: measured, scale: scale,
            hasMask: mask != nil)
    }
}

extension IntensityFit {
    /// The volume in [0, 1], 0 outside the foreground. O(n).
    public var scaled: Volume {
        var scaled = source
        scaled.voxels.withUnsafeMutableBufferPointer { voxels in
            for index in voxels.indices { voxels[index] = isInside[index] ? scale(voxels[index]) : 0 }
        }
        return scaled
    }

    /// The foreground of the scaled volume: without what the rule makes background, where that is connected to the outside.
    /// O(n).
    public var foreground: ForegroundMask { foreground(of: scaled) }

    /// The foreground, from the volume as scaled.
    func foreground(of scaled: Volume) -> ForegroundMask {
        let shown = ForegroundMask(of: scaled, background: .atMost(IntensityConvention.backgroundThreshold))
        return ForegroundMask(isForeground: zip(shown.isForeground, isInside).map { $0 && $1 })
    }
}

extension Volume {
    /// The error of a volume whose finite voxels are all equal.
    fileprivate var constant: PreprocessingError? {
        finiteRange.flatMap { $0.lowerBound == $0.upperBound ? .constantVolume($0.lowerBound) : nil }
    }
}

extension IntensityFit {
    /// The fit as the result of a step. Its inverse does not restore what was clipped.
    var transformed: TransformedVolume {
        let scale = scale
        return TransformedVolume(volume: scaled, inverse: .intensity { $0.map(scale.inverse) })
    }
}

extension IntensityRule {
    /// The map for a foreground, or `nil` if its intensities have no extent.
    ///
    /// - Parameters:
    ///   - foreground: the foreground's intensities.
    ///   - background: the level of the background, if there is any.
    ///   - whole: the range of all intensities that are not masked.
    fileprivate func scale(
        of foreground: OrderStatistics, background: () -> Double?, whole: () -> ClosedRange<Float>
    ) -> IntensityScale? {
        func linear(_ low: Double, _ high: Double) -> IntensityScale? {
            low < high ? IntensityScale(from: low, to: high) : nil
        }
        func linear(_ range: ClosedRange<Float>) -> IntensityScale? {
            linear(Double(range.lowerBound), Double(range.upperBound))
        }
        switch self {
        case .window(let window): return IntensityScale(from: window.low, to: window.high)
        case .unit: return .identity
        case .minMax: return linear(whole())
        case .percentiles(let low, let high):
            var ends = foreground.quantiles([low / 100, high / 100])!
            // No signal is 0, as in FreeSurfer's conform: the background's level or, where that lies far below, as air in
            // a CT does, or is not known, the number 0.
            let extent = ends[1] - ends[0]
            let levels = [background() ?? 0, 0]
            if let level = levels.first(where: { $0 < ends[0] && ends[0] - $0 < extent }) { ends[0] = level }
            // A foreground of one intensity, such as a mask: its range begins at the background.
            return linear(ends[0], ends[1]) ?? linear(whole())
        case .zScore(let deviations):
            let mean = foreground.finite.reduce(0) { $0 + Double($1) } / Double(foreground.count)
            let squares = foreground.finite.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
            let reach = deviations * (squares / Double(foreground.count)).squareRoot()
            return linear(mean - reach, mean + reach)
        case .histogram(let shares): return IntensityScale(matching: foreground, to: shares)
        }
    }
}

extension IntensityScale {
    /// The map of a distribution to a histogram over [0.001, 1].
    fileprivate init?(matching foreground: OrderStatistics, to shares: [Float]) {
        let intervals = 1024
        let fractions = (0...intervals).map { Double($0) / Double(intervals) }
        guard let quantiles = foreground.quantiles(fractions) else { return nil }
        let total = shares.reduce(0) { $0 + Double($1) }
        guard total > 0, quantiles[0] < quantiles[intervals] else { return nil }
        var cumulative = [0.0]
        for share in shares { cumulative.append(cumulative.last! + Double(share) / total) }
        func value(at fraction: Double) -> Double {
            let upper = cumulative.firstIndex { $0 > 0 && $0 >= fraction - 1e-12 } ?? shares.count
            let within = (fraction - cumulative[upper - 1]) / (cumulative[upper] - cumulative[upper - 1])
            let place = (Double(upper - 1) + min(max(within, 0), 1)) / Double(shares.count)
            return place * (1 - IntensityConvention.backgroundThreshold)
                + IntensityConvention.backgroundThreshold
        }
        // Of equal quantiles the last counts: intensities must ascend.
        var (intensities, values): ([Double], [Double]) = ([], [])
        for (quantile, fraction) in zip(quantiles, fractions) {
            if quantile == intensities.last {
                intensities.removeLast()
                values.removeLast()
            }
            intensities.append(quantile)
            values.append(value(at: fraction))
        }
        self.init(intensities: intensities, values: values)
    }
}

extension OrderStatistics {
    /// The least and the greatest value; there must be one.
    fileprivate var range: ClosedRange<Float> { finite.min()!...finite.max()! }
}
