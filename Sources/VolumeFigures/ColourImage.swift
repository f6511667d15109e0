import CPNG
import Foundation

/// An image of 8-bit red, green and blue, row by row from the top.
public struct ColourImage: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    /// A colour: red, green, blue.
    public typealias Colour = SIMD3<UInt8>

    /// Number of columns.
    public let width: Int

    /// Number of rows.
    public let height: Int

    /// Red, green and blue of each pixel, columns fastest.
    public private(set) var pixels: [UInt8]

    /// An image of one colour.
    ///
    /// - Precondition: `width` and `height` are above zero.
    public init(width: Int, height: Int, colour: Colour = .zero) {
        precondition(width > 0 && height > 0, "an image needs at least one pixel")
        (self.width, self.height) = (width, height)
        pixels = (0..<3 * width * height).map { colour[$0 % 3] }
    }

    /// A grey image.
    public init(_ image: GreyImage) {
        (width, height) = (image.width, image.height)
        pixels = image.pixels.flatMap { [$0, $0, $0] }
    }

    /// The pixel in a column, counted from the left, and a row, counted from the top.
    public subscript(column: Int, row: Int) -> Colour {
        get {
            let start = 3 * (row * width + column)
            return Colour(pixels[start], pixels[start + 1], pixels[start + 2])
        }
        set {
            let start = 3 * (row * width + column)
            for channel in 0..<3 { pixels[start + channel] = newValue[channel] }
        }
    }

    /// The size, for example `960 x 540 pixels`.
    public var description: String { "\(width) x \(height) pixels" }

    /// The size.
    public var customMirror: Mirror {
        Mirror(self, children: ["width": width, "height": height], displayStyle: .struct)
    }

    /// Writes the image as PNG. The file is replaced whole or, if writing fails, left as it was.
    ///
    /// - Throws: `FigureError`.
    public func write(to file: URL) throws(FigureError) { try png.write(to: file) }

    /// Writes the image as PNG to the file at a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: `FigureError`.
    public func write(to path: String) throws(FigureError) { try write(to: URL(filePath: path)) }

    /// The bytes of the image as a PNG file.
    ///
    /// - Throws: `FigureError.unencodable`.
    public func pngData() throws(FigureError) -> Data { try png.encoded() }

    private var png: PNG { PNG(pixels: pixels, width: width, height: height, format: PNG_FORMAT_RGB) }
}

extension ColourImage {
    /// Copies another image, with its top left corner at a column and a row of this one.
    mutating func draw(_ other: ColourImage, column: Int, row: Int) {
        for line in 0..<other.height {
            let start = 3 * ((row + line) * width + column)
            pixels.replaceSubrange(
                start..<start + 3 * other.width,
                with: other.pixels[3 * line * other.width..<3 * (line + 1) * other.width])
        }
    }

    /// Draws text with its top left corner at a column and a row. Text beyond the edges is clipped.
    mutating func draw(_ text: String, column: Int, row: Int, scale: Int, colour: Colour) {
        BitmapFont.draw(text, column: column, row: row, scale: scale, width: width, height: height) {
            self[$0, $1] = colour
        }
    }
}

/// The colours of a range of intensities.
public enum ColourScale: String, CaseIterable, Sendable, Codable {
    /// Black to white.
    case grey
    /// Blue over white to red, for differences: the middle of the window is white.
    case diverging
    /// Black over violet and orange to pale yellow, for maps of similarity: what is dark stands out least alike.
    case heat

    /// The colour of a share of the window, 0 to 1. NaN is black; on the diverging scale it is grey.
    func colour(_ share: Double) -> ColourImage.Colour {
        guard !share.isNaN else { return ColourImage.Colour(repeating: self == .diverging ? 128 : 0) }
        return Self.tables[self]![Int((min(max(share, 0), 1) * 255).rounded())]
    }

    /// The 256 colours of each scale, interpolated between the stops.
    private static let tables = Dictionary(
        uniqueKeysWithValues: allCases.map { scale in
            let stops = scale.stops
            let colours = (0..<256).map { level in
                let position = Double(level) / 255 * Double(stops.count - 1)
                let index = min(Int(position), stops.count - 2)
                let colour = stops[index] + (position - Double(index)) * (stops[index + 1] - stops[index])
                return ColourImage.Colour(colour.rounded(.toNearestOrAwayFromZero))
            }
            return (scale, colours)
        })

    private var stops: [SIMD3<Double>] {
        switch self {
        case .grey: [[0, 0, 0], [255, 255, 255]]
        case .diverging:
            [
                [33, 102, 172], [103, 169, 207], [209, 229, 240], [247, 247, 247], [253, 219, 199],
                [239, 138, 98], [178, 24, 43],
            ]
        case .heat: [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]
        }
    }
}
