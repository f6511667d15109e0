public import Foundation
import VolumeIO
import Volumes
import VoxelSupport

/// A table of subjects: pairs of volumes, and their splits.
///
/// ```
/// subject,split,source,target,mask
/// anna,train,anna/ct.nii.gz,anna/t1.nii.gz,anna/brain.nii.gz
/// ben,validation,ben/ct.nii.gz,ben/t1.nii.gz,
/// ```
///
/// It is a comma-separated file with a header line, in UTF-8, UTF-16 or Latin-1. Semicolons or tabs may separate the
/// fields instead. Fields with the separator are quoted; paths are relative to the manifest. The column `mask` and its
/// fields are optional: voxels that are zero in the mask become background in both volumes. Other columns and lines
/// that begin with `#` are ignored, with a warning.
public struct Manifest: Sendable {
    /// A subject: one line of the table.
    public struct Subject: Equatable, Sendable {
        /// The line in the file, from 1; 0 if the subject is not in a manifest.
        public internal(set) var line = 0
        /// The unique name, which is also the file name of the prepared volumes.
        public let name: String
        /// The split.
        public let split: Split
        /// The source volume.
        public let source: URL
        /// The target volume, on the same grid.
        public let target: URL
        /// A volume on the same grid that is above zero in the foreground of both; `nil` for no mask.
        public let mask: URL?

        /// A subject.
        public init(name: String, split: Split, source: URL, target: URL, mask: URL? = nil) {
            (self.name, self.split) = (name, split)
            (self.source, self.target, self.mask) = (source, target, mask)
        }

        /// A subject, with its files at paths.
        public init(name: String, split: Split, source: String, target: String, mask: String? = nil) {
            self.init(
                name: name, split: split, source: URL(filePath: source), target: URL(filePath: target),
                mask: mask.map { URL(filePath: $0) })
        }
    }

    /// The file, for errors.
    public let file: URL

    /// The subjects on valid lines.
    public let subjects: [Subject]

    /// The problems of other lines and of the table as a whole.
    public let problems: [ManifestError.Problem]

    /// What was ignored, what volumes' headers leave open, and what may be a mistake, by line: columns of other names,
    /// a file in two splits or as its own target.
    public let warnings: [ManifestError.Problem]

    /// Reads a manifest and checks what can be checked without reading voxels: columns, splits, names, files, grids.
    /// Problems are collected in `problems`.
    ///
    /// - Parameters:
    ///   - file: the table.
    ///   - requiresOneGrid: whether a target must be on its source's grid. It need not if pairs are aligned
    ///     (``DataSettings/align``). A mask always must.
    /// - Throws: `ManifestError` if the file cannot be read as a table.
    public init(contentsOf file: URL, requiresOneGrid: Bool = true) throws(ManifestError) {
        self.file = file
        let read: (text: String, note: String?)
        do { read = try CommaSeparatedTable.text(contentsOf: file) } catch {
            throw ManifestError(
                file: file.path, problems: [.init(0, "cannot be read: \(error.explanation)")])
        }
        let table = CommaSeparatedTable(read.text, columns: Columns.known)
        guard let header = table.records.first else {
            throw ManifestError(
                file: file.path, problems: [.init(0, "is empty; expected a first line \(Columns.example)")])
        }
        let columns = try Columns(header, file: file.path)
        var check = ManifestCheck(requiresOneGrid: requiresOneGrid)
        if let note = read.note { check.warn(0, note) }
        if let ignored = columns.ignored { check.warn(header.line, ignored) }
        if let comment = table.comments.first { check.warn(comment, "lines that begin with '#' are ignored") }
        for record in table.records.dropFirst() {
            check.read(record, columns: columns, folder: file.deletingLastPathComponent())
        }
        (subjects, problems, warnings) = check.result
    }

    /// Reads and checks the manifest at a path; see ``init(contentsOf:requiresOneGrid:)-(URL,_)``.
    ///
    /// - Throws: `ManifestError` if the file cannot be read as a table.
    public init(contentsOf path: String, requiresOneGrid: Bool = true) throws(ManifestError) {
        try self.init(contentsOf: URL(filePath: path), requiresOneGrid: requiresOneGrid)
    }

    /// A manifest of subjects, with the same checks as for a file.
    ///
    /// - Parameters:
    ///   - subjects: the subjects, in the order of their lines.
    ///   - file: the file of the manifest.
    ///   - requiresOneGrid: whether a target must be on its source's grid.
    public init(_ subjects: [Subject], file: URL, requiresOneGrid: Bool = true) {
        self.file = file
        var check = ManifestCheck(requiresOneGrid: requiresOneGrid)
        for (index, var subject) in subjects.enumerated() {
            // The first line is the header.
            subject.line = index + 2
            check.read(subject)
        }
        (self.subjects, problems, warnings) = check.result
    }

