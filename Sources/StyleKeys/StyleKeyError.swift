import Foundation
import Preprocessing

/// Why a style key could not be computed, read or written.
public enum StyleKeyError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A key needs at least two bins.
    case tooFewBins(Int)
    /// None of the volume's `voxels` has an intensity in [0.001, 1] after scaling.
    case nothingButBackground(voxels: Int, rule: IntensityRule)
    /// The volume could not be resampled.
    case notResampled(reason: String)
    /// There are no keys to average.
    case noKeys
    /// Two keys have different numbers of bins.
    case binsDiffer(Int, Int)
    /// The three tokens of a key have different lengths.
    case lengthsDiffer(histogram: Int, cumulative: Int, difference: Int)
    /// A token has a value that is infinite or NaN.
    case notFinite(token: String, bin: Int, value: Float)
    /// A file is missing or is not a style key.
    case unreadable(file: URL, reason: String)
    /// A file could not be written.
    case unwritable(file: URL, reason: String)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .tooFewBins(let bins):
            "found a style key of \(bins) bins; expected at least 2 bins"
        case .nothingButBackground(let voxels, .unit):
            "none of the volume's \(voxels) voxels is in [0.001, 1]; unless its intensities were scaled to "
                + "[0, 1] before, use another rule than 'unit'"
        case .nothingButBackground(let voxels, let rule):
            "the volume has no foreground: of its \(voxels) voxels, all finite ones are equal or at the low end of the "
                + "rule \(rule); check that it is the right volume, or choose another rule"
        case .notResampled(let reason): reason
        case .noKeys:
            "there are no style keys to average; expected at least one"
        case .binsDiffer(let first, let second):
            "the style keys have \(first) and \(second) bins; expected the same number"
        case .lengthsDiffer(let histogram, let cumulative, let difference):
            "found \(histogram) bins in \"histogram\", \(cumulative) in \"cumulative\" and \(difference) in "
                + "\"difference\" of a style key; expected the same number"
        case .notFinite(let token, let bin, let value):
            "found \(value) in \(token)[\(bin)] of a style key; expected a finite number"
        case .unreadable(let file, let reason):
            "\(file.path) is not a style key, a JSON object with three arrays of numbers of equal length, "
                + "histogram, cumulative and difference: \(reason)"
        case .unwritable(let file, let reason):
            "the style key cannot be written to \(file.path): \(reason)"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
