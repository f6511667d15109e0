import Volumes

/// A slice of a volume as it is displayed.
struct SliceView {
    /// The plane's axis and the slice's position on it: `z = 12.0 mm`.
    let position: String

    /// The intensities, across and then down.
    private let intensities: [Float]
    private let columns: Int
    private let rows: Int

    /// Millimetres from one intensity to the next, across and down.
    private let spacing: (across: Double, down: Double)

    /// The letter of a side of the patient, and whether it is on the left of the image.
    private let mark: (letter: String, isOnLeft: Bool)

    /// The axial, coronal and sagittal slices through a point in millimetres, or `nil` if it is outside the volume.
    static func views(
        of volume: Volume, at point: SIMD3<Double>, convention: Montage.Convention
    ) -> [SliceView]? {
        let ras = volume.drawnStraight
        let position = ras.grid.voxel(atWorld: point).rounded(.toNearestOrAwayFromZero)
        let far = SIMD3<Double>(ras.shape &- 1)
        guard all(position .>= .zero), all(position .<= far) else { return nil }
        let voxel = SIMD3<Int>(Int(position.x), Int(position.y), Int(position.z))

        return [SlicePlane.axial, .coronal, .sagittal].map {
            SliceView(ras, through: voxel, plane: $0, convention: convention)
        }
    }

    /// A slice of a volume in RAS order, whose indices increase to the right, to the front and to the head.
    init(_ ras: Volume, through voxel: SIMD3<Int>, plane: SlicePlane, convention: Montage.Convention) {
        let rightOnLeft = convention == .radiological
        switch plane {
        case .axial:
            self.init(ras, through: voxel, across: 0, reversed: rightOnLeft, down: 1, mark: ("R", rightOnLeft))
        case .coronal:
            self.init(ras, through: voxel, across: 0, reversed: rightOnLeft, down: 2, mark: ("R", rightOnLeft))
        case .sagittal: self.init(ras, through: voxel, across: 1, reversed: true, down: 2, mark: ("A", true))
        }
    }

    /// The slice through a voxel along two axes. The index of the axis that runs down the image decreases: front and head
    /// are up.
    private init(
        _ volume: Volume, through voxel: SIMD3<Int>, across: Int, reversed: Bool, down: Int,
        mark: (letter: String, isOnLeft: Bool)
    ) {
        let (columns, rows) = (volume.shape[across], volume.shape[down])
        var intensities: [Float] = []
        intensities.reserveCapacity(columns * rows)
        var place = voxel
        for row in 0..<rows {
            place[down] = rows - 1 - row
            for column in 0..<columns {
                place[across] = reversed ? columns - 1 - column : column
                intensities.append(volume[place.x, place.y, place.z])
            }
        }
        (self.intensities, self.columns, self.rows, self.mark) = (intensities, columns, rows, mark)
        let normal = 3 - across - down
        let world = volume.grid.world(atVoxel: SIMD3<Double>(voxel))[normal]
        // Rounding must not show as a negative zero.
        position = "\(["x", "y", "z"][normal]) = \(String(format: "%.1f", (world * 10).rounded() / 10 + 0)) mm"
        spacing = (volume.grid.spacing[across], volume.grid.spacing[down])
    }

    /// Columns and rows of the image at a pixel size in millimetres.
    func size(pixelSize: Double) -> (width: Int, height: Int) {
        func pixels(_ count: Int, _ spacing: Double) -> Int {
            // Figures that are too large are rejected later; this only avoids overflow.
            max(1, Int(min((Double(count) * spacing / pixelSize).rounded(), 1e9)))
        }
        return (pixels(columns, spacing.across), pixels(rows, spacing.down))
    }

    /// The slice with square pixels, by linear interpolation, with its mark in an upper corner and its position, if asked
    /// for, in a lower one.
    func image(
        pixelSize: Double, window: GreyWindow, scale: ColourScale = .grey, textScale: Int,
        showsPosition: Bool = false
    ) -> ColourImage {
        let (width, height) = size(pixelSize: pixelSize)
        var image = ColourImage(width: width, height: height)
        let across = (0..<width).map { Neighbours(pixel: $0, of: width, count: columns) }
        for row in 0..<height {
            let down = Neighbours(pixel: row, of: height, count: rows)
            for column in 0..<width {
                let x = across[column]
                let upper = x.mean(
                    intensities[down.low * columns + x.low], intensities[down.low * columns + x.high])
                let lower = x.mean(
                    intensities[down.high * columns + x.low], intensities[down.high * columns + x.high])
                image[column, row] = scale.colour(window.share(down.mean(upper, lower)))
            }
        }
        let colour = ColourImage.Colour(repeating: scale == .diverging ? 0 : 255)
        let margin = 2 * textScale
        let left = mark.isOnLeft ? margin : width - margin - BitmapFont.glyphWidth * textScale
        image.draw(mark.letter, column: left, row: margin, scale: textScale, colour: colour)
        if showsPosition {
            image.draw(
                position, column: margin, row: height - margin - BitmapFont.glyphHeight * textScale,
                scale: textScale, colour: colour)
        }
        return image
    }
}

/// The two samples around the centre of a pixel, and the fraction of the way from the first to the second.
///
/// Pixels and samples cover the same length. Beyond the centres of the outermost samples, those are repeated.
private struct Neighbours {
    let low: Int
    let high: Int
    private let fraction: Float

    init(pixel: Int, of pixels: Int, count: Int) {
        let position = (Double(pixel) + 0.5) * Double(count) / Double(pixels) - 0.5
        let clamped = min(max(position, 0), Double(count - 1))
        low = Int(clamped)
        high = min(low + 1, count - 1)
        fraction = Float(clamped - Double(low))
    }

    func mean(_ first: Float, _ second: Float) -> Float {
        // A neighbour of zero weight is left out, so that infinity and NaN do not spread.
        fraction == 0 ? first : first + fraction * (second - first)
    }
}
