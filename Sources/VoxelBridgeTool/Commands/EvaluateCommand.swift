import ArgumentParser
import Foundation
import Logging
import VoxelBridge

struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Compare predicted volumes with references.",
        discussion: """
            Prints errors (mae, mse, rmse, nrmse with four normalisations, nmse: lower is better), psnr in decibels, \
            ssim in 3-D, by slices and of several scales, correlation (ncc) and mutual information (nmi; higher is \
            better), distances of the histograms, the error of gradients, and the consistency of adjacent slices. If a \
            metric is undefined for a pair, the reason is printed. Values equal those of scikit-image.

              voxelbridge evaluate mri.nii.gz truth.nii.gz --mask brain.nii.gz

            The volumes must be on the same grid, to a hundredth of a voxel; axes stored in another order are \
            reordered. Voxels that are NaN are left out.

            A cohort is a table with a line for each subject, and for each method to compare:

              subject,method,prediction,reference,mask
              anna,ista,anna/ista.nii.gz,anna/t1.nii.gz,anna/brain.nii.gz

              voxelbridge evaluate --pairs pairs.csv --output results

            It writes metrics.csv (each subject), summary.csv (mean, standard deviation, median and a bootstrap \
            confidence interval of the mean), comparisons.csv (pairs of methods: Wilcoxon's signed-rank test, effect \
            sizes, p corrected by Holm's method) and evaluation.json, all of these together. A pair that cannot be \
            compared is reported, the rest are evaluated, and the exit code is 1.
            """)

    @Argument(help: "The predicted volume.")
    var prediction: String?

    @Argument(help: "The expected volume, on the same grid.")
    var reference: String?

    @Option(help: "A volume that is above zero in the voxels to compare.")
    var mask: String?

    @OptionGroup
    var options: EvaluationOptions

    @Flag(help: "Print a JSON object.")
    var json = false

    @Flag(help: "Print comma-separated lines: subject, method, metric, value, reason.")
    var csv = false

    @Option(help: "A table of pairs to evaluate (.csv), in place of two volumes.")
    var pairs: String?

    @Option(help: "The folder for the results of --pairs; it is created if necessary.")
    var output: String?

    @Option(
        help: ArgumentHelp(
            "A folder for a report, index.html, to open in a browser; it is created if necessary.",
            discussion: """
                It shows slices of all volumes, their difference, histograms, and the metrics with their definitions; \
                for a cohort the distributions, the worst subjects first, and a page for each subject.
                """))
    var report: String?

    @Option(help: "A volume that the prediction was made from, for the report.")
    var source: String?

    @Option(help: "The seed of the confidence intervals of --pairs.")
    var seed: UInt64 = 0

    @OptionGroup
    var threads: ThreadOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        if pairs != nil {
            try require(
                prediction == nil && mask == nil && source == nil,
                "--pairs takes the volumes and masks from its table; leave the other volumes out")
            try require(output != nil, "give the folder for the results of --pairs with --output")
        } else {
            try require(prediction != nil, "give a prediction and a reference, or a table with --pairs")
            try require(reference != nil, "give the reference to compare \(prediction ?? "") with")
            try require(output == nil, "--output requires --pairs; without it, metrics are printed")
        }
        try require(
            source == nil || report != nil, "--source is shown in the report; give its folder with --report")
        try require(!(json && csv), "--json and --csv cannot be used together; give only one")
    }

    func run() async throws {
        if let pairs, let output {
            let evaluator = CohortEvaluator(
                options: options, seed: seed, threads: threads.count, logging: logging)
            return try await evaluator.evaluate(pairs, output: output, report: report)
        }
        guard let prediction, let reference else { return }
        let pages = try report.map { try ReportFolder($0, options: options) }
        let pair = try options.evaluate(prediction: prediction, reference: reference, mask: mask)
        try pages?.write(
            pair, title: URL(filePath: prediction).lastPathComponent,
            files: [prediction, reference, mask, source])
        for warning in pair.warnings { logging.logger.warning("\(warning)") }
        if json {
            try printJSON(
                PairOutput(
                    prediction: prediction, reference: reference, mask: mask, match: options.match,
                    voxels: pair.facts.voxels, leftOut: pair.facts.leftOut, warnings: pair.warnings,
                    metrics: pair.metrics))
        } else if csv {
            print(
                CohortEvaluation(
                    results: [.init(subject: prediction, metrics: pair.metrics)], metrics: options.metrics
                ).metricsTable, terminator: "")
        } else {
            print(pair.metrics)
        }
    }

    /// What `--json` prints.
    private struct PairOutput: Encodable {
        let prediction, reference: String
        let mask: String?
        let match: IntensityMatching
        let voxels, leftOut: Int
        let warnings: [String]
        let metrics: MetricReport
    }
}
