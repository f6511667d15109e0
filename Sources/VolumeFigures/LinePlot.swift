import Foundation

/// Curves over a common axis, such as losses over training steps.
///
/// ```swift
/// let plot = LinePlot(title: "loss", horizontal: "step", curves: [.init(label: "training", points: points)])
/// try plot.image().write(to: "loss.png")
/// ```
///
/// The vertical axis is logarithmic, unless it must not be, if all values are above zero and the maximum is at least ten
/// times the minimum.
public struct LinePlot: Sendable {
    /// A curve through points.
    public struct Curve: Sendable, CustomStringConvertible {
        /// The name in the legend.
        public let label: String
        /// The points, from left to right.
        public let points: [SIMD2<Double>]

        /// A curve. Points that are not finite are skipped.
        public init(label: String, points: [SIMD2<Double>]) {
            self.label = label
            self.points = points.filter { $0.x.isFinite && $0.y.isFinite }
        }

        /// The label and the number of points.
        public var description: String { "\(label): \(points.count) points" }
    }

    /// The title, above the vertical axis.
    public let title: String

    /// The name of the horizontal axis.
    public let horizontal: String

    /// The curves: the first is black, the next are lighter and thicker.
    public let curves: [Curve]

    /// Whether the vertical axis may be logarithmic.
    public let isLogarithmic: Bool

    /// A plot.
    public init(title: String, horizontal: String, curves: [Curve], isLogarithmic: Bool = true) {
        (self.title, self.horizontal, self.curves) = (title, horizontal, curves)
        self.isLogarithmic = isLogarithmic
    }

    private static let size = (width: 960, height: 540)
    private static let textScale = 2
    private static let margin = (left: 110, right: 30, top: 50, bottom: 70)
    private static let greys: [UInt8] = [0, 130, 180]

    /// The plot, black on white, 960 x 540 pixels.
    public func image() -> GreyImage {
        var image = GreyImage(width: Self.size.width, height: Self.size.height, grey: 255)
        let points = curves.flatMap(\.points)
        let x = PlotAxis(
            points.map(\.x), isLogarithmic: false, from: Self.margin.left,
            through: Self.size.width - Self.margin.right)
        let values = points.map(\.y)
        let isLogarithmic = self.isLogarithmic && (values.min() ?? 0) > 0 && values.max()! >= 10 * values.min()!
        let y = PlotAxis(
            values, isLogarithmic: isLogarithmic, from: Self.size.height - Self.margin.bottom,
            through: Self.margin.top)
        drawAxes(x, y, on: &image)
        for (index, curve) in curves.enumerated() {
            let grey = Self.greys[min(index, Self.greys.count - 1)]
            let places = curve.points.map { (x.pixel($0.x), y.pixel($0.y)) }
            for (from, to) in zip(places, places.dropFirst()) {
                image.line(from: from, to: to, thickness: index + 1, grey: grey)
            }
            for place in places where places.count <= 50 {
                image.fill(column: place.0 - 2, row: place.1 - 2, width: 5, height: 5, grey: grey)
            }
            drawLegend(curve.label, at: index, grey: grey, on: &image)
        }
        return image
    }

    private func drawAxes(_ x: PlotAxis, _ y: PlotAxis, on image: inout GreyImage) {
        let (left, right) = (x.from, x.through)
        let (bottom, top) = (y.from, y.through)
        let glyph = (
            width: BitmapFont.advance * Self.textScale, height: BitmapFont.glyphHeight * Self.textScale
        )
        for tick in y.ticks {
            let row = y.pixel(tick)
            image.fill(column: left, row: row, width: right - left, height: 1, grey: 225)
            image.fill(column: left - 6, row: row, width: 6, height: 1, grey: 0)
            let text = y.text(of: tick)
            image.draw(
                text, column: left - 12 - text.count * glyph.width, row: row - glyph.height / 2,
                scale: Self.textScale, grey: 0)
        }
        for tick in x.ticks {
            let column = x.pixel(tick)
            image.fill(column: column, row: bottom, width: 1, height: 6, grey: 0)
            let text = x.text(of: tick)
            image.draw(
                text,
                column: min(column - text.count * glyph.width / 2, Self.size.width - text.count * glyph.width),
                row: bottom + 12, scale: Self.textScale, grey: 0)
        }
        image.fill(column: left, row: top, width: 1, height: bottom - top, grey: 0)
        image.fill(column: left, row: bottom, width: right - left, height: 1, grey: 0)
        image.draw(title, column: left, row: 18, scale: Self.textScale, grey: 0)
        image.draw(
            horizontal, column: (left + right - horizontal.count * glyph.width) / 2,
            row: Self.size.height - glyph.height - 8, scale: Self.textScale, grey: 0)
    }

