/// Images in rows and columns, with a title above each column.
public struct ImageTable: Sendable {
    /// The titles of the columns.
    public let columns: [String]

    /// The images, row by row, one for each column.
    public let rows: [[GreyImage]]

    /// A table.
    ///
    /// - Precondition: there is at least one row, and every row has an image for each column.
    public init(columns: [String], rows: [[GreyImage]]) {
        precondition(!rows.isEmpty && !columns.isEmpty, "a table needs an image")
        precondition(rows.allSatisfy { $0.count == columns.count }, "every row needs an image for each column")
        (self.columns, self.rows) = (columns, rows)
    }

    /// The table as one image. Small images are enlarged, so that titles fit.
    public func image() -> GreyImage {
        let gap = 4
        let widest = rows.joined().map(\.width).max()!
        let title = columns.map { $0.count * BitmapFont.advance }.max()!
        let scale = max(1, (max(title, 96) + widest - 1) / widest)
        let width = widest * scale
        let heights = rows.map { $0.map(\.height).max()! * scale }
        let top = BitmapFont.glyphHeight + 2 * gap
        var table = GreyImage(
            width: gap + columns.count * (width + gap), height: heights.reduce(top) { $0 + $1 + gap })
        for (column, title) in columns.enumerated() {
            table.draw(title, column: gap + column * (width + gap), row: gap, scale: 1, grey: 255)
        }
        var start = top
        for (row, height) in zip(rows, heights) {
            for (column, image) in row.enumerated() {
                table.draw(image.enlarged(scale), column: gap + column * (width + gap), row: start)
            }
            start += height + gap
        }
        return table
    }
}

extension GreyImage {
    /// The image with each pixel repeated `scale` x `scale` times.
    fileprivate func enlarged(_ scale: Int) -> GreyImage {
        var enlarged = GreyImage(width: width * scale, height: height * scale)
        for row in 0..<enlarged.height {
            for column in 0..<enlarged.width { enlarged[column, row] = self[column / scale, row / scale] }
        }
        return enlarged
    }
}
