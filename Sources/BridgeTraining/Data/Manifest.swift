public import Foundation
import VolumeIO

/// A table of subjects: pairs of volumes, and which part each has in training.
///
/// ```
/// subject,split,source,target,mask
/// anna,train,anna/ct.nii.gz,anna/t1.nii.gz,anna/brain.nii.gz
/// ben,validation,ben/ct.nii.gz,ben/t1.nii.gz,
/// ```
///
/// Comma-separated, with a line of names first; fields with commas stand in quotation marks; paths are relative to
/// the manifest. The column `mask` may be missing, and so may be its fields: with a mask, what is zero in it becomes
/// background in both volumes.
public struct Manifest: Sendable {
    /// A subject: one line of the table.
    public struct Subject: Equatable, Sendable {
        /// The line in the file, from 1; 0 of a subject that is in no manifest yet.
        public internal(set) var line = 0
        /// The subject's name, by which its prepared volumes are stored.
        public let name: String
        /// What it is for.
        public let split: Split
        /// The volume to translate from.
        public let source: URL
        /// The volume to translate to, on the same grid.
        public let target: URL
        /// Above zero where both are to be seen; nil for everywhere.
        public let mask: URL?

        /// A subject.
        public init(name: String, split: Split, source: URL, target: URL, mask: URL? = nil) {
            (self.name, self.split) = (name, split)
            (self.source, self.target, self.mask) = (source, target, mask)
        }
    }

    /// The file, which errors name.
    public let file: URL

    /// The subjects of whose lines nothing is wrong so far.
    public let subjects: [Subject]

    /// What is wrong with other lines, and with the table as a whole.
    public let problems: [ManifestError.Problem]

    /// Reads a manifest and checks all of it that can be checked without reading voxels: columns, splits, names,
    /// files, grids. What is wrong is collected in `problems`.
    ///
    /// - Throws: `ManifestError` where the file cannot be read as a table at all.
    public init(contentsOf file: URL) throws(ManifestError) {
        self.file = file
        let text: String
        do { text = try String(contentsOf: file, encoding: .utf8) } catch {
            throw ManifestError(file: file.path, problems: [.init(0, "cannot be read as text: \(error)")])
        }
        let table = CommaSeparatedTable(text)
        guard let header = table.records.first else {
            throw ManifestError(
                file: file.path, problems: [.init(0, "is empty; expected a first line \(Columns.example)")])
        }
        let columns = try Columns(header, file: file.path)
        var check = ManifestCheck()
        for record in table.records.dropFirst() {
            check.read(record, columns: columns, folder: file.deletingLastPathComponent())
        }
        (subjects, problems) = check.result
    }

    /// A manifest of these subjects, checked as those of a file are.
    ///
    /// - Parameters:
    ///   - subjects: in the order of their lines.
    ///   - file: where the manifest is to lie.
    public init(_ subjects: [Subject], file: URL) {
        self.file = file
        var check = ManifestCheck()
        for (index, var subject) in subjects.enumerated() {
            // The first line is that of the names.
            subject.line = index + 2
            check.read(subject)
        }
        (self.subjects, problems) = check.result
    }

    /// Writes the subjects as a manifest. The paths of files that lie below its folder are relative to it, so that
    /// the folder may be moved as a whole, and those of others absolute.
    ///
    /// - Throws: `ManifestError` where there are problems; the system's error where the file cannot be written.
    public func write(to file: URL) throws {
        guard problems.isEmpty else { throw ManifestError(file: self.file.path, problems: problems) }
        func components(_ url: URL) -> [String] { url.absoluteURL.standardizedFileURL.pathComponents }
        let folder = components(file).dropLast()
        func path(_ url: URL) -> String {
            let path = components(url)
            return path.starts(with: folder)
                ? path.dropFirst(folder.count).joined(separator: "/") : url.absoluteURL.path
        }
        let rows = subjects.map { subject in
            [
                subject.name, subject.split.rawValue, path(subject.source), path(subject.target),
                subject.mask.map(path) ?? "",
            ].map(CommaSeparatedTable.quoted).joined(separator: ",")
        }
        let text = ([Columns.example] + rows).map { $0 + "\n" }.joined()
        try Data(text.utf8).write(to: file, options: .atomic)
    }
}

/// Everything that is wrong with a manifest.
public struct ManifestError: LocalizedError, Equatable, CustomStringConvertible {
    /// Something wrong with one line.
    public struct Problem: Equatable, Sendable {
        /// The line, from 1; 0 for the table as a whole.
        public let line: Int
        /// What was found, and what was expected.
        public let text: String

        init(_ line: Int, _ text: String) { (self.line, self.text) = (line, text) }
    }

    /// The file.
    public let file: String

    /// What is wrong, line by line.
    public let problems: [Problem]

    /// The description.
    public var errorDescription: String? { description }

    /// A line of text for each problem.
    public var description: String {
        problems.map { $0.line > 0 ? "\(file):\($0.line): \($0.text)" : "\(file): \($0.text)" }
            .joined(separator: "\n")
    }
}

