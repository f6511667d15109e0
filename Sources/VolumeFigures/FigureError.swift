import Foundation

/// Why a figure could not be drawn or written.
public enum FigureError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A montage was to have no rows.
    case noRows
    /// The point at which slices are shown, in millimetres, lies outside the volume of a row (counted from 0).
    case pointOutside(row: Int, point: SIMD3<Double>)
    /// The figure would have more pixels along an edge than are allowed.
    case tooLarge(width: Int, height: Int, limit: Int)
    /// The file could not be written.
    case unwritable(file: URL, reason: String)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .noRows:
            "a montage needs at least one volume"
        case .pointOutside(let row, let point):
            "the point \(String(format: "%.1f, %.1f, %.1f", point.x, point.y, point.z)) mm lies outside the volume of row \(row + 1); "
                + "choose a point that lies in all volumes, and check that they are aligned"
        case .tooLarge(let width, let height, let limit):
            "the figure would be \(width) x \(height) pixels, and at most \(limit) either way are drawn; "
                + "choose larger pixels"
        case .unwritable(let file, let reason):
            "the figure cannot be written to \(file.path): \(reason)"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
