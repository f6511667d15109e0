import Foundation
import VolumeMetrics
import VoxelSupport

/// A page that shows what was made and how good it is, in one file that needs no network.
///
/// ```swift
/// var report = HTMLReport(title: "Subject 7")
/// report.volumes = ReportVolumes(source: ct, result: mri, reference: real)
/// report.setMetrics(try MetricReport(of: mri, against: real), of: MetricReport.standardMetrics())
/// report.facts = [("model", "ct2mri.safetensors"), ("steps", "50")]
/// try report.write(to: "subject-7.html")
/// ```
///
/// The page shows slices of all volumes side by side, with one cross-hair, zoom and window; metrics with their definitions;
/// charts; and what is known of how the result was made. It is used by keyboard, mouse or touch, in light and dark, on
/// wide and narrow screens. It takes a browser of 2023 or later.
///
/// Volumes are embedded in 8 bits, compressed: at most 9.5 MB altogether. Larger volumes are averaged over blocks of
/// voxels, and noise may be rounded to fewer levels; the page says so. Put files of full precision beside the page, and list
/// them as ``downloads``.
public struct HTMLReport: Sendable {
    /// The heading.
    public var title: String
    /// A line below the heading.
    public var summary = ""
    /// What is to be known before the rest is read.
    public var warnings: [String] = []
    /// The volumes to show.
    public var volumes: ReportVolumes?
    /// The side of the patient's right in the first view.
    public var convention = Montage.Convention.radiological
    /// Curves: histograms, style keys, losses.
    public var charts: [LinePlot] = []
    /// Images, as PNG files, with their captions.
    public var pictures: [(caption: String, png: Data)] = []
    /// The metrics of all subjects, for a cohort.
    public var cohort: CohortReport?
    /// How the result was made: names and values, such as the command, the version, the model and its settings.
    public var facts: [(name: String, value: String)] = []
    /// Files beside the page: what they are, and their relative paths.
    public var downloads: [(name: String, path: String)] = []

    private var metrics: [Metric] = []

    /// An empty report.
    public init(title: String) { self.title = title }

    /// Shows the metrics of the result.
    ///
    /// - Parameters:
    ///   - report: the values.
    ///   - definitions: the metrics, for their definitions.
    public mutating func setMetrics(_ report: MetricReport, of definitions: [any VolumeMetric]) {
        metrics = report.map { entry in
            Metric(
                name: entry.name, value: entry.value.map { PageNumber($0) }, reason: entry.reason,
                definition: definitions.first { $0.name == entry.name }?.definition ?? "")
        }
    }

    /// The page. O(n log n) in the voxels.
    public func html() -> Data {
        let viewer = volumes.map { EmbeddedVolumes($0, convention: convention) }
        let page = Page(
            summary: summary, warnings: warnings, viewer: viewer, metrics: metrics,
            charts: charts.map(Page.Chart.init),
            pictures: pictures.map { .init(caption: $0.caption, source: $0.png.dataURI) },
            cohort: cohort?.page(),
            facts: facts.map { [$0.name, $0.value] }, downloads: downloads.map { [$0.name, $0.path] })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let json = try? encoder.encode(page) else {
            preconditionFailure("every number of a page is finite")
        }
        let elements = (viewer?.streams ?? []).map {
            "<script type=\"text/plain\" id=\"\($0.id)\">\($0.base64)</script>\n"
        }
        let text = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
            <meta name="generator" content="VoxelBridge">
            <title>\(title.escaped)</title>
            <style>
            \(String(decoding: PackageResources.report_css, as: UTF8.self))</style>
            </head>
            <body>
            <header><h1>\(title.escaped)</h1></header>
            <main id="page"><noscript>This page needs JavaScript to draw its volumes and tables.</noscript></main>
            <script type="application/json" id="data">\(String(decoding: json, as: UTF8.self).replacing("<", with: "\\u003C"))</script>
            \(elements.joined())<script>
            \(String(decoding: PackageResources.report_js, as: UTF8.self))</script>
            </body>
            </html>

            """
        return Data(text.utf8)
    }

    /// Writes the page. The file is replaced whole or, on an error, left as it was.
    ///
    /// - Throws: `FigureError`.
    public func write(to file: URL) throws(FigureError) {
        let page = html()
        do { try AtomicFile.write(page, to: file) } catch {
            throw .unwritable(file: file, reason: error.explanation)
        }
    }

    /// Writes the page to the file at a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: `FigureError`.
    public func write(to path: String) throws(FigureError) { try write(to: URL(filePath: path)) }
}

/// The metrics of a cohort for a report, with links to a page for each subject.
public struct CohortReport: Sendable {
    /// The evaluation.
    public var evaluation: CohortEvaluation
    /// The metrics, for their definitions and goals.
    public var metrics: [any VolumeMetric]
    /// The metric that subjects are ordered by at first.
    public var chosen: String
    /// The pages of subjects by their result's index: relative paths.
    public var links: [Int: String] = [:]
    /// Pictures of subjects, as PNG files, by their result's index.
    public var pictures: [Int: Data] = [:]

    /// A cohort ordered by a metric, by default PSNR if there is one.
    public init(_ evaluation: CohortEvaluation, metrics: [any VolumeMetric], chosen: String? = nil) {
        (self.evaluation, self.metrics) = (evaluation, metrics)
        let names = metrics.map(\.name)
        self.chosen = chosen ?? names.first { $0.hasPrefix("psnr") } ?? names.first ?? ""
    }

    func page() -> Page.Cohort {
        let names = metrics.map(\.name)
        let usual = ["psnr", "ssim", "nrmse_", "mae", "ncc", "stripe_energy_axial"]
        var columns: [String] = []
        for prefix in usual { columns += [names.first { $0.hasPrefix(prefix) }].compactMap(\.self) }
        var rows: [Page.Cohort.Row] = []
        for (index, result) in evaluation.results.enumerated() {
            let entries = result.metrics.entries
            rows.append(
                Page.Cohort.Row(
                    subject: result.subject, method: result.method,
                    values: Dictionary(
                        entries.map { ($0.name, $0.value.map { PageNumber($0) }) },
                        uniquingKeysWith: { first, _ in first }),
                    reasons: Dictionary(
                        entries.compactMap { entry in entry.reason.map { (entry.name, $0) } },
                        uniquingKeysWith: { first, _ in first }),
                    failure: result.failure, link: links[index], picture: pictures[index]?.dataURI))
        }
        var methods: [String] = []
        for result in evaluation.results where !methods.contains(result.method) {
            methods.append(result.method)
        }
        return Page.Cohort(
            metrics: metrics.map { .init(name: $0.name, definition: $0.definition, goal: .init($0.goal)) },
            methods: methods, rows: rows, columns: columns, chosen: chosen,
            summaries: evaluation.summaries.map(Page.Cohort.Summary.init),
            comparisons: evaluation.comparisons.map(Page.Cohort.Comparison.init))
    }
}

extension Data {
    /// A PNG file as a URI that holds it.
    fileprivate var dataURI: String { "data:image/png;base64," + base64EncodedString() }
}

extension String {
    /// The text with the characters escaped that HTML reads as markup.
    fileprivate var escaped: String {
        replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
