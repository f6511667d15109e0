import Foundation
import Volumes

/// A figure of several volumes: a row for each, with an axial, a coronal and a sagittal slice through the same point.
///
/// ```swift
/// let montage = Montage(rows: [
///     .init(ct, label: "CT", window: -100...200),
///     .init(predicted, label: "T1, predicted"),
///     .init(real, label: "T1"),
/// ])
/// try montage.write(to: "case-7.png")
/// ```
///
/// Anterior is up in axial slices, superior in the others; the face points left in sagittal slices. All views and rows
/// have the same square pixels, so that proportions are those of the patient whatever the spacing. A small R marks the
/// patient's right, an A the front. An oblique volume is resampled along the world's axes first, so that a head is shown as
/// it lay in the scanner, beside others.
///
/// ```swift
/// let difference = Montage.Row(difference: predicted, from: real, label: "difference")
/// let similarity = Montage.Row(
///     try SSIM().map(predicted, against: real), label: "SSIM", window: 0...1, scale: .heat)
/// ```
public struct Montage: Sendable {
    /// A volume, its label and its window.
    public struct Row: Sendable {
        /// The volume.
        public var volume: Volume

        /// A line of text above the row, or `nil` for none. Characters other than English letters, digits and some
        /// punctuation are drawn as boxes.
        public var label: String?

        /// The intensities shown as black and as white, both finite; `nil` for the minimum and the 99.8th percentile.
        public var window: ClosedRange<Float>?

        /// The colours of the window.
        public var scale: ColourScale

        /// A volume with a label, a window and its colours.
        public init(
            _ volume: Volume, label: String? = nil, window: ClosedRange<Float>? = nil,
            scale: ColourScale = .grey
        ) {
            (self.volume, self.label, self.window, self.scale) = (volume, label, window, scale)
        }

        /// The difference of a volume from another, with zero in the middle of a diverging scale.
        ///
        /// - Parameters:
        ///   - volume: the minuend.
        ///   - other: the subtrahend, on the same grid.
        ///   - label: the label.
        ///   - extent: the difference at the ends of the scale; `nil` for a quarter of the other's window.
        public init(difference volume: Volume, from other: Volume, label: String? = nil, extent: Float? = nil) {
            precondition(volume.shape == other.shape, "a difference needs volumes on one grid")
            let difference = Volume(grid: other.grid, voxels: zip(volume.voxels, other.voxels).map { $0 - $1 })
            let window = GreyWindow(fitting: other)
            let extent = extent ?? max((window.high - window.low) / 4, .leastNormalMagnitude)
            self.init(difference, label: label, window: -extent...extent, scale: .diverging)
        }
    }

    /// The side of the patient's right in axial and coronal slices.
    public enum Convention: String, CaseIterable, Sendable, Codable {
        /// On the left, as if the patient faced the viewer.
        case radiological
        /// On the right, as if the viewer stood behind the patient.
        case neurological
    }

    /// The rows, from the top.
    public var rows: [Row]

    /// The point of the slices, in millimetres (RAS+); `nil` for the centre of the first volume: the mean position of the
    /// voxels brighter than its mean intensity.
    public var point: SIMD3<Double>?

    /// The side of the patient's right.
    public var convention: Convention

    /// The size of a pixel in millimetres; `nil` for the smallest spacing of all volumes, or less where
    /// positions need it.
    public var pixelSize: Double?

    /// Whether each slice shows its position in millimetres, and each row its scale of colours.
    public var isAnnotated: Bool

    /// A figure of volumes.
    public init(
        rows: [Row], at point: SIMD3<Double>? = nil, convention: Convention = .radiological,
        pixelSize: Double? = nil, isAnnotated: Bool = false
    ) {
        (self.rows, self.point, self.convention, self.pixelSize) = (rows, point, convention, pixelSize)
        self.isAnnotated = isAnnotated
    }

