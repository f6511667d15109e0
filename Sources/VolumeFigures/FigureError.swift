import Foundation

/// Why a figure could not be drawn or written.
public enum FigureError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A montage has no rows.
    case noRows
    /// The point of the slices, in millimetres, is outside the volume of a row, counted from 0.
    case pointOutside(row: Int, point: SIMD3<Double>)
    /// The figure would have more pixels along an edge than the limit.
    case tooLarge(width: Int, height: Int, limit: Int)
    /// libpng could not encode the image.
    case unencodable(reason: String)
    /// The file could not be written.
    case unwritable(file: URL, reason: String)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .noRows:
            "a montage needs at least one volume"
        case .pointOutside(let row, let point):
            "the point \(String(format: "%.1f, %.1f, %.1f", point.x, point.y, point.z)) mm is outside the volume of "
                + "row \(row + 1); choose a point inside all volumes, and check that they are aligned"
        case .tooLarge(let width, let height, let limit):
            "the figure would be \(width) x \(height) pixels; expected at most \(limit) along an edge; choose larger "
                + "pixels"
        case .unencodable(let reason):
            "the image cannot be encoded as PNG: \(reason)"
        case .unwritable(let file, let reason):
            "the figure cannot be written to \(file.path): \(reason)"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
