import Foundation

/// An axis of a plot: which pixel a value has, and which values are marked.
struct PlotAxis {
    /// The pixels of the two ends.
    let from, through: Int

    /// The values marked, from end to end: round ones.
    let ticks: [Double]

    private let isLogarithmic: Bool

    /// An axis that holds all values, of which there may be none.
    ///
    /// - Precondition: values are finite, and above zero where the axis is logarithmic.
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

    /// A value as it is written beside its mark.
    func text(of value: Double) -> String {
        let text = abs(value) >= 1e-4 && abs(value) < 1e7 || value == 0 ? "%.7g" : "%.3g"
        return String(format: text, value)
    }

    /// Powers of ten, and their twofold and fivefold where there are few.
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