    /// Draws the figure and writes it as PNG. The file is replaced whole or, on an error, left as it was.
    ///
    /// - Throws: `FigureError`.
    public func write(to file: URL) throws(FigureError) { try image().write(to: file) }

    /// Draws the figure and writes it as PNG to the file at a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: `FigureError`.
    public func write(to path: String) throws(FigureError) { try image().write(to: path) }

    /// The smallest spacing of a grid; with positions, small enough that these fit the narrowest slice.
    private func finestPixel(_ grid: VoxelGrid) -> Double {
        let extent = (SIMD3<Double>(grid.shape) * grid.spacing).min()
        return isAnnotated ? min(grid.spacing.min(), extent / 90) : grid.spacing.min()
    }

    /// Draws the figure. O(n) in the voxels of all volumes.
    ///
    /// - Precondition: `pixelSize` is `nil` or above zero, and windows are finite.
    /// - Throws: `FigureError.noRows`, `FigureError.pointOutside` or `FigureError.tooLarge`.
    public func image() throws(FigureError) -> ColourImage {
        guard let first = rows.first else { throw .noRows }
        let point = point ?? first.volume.foregroundCentre
        let pixelSize = pixelSize ?? rows.map { finestPixel($0.volume.grid) }.min()!
        precondition(pixelSize > 0 && pixelSize.isFinite, "a pixel must be larger than zero")

        var views: [[SliceView]] = []
        for (index, row) in rows.enumerated() {
            guard let slices = SliceView.views(of: row.volume, at: point, convention: convention) else {
                throw .pointOutside(row: index, point: point)
            }
            views.append(slices)
        }
        let layout = MontageLayout(
            views: views.map { $0.map { $0.size(pixelSize: pixelSize) } },
            hasLabel: rows.map { $0.label != nil }, hasBars: isAnnotated)
        guard max(layout.width, layout.height) <= MontageLayout.limit else {
            throw .tooLarge(width: layout.width, height: layout.height, limit: MontageLayout.limit)
        }

        var image = ColourImage(width: layout.width, height: layout.height)
        for (index, row) in rows.enumerated() {
            if let label = row.label {
                let place = layout.label(row: index)
                image.draw(
                    label, column: place.column, row: place.row, scale: layout.textScale,
                    colour: .init(repeating: 255))
            }
            let window = row.window.map { GreyWindow($0) } ?? GreyWindow(fitting: row.volume)
            for (column, view) in views[index].enumerated() {
                let place = layout.view(row: index, column: column)
                image.draw(
                    view.image(
                        pixelSize: pixelSize, window: window, scale: row.scale, textScale: layout.textScale,
                        showsPosition: isAnnotated),
                    column: place.column, row: place.row)
            }
            if isAnnotated {
                let bar = layout.bar(row: index)
                image.drawBar(
                    window, scale: row.scale, column: bar.column, row: bar.row, height: bar.height,
                    textScale: layout.textScale)
            }
        }
        return image
    }
}

extension Volume {
    /// The mean position, in millimetres, of the voxels brighter than the mean intensity, or the centre of the grid if there
    /// are none.
    package var foregroundCentre: SIMD3<Double> {
        var (sum, count) = (0.0, 0)
        for voxel in voxels where voxel.isFinite {
            sum += Double(voxel)
            count += 1
        }
        let mean = count > 0 ? sum / Double(count) : 0
        var (position, bright) = (SIMD3<Double>.zero, 0.0)
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                let start = grid.offset(0, y, z)
                for x in 0..<shape.x {
                    let voxel = voxels[start + x]
                    guard voxel.isFinite, Double(voxel) > mean else { continue }
                    position += SIMD3(Double(x), Double(y), Double(z))
                    bright += 1
                }
            }
        }
        return grid.world(atVoxel: bright > 0 ? position / bright : SIMD3<Double>(shape &- 1) / 2)
    }
}

