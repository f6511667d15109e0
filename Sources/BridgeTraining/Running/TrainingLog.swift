import Foundation
import VoxelSupport

/// The log of a run: a JSON object a line, one for some of the steps and one for each validation.
struct TrainingLog {
    /// A line.
    struct Entry: Codable, Equatable {
        /// The step after which it was written.
        let step: Int
        /// The mean loss of the steps since the line before.
        var loss: Double?
        /// The learning rate of the step.
        var learningRate: Double?
        /// The norm of the step's gradient, before clipping.
        var gradientNorm: Double?
        /// Training windows a second.
        var windowsPerSecond: Double?
        /// The validation loss of the moving average.
        var validationLoss: Double?

        enum CodingKeys: String, CodingKey {
            case step, loss
            case learningRate = "learning_rate"
            case gradientNorm = "gradient_norm"
            case windowsPerSecond = "windows_per_second"
            case validationLoss = "validation_loss"
        }
    }

    private(set) var entries: [Entry]
    private let file: URL

    /// Opens a log, and cuts off what was written after a step that the run goes on from.
    init(_ file: URL, upTo step: Int) throws {
        self.file = file
        let text = (try? Data(contentsOf: file)) ?? Data()
        let decoder = JSONDecoder()
        // The last line may have been cut short when the run was killed.
        entries = text.split(separator: UInt8(ascii: "\n"))
            .compactMap { try? decoder.decode(Entry.self, from: Data($0)) }.filter { $0.step <= step }
        try AtomicFile.write(entries.reduce(Data()) { try $0 + Self.line($1) }, to: file)
    }

    /// Adds a line.
    mutating func append(_ entry: Entry) throws {
        entries.append(entry)
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Self.line(entry))
        // A checkpoint that comes later must not outlive the lines before it.
        try handle.synchronize()
    }

    private static func line(_ entry: Entry) throws -> Data {
        try entry.sortedJSON() + Data("\n".utf8)
    }
}
