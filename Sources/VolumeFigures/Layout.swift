/// Where the views and labels of a montage go.
///
/// Each column is as wide as its widest view and each row as high as its highest; views lie in the middle of
/// their cell. Cells are a thin gap apart, and the gap runs round the whole.
struct Layout {
    /// The most pixels that a figure may have along an edge.
    static let limit = 16_384

    /// Columns and rows of the whole figure.
    let width: Int
    let height: Int

    /// Pixels of the image to a pixel of the font.
    let textScale: Int

    private static let gap = 4
    private let sizes: [[(width: Int, height: Int)]]
    private let columnStarts: [Int]
    private let columnWidths: [Int]
    private let rowStarts: [Int]
    private let rowHeights: [Int]
    private let labelHeight: Int

    /// - Parameters:
    ///   - views: the size of each row's views; all rows have as many.
    ///   - hasLabel: which rows have a label above them.
    init(views sizes: [[(width: Int, height: Int)]], hasLabel: [Bool]) {
        let gap = Self.gap
        self.sizes = sizes
        columnWidths = sizes[0].indices.map { column in sizes.map { $0[column].width }.max()! }
        rowHeights = sizes.map { $0.map(\.height).max()! }
        width = columnWidths.reduce(gap) { $0 + $1 + gap }
        textScale = max(1, width / 320)
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
}
