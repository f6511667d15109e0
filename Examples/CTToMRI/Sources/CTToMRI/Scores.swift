import Foundation
import VolumeTranslation

/// How near a translation comes to the truth.
struct Scores {
    /// Over the whole volume, background and all, as papers report them.
    let nrmse, psnr, ssim: Double
    /// PSNR inside the brain.
    let brainPSNR: Double
    /// The mean difference between neighbouring axial slices inside the brain, and what it is in the truth.
    let sliceDifference, trueSliceDifference: Double

    /// Compares volumes in [0, 1]; where the truth is 0 is background.
    init(of prediction: Volume, against truth: Volume) throws {
        let mask = ForegroundMask(of: truth).clearingBackground(of: truth.map { _ in 1 })
        func score(_ metric: some VolumeMetric, of volume: Volume? = nil, in mask: Volume? = nil) throws
            -> Double
        {
            try metric(volume ?? prediction, against: truth, mask: mask)
        }
        nrmse = try score(NRMSE())
        psnr = try score(PSNR(dataRange: .fixed(1)))
        ssim = try score(SSIM(dataRange: .fixed(1)))
        brainPSNR = try score(PSNR(dataRange: .fixed(1)), in: mask)
        let difference = SliceConsistency(.difference, plane: .axial)
        sliceDifference = try score(difference, in: mask)
        trueSliceDifference = try score(difference, of: truth, in: mask)
    }

    /// Names of the columns of a table.
    static let columns = ["NRMSE", "PSNR", "SSIM", "PSNR, brain", "slices", "slices, truth"]

    /// The columns' values.
    var values: [Double] { [nrmse, psnr, ssim, brainPSNR, sliceDifference, trueSliceDifference] }

    /// A table in Markdown, which reads as well in a terminal.
    static func table(_ rows: [(name: String, values: [Double])]) -> String {
        let width = rows.map(\.name.count).max() ?? 0
        func line(_ name: String, _ cells: [String]) -> String {
            let padded = zip(cells, columns).map { cell, column in
                String(repeating: " ", count: max(0, column.count - cell.count)) + cell
            }
            return "| " + name.padding(toLength: width, withPad: " ", startingAt: 0) + " | "
                + padded.joined(separator: " | ") + " |"
        }
        let header = [line("", columns), line("---", columns.map { _ in "---:" })]
        return
            (header
            + rows.map { row in
                line(
                    row.name,
                    zip(row.values, columns).map { value, column in
                        String(format: column.hasPrefix("PSNR") ? "%.2f" : "%.4f", value)
                    })
            }).joined(separator: "\n")
    }
}
