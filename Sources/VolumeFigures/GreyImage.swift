import CPNG
import Foundation

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
        try PNG(pixels: pixels, width: width, height: height, format: PNG_FORMAT_GRAY).write(to: file)
    }

    /// Writes the image as PNG to the file at a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: `FigureError.unwritable`.
    public func write(to path: String) throws(FigureError) { try write(to: URL(filePath: path)) }
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
        BitmapFont.draw(text, column: column, row: row, scale: scale, width: width, height: height) {
            self[$0, $1] = grey
        }
    }
}