    private func drawLegend(_ label: String, at index: Int, grey: UInt8, on image: inout GreyImage) {
        let before = curves[..<index].reduce(0) {
            $0 + 60 + ($1.label.count + 1) * BitmapFont.advance * Self.textScale
        }
        let column = Self.margin.left + 160 + before
        image.fill(column: column, row: 24, width: 40, height: index + 1, grey: grey)
        image.draw(label, column: column + 50, row: 18, scale: Self.textScale, grey: 0)
    }
}

extension GreyImage {
    /// Fills the part of a rectangle that is within the image.
    fileprivate mutating func fill(column: Int, row: Int, width: Int, height: Int, grey: UInt8) {
        for y in max(row, 0)..<max(row, 0, min(row + height, self.height)) {
            for x in max(column, 0)..<max(column, 0, min(column + width, self.width)) { self[x, y] = grey }
        }
    }

    /// Draws a line, point by point along its longer extent.
    fileprivate mutating func line(from: (Int, Int), to: (Int, Int), thickness: Int, grey: UInt8) {
        let steps = max(abs(to.0 - from.0), abs(to.1 - from.1), 1)
        for step in 0...steps {
            fill(
                column: from.0 + (to.0 - from.0) * step / steps, row: from.1 + (to.1 - from.1) * step / steps,
                width: thickness, height: thickness, grey: grey)
        }
    }
}

/// An axis of a plot: its ticks, and the map from values to pixels.
struct PlotAxis {
    /// The pixels of the two ends.
    let from, through: Int

    /// The values of the ticks, from one end to the other.
    let ticks: [Double]

    private let isLogarithmic: Bool

    /// An axis that includes all values, of which there may be none.
    ///
    /// - Precondition: values are finite, and above zero if the axis is logarithmic.
    init(_ values: [Double], isLogarithmic: Bool, from: Int, through: Int) {
        (self.from, self.through, self.isLogarithmic) = (from, through, isLogarithmic)
        let (least, greatest) = (values.min() ?? 0, values.max() ?? 1)
        ticks =
            isLogarithmic
            ? Self.powers(from: least, through: greatest) : Self.multiples(from: least, through: greatest)
    }

    /// The pixel of a value.
    func pixel(_ value: Double) -> Int {
        func place(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }
        let (low, high) = (place(ticks[0]), place(ticks[ticks.count - 1]))
        return from + Int(((place(value) - low) / (high - low) * Double(through - from)).rounded())
    }

    /// The label of a tick.
    func text(of value: Double) -> String {
        let text = abs(value) >= 1e-4 && abs(value) < 1e7 || value == 0 ? "%.7g" : "%.3g"
        return String(format: text, value)
    }

    /// Powers of ten, and their multiples by 2 and 5 if there are few.
    private static func powers(from least: Double, through greatest: Double) -> [Double] {
        let exponents = Int(log10(least).rounded(.down))...Int(log10(greatest).rounded(.up))
        let factors: [Double] = exponents.count > 4 ? [1] : [1, 2, 5]
        let marks = exponents.flatMap { exponent in factors.map { $0 * pow(10, Double(exponent)) } }
        let first = marks.lastIndex { $0 <= least } ?? 0
        let last = marks.firstIndex { $0 >= greatest } ?? marks.count - 1
        return Array(marks[min(first, last)...max(last, first + 1)])
    }

    /// Multiples of 1, 2 or 5 times a power of ten, at most eight.
    private static func multiples(from least: Double, through greatest: Double) -> [Double] {
        let extent = greatest > least ? greatest - least : max(abs(greatest), 1)
        let power = pow(10, log10(extent / 6).rounded(.down))
        let step = [1, 2, 5, 10].map { $0 * power }.first { extent / $0 <= 6 } ?? 10 * power
        let first = (least / step).rounded(.down)
        let last = max((greatest / step).rounded(.up), first + 1)
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }
}
