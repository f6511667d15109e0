import Foundation
import Volumes
import VoxelSupport

/// Why a scaling of intensities may not be what was wanted.
public enum IntensityWarning: Hashable, Sendable, CustomStringConvertible {
    /// A handful of voxels, or the background, set the range: 99.9 % of the foreground span this fraction of it.
    case fewVoxelsSetTheRange(share: Double)

    /// Most of the volume's border is foreground: the fraction given.
    case borderIsForeground(Double)

    /// A CT in Hounsfield units is scaled over a range of this many HU, of which the brain spans 40.
    case wideRangeOfCT(Double)

    /// A CT shows a head with its skull: the fraction of the foreground that is bone.
    case wholeHead(bone: Double)

    /// Hardly any of the foreground is inside the range: the fraction given.
    case outsideTheRange(Double)

    /// What is wrong and what to do, as in `voxelbridge`.
    public var description: String {
        switch self {
        case .fewVoxelsSetTheRange(let share):
            "a handful of voxels, or the background, set the range from the least to the greatest intensity: 99.9 % of the "
                + "foreground span \(Self.percent(share)) of it; scale by percentiles, or give a window or a mask"
        case .borderIsForeground(let share):
            "\(Self.percent(share)) of the volume's border is foreground: the background was not found, or the volume "
                + "is cropped; give a mask, or the background's intensity"
        case .wideRangeOfCT(let extent):
            "this is a CT in HU, scaled over \(Int(extent)) HU: grey and white matter are \(Self.percent(8 / extent)) of "
                + "the range apart; give a window, such as 0,80"
        case .wholeHead(let bone):
            "this is a whole head (\(Self.percent(bone)) of it is bone); a model that was trained on skull-stripped "
                + "brains needs a mask of the brain"
        case .outsideTheRange(let share):
            "\(Self.percent(share)) of the foreground is inside the range of intensities; check the window and the units"
        }
    }

    private static func percent(_ fraction: Double) -> String { String(format: "%.3g %%", 100 * fraction) }
}

extension IntensityWarning {
    /// What is wrong with a rule fitted to a volume.
    static func warnings(
        rule: IntensityRule, volume: Volume, isInside: [Bool], measured: OrderStatistics, scale: IntensityScale,
        hasMask: Bool
    ) -> [IntensityWarning] {
        var warnings: [IntensityWarning] = []
        let extent = scale.range.upperBound - scale.range.lowerBound
        if rule == .minMax, let ends = measured.quantiles([0.0005, 0.9995]), ends[1] - ends[0] < 0.4 * extent {
            warnings.append(.fewVoxelsSetTheRange(share: (ends[1] - ends[0]) / extent))
        }
        guard !hasMask else { return warnings + outsideTheRange(rule, measured, scale) }
        var (foreground, count) = (0, 0)
        volume.grid.forEachFaceVoxel { index in
            count += 1
            if isInside[index] { foreground += 1 }
        }
        if foreground * 2 > count {
            warnings.append(.borderIsForeground(Double(foreground) / Double(count)))
        }
        if Background.isHounsfield(volume) {
            if extent > 500, rule != .minMax || warnings.isEmpty { warnings.append(.wideRangeOfCT(extent)) }
            let bone = Double(measured.finite.count { $0 > 300 }) / Double(measured.count)
            if bone > 0.03 { warnings.append(.wholeHead(bone: bone)) }
        }
        return warnings + outsideTheRange(rule, measured, scale)
    }

    private static func outsideTheRange(
        _ rule: IntensityRule, _ measured: OrderStatistics, _ scale: IntensityScale
    ) -> [IntensityWarning] {
        guard case .window = rule else { return [] }
        let inside = measured.finite.count { scale.range.contains(Double($0)) }
        let share = Double(inside) / Double(measured.count)
        return share < 0.2 ? [.outsideTheRange(share)] : []
    }
}
