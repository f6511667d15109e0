import ArgumentParser
import Foundation
import Logging
import VoxelBridge

/// How intensities are scaled, and what is background.
struct IntensityOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The intensities that become 0 and 1, such as 0,80, or a window of CT by its name.",
            discussion: """
                In HU: brain (0,80), subdural (-50,150), stroke (20,60), soft-tissue (-160,240), bone (-500,1500). \
                The same as --intensities window:LOW,HIGH.
                """, valueName: "low,high"),
        transform: { try IntensityWindow($0) })
    var window: IntensityWindow?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How intensities are scaled to [0, 1].",
            discussion: """
                percentiles:LOW,HIGH (of the foreground, in per cent; clipped), window:LOW,HIGH, min-max, \
                z-score:DEVIATIONS, match:KEY.json (the histogram of a style key), unit (they are in [0, 1]). Default: \
                the model's, else percentiles:0.1,99.9.
                """, valueName: "rule"),
        transform: { try Self.rule($0) })
    var intensities: IntensityRule?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The background: border (its level and noise), lowest, an intensity, or below:NUMBER.",
            discussion: "It becomes 0, and is not measured. NaN is background always. (default: border)"),
        transform: { try Background($0) })
    var background: Background?

    @Option(
        help: ArgumentHelp(
            "The foreground: a volume that is above 0 inside, or brain, foreground or otsu.",
            discussion: """
                As SynthStrip, HD-BET and FreeSurfer write masks. brain is found in a CT of a whole head, foreground and \
                otsu in any volume, as 'voxelbridge mask' does. Intensities are measured inside; outside is 0.
                """, valueName: "file"))
    var mask: String?

    func validate() throws {
        if window != nil, intensities != nil {
            throw ValidationError("--window and --intensities cannot be used together; give only one")
        }
        if mask != nil, background != nil {
            throw ValidationError(
                "--mask and --background cannot be used together, as all outside the mask is background; give only one"
            )
        }
    }

    /// Whether any option is given.
    var areGiven: Bool { statesRule || mask != nil }

    private var rule: IntensityRule? { window.map { .window($0) } ?? intensities }

    /// Whether an option says how intensities are scaled.
    var statesRule: Bool { rule != nil || background != nil }

    /// The step that scales, by a model's rule unless another is given.
    func step(_ modelRule: IntensityRule = .percentiles()) -> RescaleIntensity {
        RescaleIntensity(rule ?? modelRule, background: background)
    }

    /// The foreground of a volume in a file, if a mask is given.
    func foreground(of volume: Volume, in path: String, logger: Logger) throws -> ForegroundMask? {
        guard let mask else { return nil }
        if let method = MaskMethod(rawValue: mask) {
            return try method.mask(of: volume, in: path, logger: logger)
        }
        guard FileManager.default.fileExists(atPath: mask) else {
            throw FileFailure(
                path: mask,
                reason: "there is no such file; give a mask, or one of \(MaskMethod.allNames)")
        }
        let shown = try readVolume(mask, logger: logger).volume
        guard shown.grid.matches(volume.grid) else {
            throw FileFailure(
                path: mask,
                reason: "the mask is not on the grid of \(path): \(shown.grid.difference(from: volume.grid))")
        }
        return ForegroundMask(above: 0, in: shown)
    }

    private static func rule(_ text: String) throws -> IntensityRule {
        let match = "match:"
        guard text.hasPrefix(match) else { return try IntensityRule(text) }
        return .histogram(try StyleKey(contentsOf: String(text.dropFirst(match.count))).histogram)
    }
}

/// A way to find a mask.
enum MaskMethod: String, CaseIterable, ExpressibleByArgument {
    case brain, foreground, otsu

    static var allNames: String { allCases.map(\.rawValue).joined(separator: ", ") }

    func mask(of volume: Volume, in path: String, logger: Logger) throws -> ForegroundMask {
        switch self {
        case .brain:
            return try naming(path) {
                if let conversion = try CTNumbers(volume).conversion {
                    logger.warning("\(path): \(conversion)")
                }
                return try ForegroundMask.brain(inCT: volume)
            }
        case .foreground: return ForegroundMask(of: volume)
        case .otsu: return ForegroundMask.otsu(of: volume)
        }
    }
}