    /// A manifest of subjects, with the file at a path; see ``init(_:file:requiresOneGrid:)-(_,URL,_)``.
    public init(_ subjects: [Subject], file: String, requiresOneGrid: Bool = true) {
        self.init(subjects, file: URL(filePath: file), requiresOneGrid: requiresOneGrid)
    }

    /// Writes the manifest. The paths of files below its folder are relative, so that the folder can be moved; other
    /// paths are absolute.
    ///
    /// - Throws: `ManifestError` if there are problems; the system's error if the file cannot be written.
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
        try AtomicFile.write(Data(text.utf8), to: file)
    }

    /// Writes the manifest to the file at a path; see ``write(to:)-(URL)``.
    public func write(to path: String) throws { try write(to: URL(filePath: path)) }
}

extension Manifest {
    /// The use of a subject.
    public enum Split: String, CaseIterable, Sendable {
        /// For training.
        case train
        /// For validation during training.
        case validation
        /// Not used in training.
        case test
    }
}

extension Manifest.Split {
    /// The splits of a number of subjects by fractions: first those for training, then for validation, then for test.
    /// The order of the subjects should be random.
    ///
    /// Counts are rounded. Of three or more subjects, there is at least one in each split whose fraction is above zero.
    ///
    /// - Parameters:
    ///   - count: number of subjects.
    ///   - validation: fraction of subjects for validation, 0 to 1.
    ///   - test: fraction of subjects for test; at most 1 together with `validation`.
    public static func splits(count: Int, validation: Double = 0.1, test: Double = 0.1) -> [Manifest.Split] {
        precondition(validation >= 0 && test >= 0 && validation + test <= 1, "fractions must not exceed one")
        func number(_ fraction: Double) -> Int {
            max(Int((Double(count) * fraction).rounded()), count >= 3 && fraction > 0 ? 1 : 0)
        }
        var (validating, testing) = (number(validation), number(test))
        let training = count >= 3 && validation + test < 1 ? 1 : 0
        while validating + testing > count - training {
            if validating > testing { validating -= 1 } else { testing -= 1 }
        }
        return Array(repeating: .train, count: count - validating - testing)
            + Array(repeating: .validation, count: validating) + Array(repeating: .test, count: testing)
    }
}

