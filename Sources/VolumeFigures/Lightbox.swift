import Foundation
import Volumes

/// A figure of many slices of one volume in a plane, in rows and columns, from feet to head, back to front or left to right.
///
/// ```swift
/// try Lightbox(mri, plane: .axial, slices: 20).image().write(to: "slices.png")
/// ```
///
/// Each slice shows its position in millimetres. Pixels are square; an oblique volume is resampled along the world's axes
/// first, as in a ``Montage``.
public struct Lightbox: Sendable {
    /// The volume.
    public var volume: Volume
    /// The plane of the slices.
    public var plane: SlicePlane
    /// The greatest number of slices, evenly spaced over those that hold foreground.
    public var slices: Int
    /// The number of columns; `nil` for a figure about as wide as it is high.
    public var columns: Int?
    /// The intensities shown as the ends of the scale; `nil` for the minimum and the 99.8th percentile.
    public var window: ClosedRange<Float>?
    /// The colours of the window.
    public var scale: ColourScale
    /// The side of the patient's right in axial and coronal slices.
    public var convention: Montage.Convention

    /// A figure of slices.
    ///
    /// - Precondition: there is at least one slice, and one column.
    public init(
        _ volume: Volume, plane: SlicePlane = .axial, slices: Int = 20, columns: Int? = nil,
        window: ClosedRange<Float>? = nil, scale: ColourScale = .grey,
        convention: Montage.Convention = .radiological
    ) {
        precondition(slices > 0 && (columns ?? 1) > 0, "a lightbox needs a slice and a column")
        (self.volume, self.plane, self.slices, self.columns) = (volume, plane, slices, columns)
        (self.window, self.scale, self.convention) = (window, scale, convention)
    }

    /// Draws the figure. O(n) in the voxels.
    ///
    /// - Throws: `FigureError.tooLarge`.
    public func image() throws(FigureError) -> ColourImage {
        let ras = volume.drawnStraight
        let window = window.map { GreyWindow($0) } ?? GreyWindow(fitting: volume)
        let pixelSize = ras.grid.spacing.min()
        let views = places(in: ras).map { place in
            var voxel = SIMD3<Int>.zero
            voxel[plane.worldAxis] = place
            return SliceView(ras, through: voxel, plane: plane, convention: convention)
        }
        let size = views[0].size(pixelSize: pixelSize)
        let gap = 4
        let columns =
            columns
            ?? max(1, Int((Double(views.count * size.height) / Double(size.width)).squareRoot().rounded(.up)))
        let rows = (views.count + columns - 1) / columns
        let limit = 16_384
        // Positions need about a hundred pixels.
        let textScale = max(1, size.width / 100)
        let barWidth = ColourImage.barWidth(textScale: textScale)
        let (width, height) = (
            gap + columns * (size.width + gap) + barWidth + gap, gap + rows * (size.height + gap)
        )
        guard max(width, height) <= limit else { throw .tooLarge(width: width, height: height, limit: limit) }
        var image = ColourImage(width: width, height: height)
        for (index, view) in views.enumerated() {
            image.draw(
                view.image(
                    pixelSize: pixelSize, window: window, scale: scale, textScale: textScale,
                    showsPosition: true),
                column: gap + index % columns * (size.width + gap),
                row: gap + index / columns * (size.height + gap))
        }
        image.drawBar(
            window, scale: scale, column: gap + columns * (size.width + gap), row: gap,
            height: height - 2 * gap,
            textScale: textScale)
        return image
    }

    /// The slices to show, of those in which some voxel is above the minimum.
    private func places(in ras: Volume) -> [Int] {
        let axis = plane.worldAxis
        let low = ras.intensityRange.lowerBound
        var holds = [Bool](repeating: false, count: ras.shape[axis])
        let stride = [1, ras.shape.x, ras.shape.x * ras.shape.y][axis]
        for (index, voxel) in ras.voxels.enumerated() where voxel > low {
            holds[index / stride % ras.shape[axis]] = true
        }
        let first = holds.firstIndex(of: true) ?? 0
        let last = holds.lastIndex(of: true) ?? holds.count - 1
        let count = min(slices, last - first + 1)
        return (0..<count).map { first + (2 * $0 + 1) * (last - first + 1) / (2 * count) }
    }
}
