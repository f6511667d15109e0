public import StyleKeys

/// A data set of pairs of source and target windows.
///
/// ```swift
/// struct Pairs: TrainingDataset {
///     let rows = 64, columns = 64, radius = 1
///     let windows: [TrainingExample]
///     var count: Int { windows.count }
///     var fingerprint: String { "pairs, version 1" }
///     func example(at index: Int) -> TrainingExample { windows[index] }
/// }
/// ```
///
/// ## Laws
/// - An example is a function of its index, so that a run can be resumed.
/// - Every example has windows of 2N + 1 slices of `rows` x `columns`, with intensities in [-1, 1] and background
///   at -1, and a style key with the same number of bins.
/// - Examples can be read concurrently.
public protocol TrainingDataset: Sendable {
    /// N: number of slices on either side of the middle slice of a window.
    var radius: Int { get }

    /// Number of rows of every slice.
    var rows: Int { get }

    /// Number of columns of every slice.
    var columns: Int { get }

    /// Number of examples.
    var count: Int { get }

    /// A fingerprint that changes whenever the examples do: a run is not resumed on other data.
    var fingerprint: String { get }

    /// The axis of a window from the patient's left to right, which a flip reverses. By default the columns.
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
    /// From slice to slice: left to right in a window of sagittal slices.
    case slices
    /// From row to row.
    case rows
    /// From column to column.
    case columns
}

/// A window of source slices, a window of target slices, and the style of the target.
public struct TrainingExample: Equatable, Sendable, CustomStringConvertible {
    /// y: `[2N + 1, rows, columns]`, in [-1, 1].
    public var source: [Float]

    /// x_0: `[2N + 1, rows, columns]`, in [-1, 1].
    public var target: [Float]

    /// The style key of the target volume.
    public var style: StyleKey

    /// An example.
    public init(source: [Float], target: [Float], style: StyleKey) {
        (self.source, self.target, self.style) = (source, target, style)
    }

    /// The number of voxels of a window, and the style.
    public var description: String { "windows of \(source.count) voxels, \(style)" }

    /// The example with an axis of both windows reversed.
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
