import Foundation
import Volumes

/// Volumes side by side, as one image: a row for each, and in it an axial, a coronal and a sagittal slice
/// through one point of the patient.
///
/// ```swift
/// let montage = Montage(rows: [
///     .init(ct, label: "CT", window: -100...200),
///     .init(predicted, label: "T1, predicted"),
///     .init(real, label: "T1"),
/// ])
/// try montage.write(to: URL(filePath: "case-7.png"))
/// ```
///
/// Views are as radiologists hang them: the front of the head up in axial slices, the crown up in the others,
/// the face to the left in sagittal ones. Every pixel is one square of millimetres in all views and rows, so
/// proportions are true whatever the spacing. A small R marks the patient's right and an A the front.
///
/// Slices run along the voxel axes nearest to the patient's. Of a volume that was scanned obliquely, they are
/// the slices as scanned; resample it first to see true axial ones.
public struct Montage: Sendable {
    /// One volume and how it is shown.
    public struct Row: Sendable {
        /// The volume.
        public var volume: Volume

        /// A line of text above the row, or `nil` for none. Letters of English, digits and some punctuation
        /// can be drawn; other characters become boxes.
        public var label: String?

        /// Intensities shown as black and as white, both finite. `nil` shows the least as black and the 99.8th
        /// percentile as white.
        public var window: ClosedRange<Float>?

        /// A volume with a label and a window.
        public init(_ volume: Volume, label: String? = nil, window: ClosedRange<Float>? = nil) {
            (self.volume, self.label, self.window) = (volume, label, window)
        }
    }

    /// On which side of the image the patient's right lies, in axial and coronal slices.
    public enum Convention: String, CaseIterable, Sendable, Codable {
        /// On the left, as if the patient faced the viewer.
        case radiological
        /// On the right, as if the viewer stood behind the patient.
        case neurological
    }

    /// The volumes, from the top.
    public var rows: [Row]

    /// Where the slices are taken, in millimetres (RAS+). `nil` takes the centre of the first volume's
    /// foreground: the mean position of the voxels that are brighter than its mean.
    public var point: SIMD3<Double>?

    /// The side of the patient's right.
    public var convention: Convention

    /// Millimetres from one pixel to the next. `nil` takes the smallest spacing among the volumes.
    public var pixelSize: Double?

    /// A figure of volumes.
    public init(
        rows: [Row], at point: SIMD3<Double>? = nil, convention: Convention = .radiological,
        pixelSize: Double? = nil
    ) {
        (self.rows, self.point, self.convention, self.pixelSize) = (rows, point, convention, pixelSize)
    }

    /// Draws the figure and writes it as 8-bit grey PNG. A file of that name is replaced whole, or stays as it
    /// was where anything fails.
    ///
    /// - Throws: `FigureError`.
    public func write(to file: URL) throws(FigureError) { try image().write(to: file) }

    /// Draws the figure. O(n) in the voxels of all volumes.
    ///
    /// - Precondition: `pixelSize`, if given, is above zero, and windows are finite.
    /// - Throws: `FigureError.noRows`, `FigureError.pointOutside` or `FigureError.tooLarge`.
    public func image() throws(FigureError) -> GreyImage {
        guard let first = rows.first else { throw .noRows }
        let point = point ?? first.volume.foregroundCentre
        let pixelSize = pixelSize ?? rows.map { $0.volume.grid.spacing.min() }.min()!
        precondition(pixelSize > 0 && pixelSize.isFinite, "a pixel must be larger than zero")

        var views: [[SliceView]] = []
        for (index, row) in rows.enumerated() {
            guard let slices = SliceView.views(of: row.volume, at: point, convention: convention) else {
                throw .pointOutside(row: index, point: point)
            }
            views.append(slices)
        }
        let layout = Layout(
            views: views.map { $0.map { $0.size(pixelSize: pixelSize) } },
            hasLabel: rows.map { $0.label != nil })
        guard max(layout.width, layout.height) <= Layout.limit else {
            throw .tooLarge(width: layout.width, height: layout.height, limit: Layout.limit)
        }

        var image = GreyImage(width: layout.width, height: layout.height)
        for (index, row) in rows.enumerated() {
            if let label = row.label {
                let place = layout.label(row: index)
                image.draw(label, column: place.column, row: place.row, scale: layout.textScale, grey: 255)
            }
            let window = row.window.map { GreyWindow($0) } ?? GreyWindow(fitting: row.volume)
            for (column, view) in views[index].enumerated() {
                let place = layout.view(row: index, column: column)
                image.draw(
                    view.image(pixelSize: pixelSize, window: window, textScale: layout.textScale),
                    column: place.column, row: place.row)
            }
        }
        return image
    }
}

extension Volume {
    /// The mean position, in millimetres, of the voxels brighter than the volume's mean; of a volume without
    /// any, the middle of its grid.
    fileprivate var foregroundCentre: SIMD3<Double> {
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
