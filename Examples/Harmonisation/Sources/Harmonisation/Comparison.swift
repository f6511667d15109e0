import Foundation
import VoxelBridge

/// A table of the similarity of volumes to a reference.
struct Comparison {
    /// The metrics of one volume.
    struct Row {
        let name: String
        /// Inside the brain, and over the whole volume including background.
        let brain, whole: MetricReport

        /// Whether PSNR, SSIM and the difference between slices have all improved.
        func isBetter(than other: Row) -> Bool {
            brain["psnr_range1"]! > other.brain["psnr_range1"]!
                && brain["ssim_range1"]! > other.brain["ssim_range1"]!
                && abs(brain["slice_difference_error_axial"]!)
                    < abs(other.brain["slice_difference_error_axial"]!)
        }
    }

    private let reference: Volume
    private let mask: Volume
    private var rows: [Row] = []

    private let metrics: [any VolumeMetric] = [
        NRMSE(), PSNR(dataRange: .fixed(1)), SSIM(dataRange: .fixed(1)),
        SliceConsistency(.difference, plane: .axial), SliceConsistency(.error, plane: .axial),
    ]

    /// A comparison with a reference in [0, 1].
    init(with reference: Volume) {
        self.reference = reference
        mask = ForegroundMask(of: reference).clearingBackground(of: reference.map { _ in 1 })
    }

    /// Measures a volume and adds it to the table.
    mutating func add(_ volume: Volume, name: String) throws -> Row {
        let row = Row(
            name: name,
            brain: try MetricReport(of: volume, against: reference, mask: mask, metrics: metrics),
            whole: try MetricReport(of: volume, against: reference, metrics: metrics))
        rows.append(row)
        return row
    }

    /// A Markdown table, aligned for terminals.
    func table() throws -> String {
        let own = try SliceConsistency(.difference, plane: .axial)(reference, against: reference, mask: mask)
        let lines =
            [
                line("", ["NRMSE", "PSNR", "SSIM", "slices", "PSNR, all", "SSIM, all"]),
                line("---", [String](repeating: "---:", count: 6)),
            ] + rows.map { line($0.name, cells(of: $0)) }
            + [line("Reference", ["0", "", "1", format(own), "", "1"])]
        return """
            \(lines.joined(separator: "\n"))

            NRMSE, PSNR (dB) and SSIM against the reference, inside the brain; "all" is the whole volume, most of
            it background. "slices" is the mean difference between neighbouring axial slices inside the brain: at
            best the reference's own. There is no row for ISTA: it corrects noisy slices, and this denoiser looks
            at the source alone.

            """
    }

    private func cells(of row: Row) -> [String] {
        [
            format(row.brain["nrmse_euclidean"]!), format(row.brain["psnr_range1"]!, places: 2),
            format(row.brain["ssim_range1"]!), format(row.brain["slice_difference_axial"]!),
            format(row.whole["psnr_range1"]!, places: 2), format(row.whole["ssim_range1"]!),
        ]
    }

    private func line(_ name: String, _ cells: [String]) -> String {
        let padded = cells.map { String(repeating: " ", count: max(0, 9 - $0.count)) + $0 }
        return "| " + name.padding(toLength: 19, withPad: " ", startingAt: 0) + " | "
            + padded.joined(separator: " | ") + " |"
    }

    private func format(_ value: Double, places: Int = 4) -> String { String(format: "%.\(places)f", value) }
}