/// All problems of a manifest.
public struct ManifestError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A problem of one line.
    public struct Problem: Equatable, Sendable {
        /// The line, from 1; 0 for the table as a whole.
        public let line: Int
        /// What was found, and what was expected.
        public let text: String

        init(_ line: Int, _ text: String) { (self.line, self.text) = (line, text) }
    }

    /// The file.
    public let file: String

    /// The problems, by line.
    public let problems: [Problem]

    /// The problems, a line each, with the file and the line number.
    public var description: String {
        problems.map { $0.line > 0 ? "\(file):\($0.line): \($0.text)" : "\(file): \($0.text)" }
            .joined(separator: "\n")
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

/// The columns of a table.
private struct Columns {
    static let needed = ["subject", "split", "source", "target"]
    static let known = needed + ["mask"]
    static let example = known.joined(separator: ",")

    let names: [String]

    init(_ header: CommaSeparatedTable.Record, file: String) throws(ManifestError) {
        names = header.fields.map { $0.trimmed.lowercased() }
        var problems: [ManifestError.Problem] = []
        for name in Self.needed where !names.contains(name) {
            problems.append(
                .init(header.line, "there is no column '\(name)'; expected a first line \(Self.example)"))
        }
        for (index, name) in names.enumerated()
        where Self.known.contains(name) && names[..<index].contains(name) {
            problems.append(.init(header.line, "duplicate column '\(name)'"))
        }
        guard problems.isEmpty else { throw ManifestError(file: file, problems: problems) }
    }

    /// The names of the columns that are not read, as a warning.
    var ignored: String? {
        let others = names.filter { !Self.known.contains($0) }
        guard !others.isEmpty else { return nil }
        let texts = others.filter { !$0.isEmpty }.map { "'\($0)'" }
        let nameless = others.count - texts.count
        let all = texts + (nameless > 0 ? ["\(nameless) without a name"] : [])
        return "ignored columns: \(all.joined(separator: ", ")); read are \(Self.example)"
    }

    func field(_ name: String, of record: CommaSeparatedTable.Record) -> String? {
        guard let index = names.firstIndex(of: name), index < record.fields.count else { return nil }
        let text = record.fields[index].trimmed
        return text.isEmpty ? nil : text
    }
}

/// Checks subjects one after another.
private struct ManifestCheck {
    private let requiresOneGrid: Bool
    private var subjects: [Manifest.Subject] = []
    private var problems: [ManifestError.Problem] = []
    private var warnings: [ManifestError.Problem] = []
    /// The line of each name, in lower case: file systems may ignore case.
    private var lines: [String: Int] = [:]
    /// The line and the split in which each file occurs first.
    private var firstUses: [String: (line: Int, split: Manifest.Split)] = [:]

    init(requiresOneGrid: Bool) { self.requiresOneGrid = requiresOneGrid }

    /// The valid subjects, the problems of the others, and warnings.
    var result: ([Manifest.Subject], [ManifestError.Problem], [ManifestError.Problem]) {
        (subjects, subjects.isEmpty && problems.isEmpty ? [.init(0, "has no subjects")] : problems, warnings)
    }

    mutating func warn(_ line: Int, _ text: String) { warnings.append(.init(line, text)) }

    mutating func read(_ record: CommaSeparatedTable.Record, columns: Columns, folder: URL) {
        let before = problems.count
        let fields = (record.fields.lastIndex { !$0.trimmed.isEmpty } ?? -1) + 1
        if fields > columns.names.count {
            problem(record.line, "found \(fields) fields; expected \(columns.names.count)")
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
                files[column] = existingFile(path, in: folder)
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
        append(subject)
    }

    mutating func read(_ subject: Manifest.Subject) {
        let before = problems.count
        check(subject.name, subject.line)
        var files = ["source": subject.source, "target": subject.target]
        files["mask"] = subject.mask
        check(files, subject.line)
        if problems.count == before { append(subject) }
    }

    /// Takes a valid subject, and warns of files that are used twice in a way that is hardly meant.
    private mutating func append(_ subject: Manifest.Subject) {
        let (source, target) = (
            subject.source.resolvingSymlinksInPath(), subject.target.resolvingSymlinksInPath()
        )
        if source == target {
            warn(subject.line, "source and target are the same file, \(subject.source.path)")
        }
        for file in source == target ? [source] : [source, target] {
            let first = firstUses[file.path] ?? (subject.line, subject.split)
            firstUses[file.path] = first
            if first.split != subject.split {
                warn(
                    subject.line,
                    "\(file.path) is in the split \(subject.split.rawValue), and in \(first.split.rawValue) on "
                        + "line \(first.line): the splits are not independent")
            }
        }
        subjects.append(subject)
    }

    private mutating func problem(_ line: Int, _ text: String) { problems.append(.init(line, text)) }

    private mutating func check(_ name: String, _ line: Int) {
        if !Self.canBeFileName(name) {
            problem(
                line,
                "subject '\(name)' is not a file name; expected letters, digits, '.', '_' and '-', no '.' first"
            )
        }
        if let first = lines.updateValue(line, forKey: name.lowercased()) {
            problem(line, "duplicate subject '\(name)', also on line \(first)")
        }
    }

    private mutating func check(_ files: [String: URL], _ line: Int) {
        var headers: [String: NIfTIHeader] = [:]
        for column in ["source", "target", "mask"] {
            guard let file = files[column] else { continue }
            do {
                let header = try NIfTIHeader(contentsOf: file)
                headers[column] = header
                for warning in header.warnings { warn(line, "\(column) \(file.path): \(warning)") }
            } catch { problem(line, "\(column) \(error.explanation)") }
        }
        guard let source = headers["source"] else { return }
        for column in ["target", "mask"] {
            guard column == "mask" || requiresOneGrid, let header = headers[column],
                !header.grid.matches(source.grid)
            else { continue }
            problem(
                line,
                "the \(column) is not on the source's grid: \(header.grid.difference(from: source.grid)); resample it "
                    + "onto the source's grid first"
                    + (column == "mask" ? "" : ", or align the pairs (--align)"))
        }
    }

    /// The file at a path, relative to a folder. If there is none, the one whose name is written with the same
    /// characters in the other Unicode form: `ü` as one code point or as two.
    private func existingFile(_ path: String, in folder: URL) -> URL {
        let forms = [
            path, path.precomposedStringWithCanonicalMapping, path.decomposedStringWithCanonicalMapping,
        ].map { URL(filePath: $0, relativeTo: folder).standardizedFileURL.absoluteURL }
        return forms.first { FileManager.default.fileExists(atPath: $0.path) } ?? forms[0]
    }

    private static func canBeFileName(_ name: String) -> Bool {
        name.count <= 200 && name.first != "."
            && name.allSatisfy { $0.isLetter || $0.isNumber || "._-".contains($0) }
    }
}
