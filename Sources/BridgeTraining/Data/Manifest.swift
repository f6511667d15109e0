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
    /// What a subject is for.
    public enum Split: String, CaseIterable, Sendable {
        /// The network learns from it.
        case train
        /// The network is judged by it.
        case validation
        /// Training leaves it alone.
        case test
    }

    /// A subject: one line of the table.
    public struct Subject: Equatable, Sendable {
        /// The line in the file, from 1.
        public let line: Int
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
    }

    /// The file.
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
        var check = ManifestCheck(
            folder: file.deletingLastPathComponent(), columns: try Columns(header, file: file.path))
        for record in table.records.dropFirst() { check.read(record) }
        if check.subjects.isEmpty, check.problems.isEmpty {
            check.problems.append(.init(0, "names no subject"))
        }
        subjects = check.subjects
        problems = check.problems
    }

    /// Writes the subjects as a manifest whose paths are absolute, so that it may lie anywhere.
    ///
    /// - Throws: the system's error where the file cannot be written.
    public func write(to file: URL) throws {
        let rows = subjects.map { subject in
            [
                subject.name, subject.split.rawValue, subject.source.path, subject.target.path,
                subject.mask?.path ?? "",
            ].map(CommaSeparatedTable.quoted).joined(separator: ",")
        }
        let text = ([Columns.example] + rows).map { $0 + "\n" }.joined()
        try Data(text.utf8).write(to: file, options: .atomic)
    }
}

/// Everything that is wrong with a manifest.
public struct ManifestError: Error, Equatable, CustomStringConvertible {
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

/// Checks the lines of a manifest, one after another.
private struct ManifestCheck {
    let folder: URL
    let columns: Columns
    var subjects: [Manifest.Subject] = []
    var problems: [ManifestError.Problem] = []
    /// The line of each name so far. Names are compared as file systems compare them that ignore case.
    private var lines: [String: Int] = [:]

    init(folder: URL, columns: Columns) { (self.folder, self.columns) = (folder, columns) }

    mutating func read(_ record: CommaSeparatedTable.Record) {
        let before = problems.count
        func problem(_ text: String) { problems.append(.init(record.line, text)) }
        if record.fields.count > columns.names.count {
            problem("found \(record.fields.count) fields; expected \(columns.names.count)")
        }
        let name = columns.field("subject", of: record)
        if let name {
            if !Self.canBeFileName(name) {
                problem(
                    "subject '\(name)' cannot be stored; expected letters, digits, '.', '_' and '-', no '.' first"
                )
            }
            if let first = lines.updateValue(record.line, forKey: name.lowercased()) {
                problem("subject '\(name)' is there already, on line \(first)")
            }
        } else {
            problem("there is no subject")
        }
        let split = columns.field("split", of: record).flatMap(Manifest.Split.init(rawValue:))
        if split == nil {
            let known = Manifest.Split.allCases.map(\.rawValue).joined(separator: ", ")
            problem("unknown split '\(columns.field("split", of: record) ?? "")'; expected one of \(known)")
        }
        let volumes = ["source", "target", "mask"].map { column -> (url: URL, header: NIfTIHeader)? in
            guard let path = columns.field(column, of: record) else {
                if column != "mask" { problem("there is no \(column)") }
                return nil
            }
            let url = URL(filePath: path, relativeTo: folder).standardizedFileURL.absoluteURL
            do { return (url, try NIfTIHeader(contentsOf: url)) } catch {
                problem("\(column) \(error)")
                return nil
            }
        }
        guard let source = volumes[0] else { return }
        for (column, volume) in zip(["target", "mask"], volumes[1...]) {
            guard let volume, !volume.header.grid.matches(source.header.grid) else { continue }
            problem(
                "the \(column) is not on the source's grid: \(text(volume.header)), and the source "
                    + "\(text(source.header)); resample it onto the source's grid first")
        }
        guard problems.count == before, let name, let split, let target = volumes[1] else { return }
        subjects.append(
            .init(
                line: record.line, name: name, split: split, source: source.url, target: target.url,
                mask: volumes[2]?.url))
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