/// Where each column is.
private struct Columns {
    static let needed = ["subject", "split", "source", "target"]
    static let example = "subject,split,source,target,mask"

    let names: [String]

    init(_ header: CommaSeparatedTable.Record, file: String) throws(ManifestError) {
        names = header.fields.map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        var problems: [ManifestError.Problem] = []
        for name in Self.needed where !names.contains(name) {
            problems.append(
                .init(header.line, "there is no column '\(name)'; expected a first line \(Self.example)"))
        }
        for (index, name) in names.enumerated() {
            if !Self.needed.contains(name), name != "mask" {
                problems.append(.init(header.line, "unknown column '\(name)'; expected \(Self.example)"))
            } else if names[..<index].contains(name) {
                problems.append(.init(header.line, "column '\(name)' is there twice"))
            }
        }
        guard problems.isEmpty else { throw ManifestError(file: file, problems: problems) }
    }

    func field(_ name: String, of record: CommaSeparatedTable.Record) -> String? {
        guard let index = names.firstIndex(of: name), index < record.fields.count else { return nil }
        let text = record.fields[index].trimmingCharacters(in: .whitespaces)
        return text.isEmpty ? nil : text
    }
}

/// Checks the subjects of a manifest, one after another.
private struct ManifestCheck {
    private var subjects: [Manifest.Subject] = []
    private var problems: [ManifestError.Problem] = []
    /// The line of each name so far. Names are compared as file systems compare them that ignore case.
    private var lines: [String: Int] = [:]

    /// The subjects of which nothing is wrong, and what is wrong with others.
    var result: ([Manifest.Subject], [ManifestError.Problem]) {
        (subjects, subjects.isEmpty && problems.isEmpty ? [.init(0, "names no subject")] : problems)
    }

    mutating func read(_ record: CommaSeparatedTable.Record, columns: Columns, folder: URL) {
        let before = problems.count
        if record.fields.count > columns.names.count {
            problem(record.line, "found \(record.fields.count) fields; expected \(columns.names.count)")
        }
        let name = columns.field("subject", of: record)
        if let name { check(name, record.line) } else { problem(record.line, "there is no subject") }
        let split = columns.field("split", of: record).flatMap(Manifest.Split.init(rawValue:))
        if split == nil {
            let known = Manifest.Split.allCases.map(\.rawValue).joined(separator: ", ")
            problem(
                record.line,
                "unknown split '\(columns.field("split", of: record) ?? "")'; expected one of \(known)")
        }
        var files: [String: URL] = [:]
        for column in ["source", "target", "mask"] {
            if let path = columns.field(column, of: record) {
                files[column] = URL(filePath: path, relativeTo: folder).standardizedFileURL.absoluteURL
            } else if column != "mask" {
                problem(record.line, "there is no \(column)")
            }
        }
        check(files, record.line)
        guard problems.count == before, let name, let split, let source = files["source"],
            let target = files["target"]
        else { return }
        var subject = Manifest.Subject(
            name: name, split: split, source: source, target: target, mask: files["mask"])
        subject.line = record.line
        subjects.append(subject)
    }

    mutating func read(_ subject: Manifest.Subject) {
        let before = problems.count
        check(subject.name, subject.line)
        var files = ["source": subject.source, "target": subject.target]
        files["mask"] = subject.mask
        check(files, subject.line)
        if problems.count == before { subjects.append(subject) }
    }

    private mutating func problem(_ line: Int, _ text: String) { problems.append(.init(line, text)) }

    private mutating func check(_ name: String, _ line: Int) {
        if !Self.canBeFileName(name) {
            problem(
                line,
                "subject '\(name)' cannot be stored; expected letters, digits, '.', '_' and '-', no '.' first")
        }
        if let first = lines.updateValue(line, forKey: name.lowercased()) {
            problem(line, "subject '\(name)' is there already, on line \(first)")
        }
    }

    private mutating func check(_ files: [String: URL], _ line: Int) {
        var headers: [String: NIfTIHeader] = [:]
        for column in ["source", "target", "mask"] {
            guard let file = files[column] else { continue }
            do { headers[column] = try NIfTIHeader(contentsOf: file) } catch {
                problem(line, "\(column) \(error)")
            }
        }
        guard let source = headers["source"] else { return }
        for column in ["target", "mask"] {
            guard let header = headers[column], !header.grid.matches(source.grid) else { continue }
            problem(
                line,
                "the \(column) is not on the source's grid: \(text(header)), and the source "
                    + "\(text(source)); resample it onto the source's grid first")
        }
    }

    private func text(_ header: NIfTIHeader) -> String {
        let spacing = header.grid.spacing
        let millimetres = (0..<3).map { String(format: "%.4g", spacing[$0]) }.joined(separator: " x ")
        return header.shape.map(String.init).joined(separator: " x ") + " voxels of \(millimetres) mm, "
            + header.grid.orientation.description
    }

    private static func canBeFileName(_ name: String) -> Bool {
        name.count <= 200 && name.first != "."
            && name.allSatisfy { $0.isLetter || $0.isNumber || "._-".contains($0) }
    }
}
