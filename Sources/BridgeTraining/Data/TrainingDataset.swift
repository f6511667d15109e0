public import StyleKeys

/// Pairs of source and target windows to train on.
///
/// ```swift
/// struct Pairs: TrainingDataset {
///     let rows = 64, columns = 64, radius = 1
///     let windows: [TrainingExample]
///     var count: Int { windows.count }
///     var checksum: String { "pairs, version 1" }
///     func example(at index: Int) -> TrainingExample { windows[index] }
/// }
/// ```
///
/// ## Laws that a conformer keeps
/// - An example depends on its index alone, and on nothing that was asked before: that is what lets a run go on
///   where it stopped.
/// - Every example has windows of 2N + 1 slices of `rows` x `columns`, with intensities in [-1, 1] and background
///   at -1, and a style key of one number of bins.
/// - It may be asked by several threads at once.
public protocol TrainingDataset: Sendable {
    /// N: slices on either side of a window's middle one.
    var radius: Int { get }

    /// Rows of every slice.
    var rows: Int { get }

    /// Columns of every slice.
    var columns: Int { get }

    /// How many examples there are.
    var count: Int { get }

    /// A text that is another one where the examples are others: a run is not resumed on other data.
    var checksum: String { get }

    /// The axis of a window that runs from the patient's left to right: what a flip turns. Columns, unless a
    /// conformer says otherwise.
    var leftRightAxis: WindowAxis { get }

    /// The example at an index from `0..<count`.
    func example(at index: Int) throws -> TrainingExample
}

extension TrainingDataset {
    /// The columns, as in axial and coronal slices.
    public var leftRightAxis: WindowAxis { .columns }
}

/// An axis of a window of slices.
public enum WindowAxis: Sendable {
    /// From slice to slice, as in a window of sagittal slices.
    case slices
    /// From row to row.
    case rows
    /// From column to column.
    case columns
}

/// A window of source slices, the same of target slices, and the target's style.
public struct TrainingExample: Equatable, Sendable {
    /// y: 2N + 1 slices of rows x columns, columns fastest, in [-1, 1].
    public var source: [Float]

    /// x_0, of the same shape.
    public var target: [Float]

    /// The style key of the subject's target.
    public var style: StyleKey

    /// An example.
    public init(source: [Float], target: [Float], style: StyleKey) {
        (self.source, self.target, self.style) = (source, target, style)
    }

    /// The example with an axis of both windows turned round.
    func flipped(_ axis: WindowAxis, slices: Int, rows: Int, columns: Int) -> TrainingExample {
        func flip(_ window: [Float]) -> [Float] {
            var flipped = window
            for slice in 0..<slices {
                for row in 0..<rows {
                    let from =
                        switch axis {
                        case .slices: ((slices - 1 - slice) * rows + row) * columns
                        case .rows: (slice * rows + rows - 1 - row) * columns
                        case .columns: (slice * rows + row) * columns
                        }
                    let to = (slice * rows + row) * columns
                    for column in 0..<columns {
                        flipped[to + column] = window[from + (axis == .columns ? columns - 1 - column : column)]
                    }
                }
            }
            return flipped
        }
        return TrainingExample(source: flip(source), target: flip(target), style: style)
    }
}
