import Foundation
import VolumeFigures
import VoxelSupport

/// The log of a run: one JSON object per line, for every `intervals.log`-th step and for each validation.
package struct TrainingLog {
    /// One line.
    package struct Entry: Codable, Equatable {
        /// The number of steps taken.
        package let step: Int
        /// The mean loss of the steps since the previous entry.
        var loss: Double?
        /// The learning rate of the step.
        var learningRate: Double?
        /// The norm of the step's gradient, before clipping.
        var gradientNorm: Double?
        /// Training examples per second.
        var examplesPerSecond: Double?
        /// The means of the loss's parts, and of the discriminator's loss, since the previous entry.
        var losses: [String: Double]?
        /// The validation loss of the moving average.
        var validationLoss: Double?

        enum CodingKeys: String, CodingKey {
            case step, loss, losses
            case learningRate = "learning_rate"
            case gradientNorm = "gradient_norm"
            case examplesPerSecond = "examples_per_second"
            case validationLoss = "validation_loss"
        }
    }

    package private(set) var entries: [Entry]
    private let file: URL

    /// Opens a log, and removes the entries after the step from which the run is resumed.
    init(_ file: URL, upTo step: Int) throws {
        self.file = file
        entries = Self.entries(in: file).filter { $0.step <= step }
        try AtomicFile.write(entries.reduce(Data()) { try $0 + Self.line($1) }, to: file)
    }

    /// Reads a log as it is.
    package init(reading file: URL) throws {
        self.file = file
        entries = Self.entries(in: file)
    }

    private static func entries(in file: URL) -> [Entry] {
        let text = (try? Data(contentsOf: file)) ?? Data()
        let decoder = JSONDecoder()
        // A killed run may leave an incomplete last line.
        return text.split(separator: UInt8(ascii: "\n"))
            .compactMap { try? decoder.decode(Entry.self, from: Data($0)) }
    }

    /// Appends an entry.
    mutating func append(_ entry: Entry) throws {
        entries.append(entry)
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Self.line(entry))
        // A later checkpoint must not survive a crash that earlier entries do not.
        try handle.synchronize()
    }

    /// The curves of both losses.
    var plot: LinePlot { plot(title: "loss") }

    /// The curves of both losses under a title.
    package func plot(title: String) -> LinePlot {
        let curves = [curve("training") { $0.loss }, curve("validation") { $0.validationLoss }]
        return LinePlot(title: title, horizontal: "step", curves: curves.filter { !$0.points.isEmpty })
    }

    /// The curves of the parts of the training loss under a title; nil if there are fewer than two.
    package func plotOfParts(title: String) -> LinePlot? {
        let parts = Set(entries.flatMap { $0.losses.map { Array($0.keys) } ?? [] }).sorted()
        guard parts.count > 1 else { return nil }
        return LinePlot(
            title: title, horizontal: "step", curves: parts.map { name in curve(name) { $0.losses?[name] } })
    }

    private func curve(_ label: String, _ loss: (Entry) -> Double?) -> LinePlot.Curve {
        LinePlot.Curve(
            label: label,
            points: entries.compactMap { entry in loss(entry).map { SIMD2(Double(entry.step), $0) } })
    }

    private static func line(_ entry: Entry) throws -> Data {
        try entry.sortedJSON() + Data("\n".utf8)
    }
}
