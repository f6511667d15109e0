import Foundation

/// Why a style key could not be made, read or written.
public enum StyleKeyError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A key was to have fewer than two bins.
    case tooFewBins(Int)
    /// None of the volume's `voxels` has an intensity in [0.001, 1] after scaling.
    case nothingButBackground(voxels: Int, scaling: StyleKey.Scaling)
    /// The mean of no keys at all was asked for.
    case noKeys
    /// Keys of unequal numbers of bins were to be put together or compared.
    case binsDiffer(Int, Int)
    /// The three tokens of a key are not of one length.
    case lengthsDiffer(histogram: Int, cumulative: Int, difference: Int)
    /// A token holds infinity or NaN.
    case notFinite(token: String, bin: Int, value: Float)
    /// A file is missing or holds no style key.
    case unreadable(file: URL, reason: String)
    /// A file could not be written.
    case unwritable(file: URL, reason: String)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .tooFewBins(let bins):
            "a style key needs at least 2 bins, and this one has \(bins)"
        case .nothingButBackground(let voxels, .minMax):
            "the volume is nothing but background: its \(voxels) voxels are all equal or not finite, "
                + "so they have no style; check that it is the right volume"
        case .nothingButBackground(let voxels, .none):
            "none of the volume's \(voxels) voxels lies in [0.001, 1]; unless its intensities were brought to "
                + "[0, 1] before, let the key scale them (min-max)"
        case .noKeys:
            "there are no style keys to average; give at least one"
        case .binsDiffer(let first, let second):
            "the style keys have \(first) and \(second) bins; make them with one number of bins"
        case .lengthsDiffer(let histogram, let cumulative, let difference):
            "the tokens of a style key must be of one length, but \"histogram\" has \(histogram) bins, "
                + "\"cumulative\" \(cumulative) and \"difference\" \(difference)"
        case .notFinite(let token, let bin, let value):
            "\(token)[\(bin)] of a style key is \(value); all its values must be finite"
        case .unreadable(let file, let reason):
            "\(file.path) cannot be read as a style key, which is a JSON object with three arrays of numbers of "
                + "one length, histogram, cumulative and difference: \(reason)"
        case .unwritable(let file, let reason):
            "the style key cannot be written to \(file.path): \(reason)"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
