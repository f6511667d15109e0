import CPNG
import Foundation
import VoxelSupport

/// An 8-bit grey image, row by row from the top.
public struct GreyImage: Equatable, Sendable {
    /// Number of columns.
    public let width: Int

    /// Number of rows.
    public let height: Int

    /// The pixels, 0 black to 255 white, columns fastest.
    public private(set) var pixels: [UInt8]

    /// An image with every pixel at `grey`.
    ///
    /// - Precondition: there is at least one column and one row.
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

    /// Writes the image as PNG. A file of that name is replaced whole, or stays as it was where writing fails.
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

    private struct EncodingError: Error {
        let message: String
    }

    /// The image as PNG. libpng's simplified interface reports errors by its result, where the other one
    /// takes long jumps that Swift code must not be jumped across by.
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
    /// Copies another image in, with its top left corner in a column and a row of this one.
    mutating func draw(_ other: GreyImage, column: Int, row: Int) {
        for line in 0..<other.height {
            let start = (row + line) * width + column
            pixels.replaceSubrange(
                start..<start + other.width, with: other.pixels[line * other.width..<(line + 1) * other.width])
        }
    }

    /// Draws text with its top left corner in a column and a row, each pixel of the font `scale` pixels wide.
    /// What does not fit in the image is cut off.
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