/// The positions of views and labels.
///
/// A column is as wide as its widest view, a row as high as its highest; views are centred in their cells. There is a gap
/// between cells and around the figure.
private struct MontageLayout {
    /// The largest number of pixels along an edge.
    static let limit = 16_384

    /// Columns and rows of the figure.
    let width: Int
    let height: Int

    /// Pixels of the image per pixel of the font.
    let textScale: Int

    private static let gap = 4
    private let sizes: [[(width: Int, height: Int)]]
    private let columnStarts: [Int]
    private let columnWidths: [Int]
    private let rowStarts: [Int]
    private let rowHeights: [Int]
    private let labelHeight: Int

    /// - Parameters:
    ///   - sizes: the size of each view; all rows have the same number of views.
    ///   - hasLabel: whether each row has a label above it.
    ///   - hasBars: whether there is a bar of colours to the right of each row.
    init(views sizes: [[(width: Int, height: Int)]], hasLabel: [Bool], hasBars: Bool) {
        let gap = Self.gap
        self.sizes = sizes
        columnWidths = sizes[0].indices.map { column in sizes.map { $0[column].width }.max()! }
        rowHeights = sizes.map { $0.map(\.height).max()! }
        let views = columnWidths.reduce(gap) { $0 + $1 + gap }
        textScale = max(1, views / 320)
        width = views + (hasBars ? ColourImage.barWidth(textScale: textScale) + gap : 0)
        labelHeight = BitmapFont.glyphHeight * textScale + gap

        var (x, y) = (gap, gap)
        var (columnStarts, rowStarts): ([Int], [Int]) = ([], [])
        for width in columnWidths {
            columnStarts.append(x)
            x += width + gap
        }
        for (height, hasLabel) in zip(rowHeights, hasLabel) {
            if hasLabel { y += labelHeight }
            rowStarts.append(y)
            y += height + gap
        }
        (self.columnStarts, self.rowStarts) = (columnStarts, rowStarts)
        height = y
    }

    /// The top left corner of a view.
    func view(row: Int, column: Int) -> (column: Int, row: Int) {
        let size = sizes[row][column]
        return (
            columnStarts[column] + (columnWidths[column] - size.width) / 2,
            rowStarts[row] + (rowHeights[row] - size.height) / 2
        )
    }

    /// The top left corner of a row's label.
    func label(row: Int) -> (column: Int, row: Int) { (Self.gap, rowStarts[row] - labelHeight) }

    /// The top left corner and the height of a row's bar of colours.
    func bar(row: Int) -> (column: Int, row: Int, height: Int) {
        (
            columnStarts[columnStarts.count - 1] + columnWidths[columnWidths.count - 1] + Self.gap,
            rowStarts[row], rowHeights[row]
        )
    }
}

extension ColourImage {
    /// Pixels of a bar of colours and its numbers.
    static func barWidth(textScale: Int) -> Int { (10 + 8 * BitmapFont.advance) * textScale }

    /// Draws the colours of a window from its low end, at the bottom, to its high end.
    mutating func drawBar(
        _ window: GreyWindow, scale: ColourScale, column: Int, row: Int, height: Int, textScale: Int
    ) {
        let width = 8 * textScale
        for line in 0..<height {
            let colour = scale.colour(1 - (Double(line) + 0.5) / Double(height))
            for place in column..<column + width { self[place, row + line] = colour }
        }
        let (low, high) = (Double(window.low), Double(window.high))
        let glyph = BitmapFont.glyphHeight * textScale
        for (value, top) in [
            (high, row), ((low + high) / 2, row + (height - glyph) / 2), (low, row + height - glyph),
        ]
        where height > 4 * glyph || value != (low + high) / 2 {
            draw(
                String(format: abs(value) >= 100 && abs(value) < 1e6 ? "%.0f" : "%.3g", value),
                column: column + width + 2 * textScale, row: top,
                scale: textScale,
                colour: Colour(repeating: 255))
        }
    }
}
