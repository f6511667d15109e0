import Foundation
import VoxelBridge

/// The similarity of a translation to the truth.
struct Scores {
    /// The metrics.
    enum Column: String, CaseIterable {
        /// Over the whole volume including background, as in papers.
        case nrmse = "NRMSE"
        case psnr = "PSNR"
        case ssim = "SSIM"
        /// PSNR inside the brain.
        case brainPSNR = "PSNR, brain"
        /// The mean difference between neighbouring axial slices inside the brain, and that of the truth.
        case slices
        case trueSlices = "slices, truth"
    }

    private let values: [Column: Double]

    /// Scores with a value for every column.
    init(_ values: [Column: Double]) { self.values = values }

    /// Compares volumes in [0, 1]; the background is 0 in the truth.
    init(of prediction: Volume, against truth: Volume) throws {
        let mask = ForegroundMask(of: truth).clearingBackground(of: truth.map { _ in 1 })
        let psnr = PSNR(dataRange: .fixed(1))
        let difference = SliceConsistency(.difference, plane: .axial)
        self.init([
            .nrmse: try NRMSE()(prediction, against: truth, mask: nil),
            .psnr: try psnr(prediction, against: truth, mask: nil),
            .ssim: try SSIM(dataRange: .fixed(1))(prediction, against: truth, mask: nil),
            .brainPSNR: try psnr(prediction, against: truth, mask: mask),
            .slices: try difference(prediction, against: truth, mask: mask),
            .trueSlices: try difference(truth, against: truth, mask: mask),
        ])
    }

    /// The mean of each score over at least one translation.
    init(meanOf all: [Scores]) {
        let means = Column.allCases.map { column in
            (column, all.reduce(0) { $0 + $1[column] } / Double(all.count))
        }
        self.init(Dictionary(uniqueKeysWithValues: means))
    }

    subscript(column: Column) -> Double { values[column]! }
}

extension Scores {
    /// A Markdown table, aligned for terminals.
    ///
    /// - Parameters:
    ///   - rows: the labels and scores of each row.
    ///   - names: the names of the columns of labels.
    ///   - columns: the scores to show.
    static func table(
        _ rows: [(labels: [String], scores: Scores)], labelled names: [String] = [""],
        columns: [Column] = Column.allCases
    ) -> String {
        let header = names + columns.map(\.rawValue)
        let cells = rows.map { row in
            row.labels
                + columns.map { column in
                    String(
                        format: column == .psnr || column == .brainPSNR ? "%.2f" : "%.4f", row.scores[column])
                }
        }
        let rule = header.indices.map { $0 < names.count ? "---" : "---:" }
        let lines = [header, rule] + cells
        let widths = header.indices.map { column in lines.map { $0[column].count }.max()! }
        return lines.map { line in
            let padded = zip(line, widths).enumerated().map { column, cell in
                let padding = String(repeating: " ", count: cell.1 - cell.0.count)
                return column < names.count ? cell.0 + padding : padding + cell.0
            }
            return "| " + padded.joined(separator: " | ") + " |"
        }.joined(separator: "\n")
    }
}
