import CPNG
import Foundation
import VoxelSupport

/// An 8-bit greyscale image, row by row from the top.
public struct GreyImage: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    /// Number of columns.
    public let width: Int

    /// Number of rows.
    public let height: Int

    /// The pixels, from 0 (black) to 255 (white), columns fastest.
    public private(set) var pixels: [UInt8]

    /// An image with every pixel set to `grey`.
    ///
    /// - Precondition: `width` and `height` are above zero.
    public init(width: Int, height: Int, grey: UInt8 = 0) {
        precondition(width > 0 && height > 0, "an image needs at least one pixel")
        (self.width, self.height) = (width, height)
        pixels = [UInt8](repeating: grey, count: width * height)
    }

    /// The pixel in a column, counted from the left, and a row, counted from the top.
    public subscript(column: Int, row: Int) -> UInt8 {
        get { pixels[row * width + column] }
        set { pixels[row * width + column] = newValue }
    }

    /// The size, for example `960 x 540 pixels`.
    public var description: String { "\(width) x \(height) pixels" }

    /// The size.
    public var customMirror: Mirror {
        Mirror(self, children: ["width": width, "height": height], displayStyle: .struct)
    }

    /// Writes the image as PNG. The file is replaced whole or, if writing fails, left as it was.
    ///
    /// - Throws: `FigureError.unwritable`.
    public func write(to file: URL) throws(FigureError) {
        let data: Data
        switch encoded {
        case .success(let encoded): data = encoded
        case .failure(let error): throw .unwritable(file: file, reason: error.message)
        }
        do { try AtomicFile.write(data, to: file) } catch {
            throw .unwritable(file: file, reason: error.localizedDescription)
        }
    }

    /// Writes the image as PNG to the file at a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: `FigureError.unwritable`.
    public func write(to path: String) throws(FigureError) { try write(to: URL(filePath: path)) }

    private struct EncodingError: Error {
        let message: String
    }

    /// The image as PNG. The simplified interface of libpng returns errors; the other one reports them by `longjmp`, which
    /// must not cross Swift code.
    private var encoded: Result<Data, EncodingError> {
        var header = png_image()
        header.version = png_uint_32(PNG_IMAGE_VERSION)
        header.width = png_uint_32(width)
        header.height = png_uint_32(height)
        header.format = png_uint_32(PNG_FORMAT_GRAY)
        defer { png_image_free(&header) }

        var size: png_alloc_size_t = 0
        guard png_image_write_to_memory(&header, nil, &size, 0, pixels, png_int_32(width), nil) != 0 else {
            return .failure(EncodingError(message: message(of: header)))
        }
        var data = Data(count: Int(size))
        let isWritten = data.withUnsafeMutableBytes {
            png_image_write_to_memory(&header, $0.baseAddress, &size, 0, pixels, png_int_32(width), nil)
        }
        guard isWritten != 0 else { return .failure(EncodingError(message: message(of: header))) }
        return .success(data.prefix(Int(size)))
    }

    private func message(of header: png_image) -> String {
        withUnsafeBytes(of: header.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension GreyImage {
    /// Copies another image, with its top left corner at a column and a row of this one.
    mutating func draw(_ other: GreyImage, column: Int, row: Int) {
        for line in 0..<other.height {
            let start = (row + line) * width + column
            pixels.replaceSubrange(
                start..<start + other.width, with: other.pixels[line * other.width..<(line + 1) * other.width])
        }
    }

    /// Draws text with its top left corner at a column and a row, each pixel of the font `scale` pixels wide. Text beyond
    /// the edges is clipped.
    mutating func draw(_ text: String, column: Int, row: Int, scale: Int, grey: UInt8) {
        for (index, character) in text.enumerated() {
            for (line, mask) in BitmapFont.rows(of: character).enumerated() {
                for bit in 0..<BitmapFont.glyphWidth where mask >> bit & 1 == 1 {
                    let left = column + (index * BitmapFont.advance + bit) * scale
                    let top = row + line * scale
                    for y in max(top, 0)..<max(top, 0, min(top + scale, height)) {
                        for x in max(left, 0)..<max(left, 0, min(left + scale, width)) {
                            self[x, y] = grey
                        }
                    }
                }
            }
        }
    }
}

/// Why a figure could not be drawn or written.
public enum FigureError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A montage has no rows.
    case noRows
    /// The point of the slices, in millimetres, is outside the volume of a row, counted from 0.
    case pointOutside(row: Int, point: SIMD3<Double>)
    /// The figure would have more pixels along an edge than the limit.
    case tooLarge(width: Int, height: Int, limit: Int)
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
        case .unwritable(let file, let reason):
            "the figure cannot be written to \(file.path): \(reason)"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
