import Foundation

/// A file (.csv) with one line of scores per measurement, which an interrupted run continues.
struct ScoreFile {
    private let url: URL
    /// The scores by their labels.
    private var scores: [[String]: Scores] = [:]

    /// Opens or creates a file.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - names: the names of the columns of labels.
    init(_ url: URL, labelled names: [String]) throws {
        self.url = url
        let header = (names + Scores.Column.allCases.map { "\"\($0.rawValue)\"" }).joined(separator: ",") + "\n"
        let text =
            FileManager.default.fileExists(atPath: url.path)
            ? try String(contentsOf: url, encoding: .utf8) : header
        guard text.hasPrefix(header) else { throw OtherTable(file: url.path) }
        // A killed run may leave an incomplete last line, which is measured again.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst().dropLast()
        for line in lines {
            let cells = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            let values = cells.dropFirst(names.count).compactMap(Double.init)
            guard values.count == Scores.Column.allCases.count else { throw OtherTable(file: url.path) }
            scores[Array(cells.prefix(names.count))] = Scores(
                Dictionary(uniqueKeysWithValues: zip(Scores.Column.allCases, values)))
        }
        try Data((header + lines.map { $0 + "\n" }.joined()).utf8).write(to: url, options: .atomic)
    }

    /// The scores with these labels, if they have been measured.
    subscript(labels: [String]) -> Scores? { scores[labels] }

    /// Appends a line.
    mutating func add(_ new: Scores, labelled labels: [String]) throws {
        let line = (labels + Scores.Column.allCases.map { "\(new[$0])" }).joined(separator: ",") + "\n"
        let handle = try FileHandle(forWritingTo: url)
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(line.utf8))
        scores[labels] = new
    }
}

/// A file has unexpected columns.
struct OtherTable: LocalizedError, CustomStringConvertible {
    let file: String
    var description: String { "\(file) has unexpected columns: remove it, or choose another folder" }
    var errorDescription: String? { description }
}
