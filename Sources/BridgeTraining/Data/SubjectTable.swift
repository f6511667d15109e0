import Foundation
import VolumeIO
import Volumes
import VoxelSupport

/// A table of subjects: a name, a split and files by column on each line. It is read and checked without reading voxels:
/// columns, splits, names, files, grids. All problems are collected.
package struct SubjectTable {
    /// A valid line.
    package struct Row {
        /// From 1.
        package let line: Int
        package let name: String
        package let split: Manifest.Split
        /// The volumes, and the mask if there is one.
        package let files: [String: URL]

        package init(line: Int, name: String, split: Manifest.Split, files: [String: URL]) {
            (self.line, self.name, self.split, self.files) = (line, name, split, files)
        }
    }

    /// What columns a table has beside subject, split and mask.
    package struct Columns {
        /// The columns of volumes, each of which must be filled; nil for all others that the table has, of which each line
        /// fills at least one.
        package let volumes: [String]?
        /// What to do about a volume on another grid, beside resampling it.
        package let gridAdvice: String?
        /// Whether all volumes of a subject must be on one grid. A mask always must.
        package let requiresOneGrid: Bool

        package init(volumes: [String]?, gridAdvice: String? = nil, requiresOneGrid: Bool = true) {
            (self.volumes, self.gridAdvice, self.requiresOneGrid) = (volumes, gridAdvice, requiresOneGrid)
        }
    }

    /// The column of the mask.
    package static let mask = "mask"

    /// The valid lines.
    package private(set) var rows: [Row] = []
    package private(set) var problems: [ManifestError.Problem] = []
    package private(set) var warnings: [ManifestError.Problem] = []
    /// The columns of volumes, in their order.
    package let volumes: [String]

    private let columns: Columns
    /// The line of each name, in lower case: file systems may ignore case.
    private var lines: [String: Int] = [:]
    /// The line and the split in which each file occurs first.
    private var firstUses: [String: (line: Int, split: Manifest.Split)] = [:]

    /// Reads and checks a table.
    ///
    /// - Throws: `ManifestError` if the file cannot be read as a table with these columns.
    package init(contentsOf file: URL, columns: Columns) throws(ManifestError) {
        let read: (text: String, note: String?)
        do { read = try CommaSeparatedTable.text(contentsOf: file) } catch {
            throw ManifestError(
                file: file.path, problems: [.init(0, "cannot be read: \(error.explanation)")])
        }
        let table = CommaSeparatedTable(
            read.text, columns: Header.leading + (columns.volumes ?? []) + [Self.mask])
        guard let first = table.records.first else {
            throw ManifestError(
                file: file.path,
                problems: [.init(0, "is empty; expected a first line \(Header.example(columns.volumes))")])
        }
        let header = try Header(first, volumes: columns.volumes, file: file.path)
        (self.columns, volumes) = (columns, header.volumes)
        if let note = read.note { warn(0, note) }
        if let ignored = header.ignored { warn(first.line, ignored) }
        if let comment = table.comments.first { warn(comment, "lines that begin with '#' are ignored") }
        for record in table.records.dropFirst() {
            self.read(record, header: header, folder: file.deletingLastPathComponent())
        }
        checkCount()
    }

    /// Checks rows.
    package init(_ rows: [Row], columns: Columns) {
        self.columns = columns
        volumes = columns.volumes ?? Set(rows.flatMap(\.files.keys)).subtracting([Self.mask]).sorted()
        for row in rows {
            let before = problems.count
            check(row.name, row.line)
            check(row.files, row.line)
            if problems.count == before { append(row) }
        }
        checkCount()
    }

    /// Writes a table. The paths of files below its folder are relative, so that the folder can be moved; other paths are
    /// absolute.
    package static func write(_ rows: [Row], volumes: [String], to file: URL) throws {
        func components(_ url: URL) -> [String] { url.absoluteURL.standardizedFileURL.pathComponents }
        let folder = components(file).dropLast()
        func path(_ url: URL) -> String {
            let path = components(url)
            return path.starts(with: folder)
                ? path.dropFirst(folder.count).joined(separator: "/") : url.absoluteURL.path
        }
        let texts = rows.map { row in
            [row.name, row.split.rawValue] + (volumes + [mask]).map { row.files[$0].map(path) ?? "" }
        }
        let header = Header.leading + volumes + [mask]
        let text = ([header] + texts).map {
            $0.map(\.commaSeparatedField).joined(separator: ",") + "\n"
        }
        try AtomicFile.write(Data(text.joined().utf8), to: file)
    }

    private mutating func checkCount() {
        if rows.isEmpty, problems.isEmpty { problem(0, "has no subjects") }
    }

    private mutating func warn(_ line: Int, _ text: String) { warnings.append(.init(line, text)) }

    private mutating func problem(_ line: Int, _ text: String) { problems.append(.init(line, text)) }

    private mutating func read(_ record: CommaSeparatedTable.Record, header: Header, folder: URL) {
        let before = problems.count
        let fields = (record.fields.lastIndex { !$0.trimmed.isEmpty } ?? -1) + 1
        if fields > header.names.count {
            problem(record.line, "found \(fields) fields; expected \(header.names.count)")
        }
        let name = header.field("subject", of: record)
        if let name { check(name, record.line) } else { problem(record.line, "there is no subject") }
        let split = header.field("split", of: record).flatMap(Manifest.Split.init(rawValue:))
        if split == nil {
            let known = Manifest.Split.allCases.map(\.rawValue).joined(separator: ", ")
            problem(
                record.line,
                "unknown split '\(header.field("split", of: record) ?? "")'; expected one of \(known)")
        }
        var files: [String: URL] = [:]
        for column in volumes + [Self.mask] {
            if let path = header.field(column, of: record) {
                files[column] = existingFile(path, in: folder)
            } else if columns.volumes != nil, column != Self.mask {
                problem(record.line, "there is no \(column)")
            }
        }
        if columns.volumes == nil, files.keys.allSatisfy({ $0 == Self.mask }) {
            problem(record.line, "there is no volume; expected one of \(volumes.joined(separator: ", "))")
        }
        check(files, record.line)
        guard problems.count == before, let name, let split else { return }
        append(Row(line: record.line, name: name, split: split, files: files))
    }

    /// Takes a valid row, and warns of files that are used twice in a way that is probably a mistake.
    private mutating func append(_ row: Row) {
        var files: [(column: String, file: URL)] = []
        for column in volumes {
            guard let file = row.files[column]?.resolvingSymlinksInPath() else { continue }
            if let first = files.first(where: { $0.file == file }) {
                warn(
                    row.line,
                    "\(first.column) and \(column) are the same file, \(row.files[first.column]!.path)")
            } else {
                files.append((column, file))
            }
        }
        for (_, file) in files {
            let first = firstUses[file.path] ?? (row.line, row.split)
            firstUses[file.path] = first
            if first.split != row.split {
                warn(
                    row.line,
                    "\(file.path) is in the split \(row.split.rawValue), and in \(first.split.rawValue) on "
                        + "line \(first.line): the splits are not independent")
            }
        }
        rows.append(row)
    }

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
        var headers: [(column: String, header: NIfTIHeader)] = []
        for column in volumes + [Self.mask] {
            guard let file = files[column] else { continue }
            do {
                let header = try NIfTIHeader(contentsOf: file)
                headers.append((column, header))
                for warning in header.warnings { warn(line, "\(column) \(file.path): \(warning)") }
            } catch { problem(line, "\(column) \(error.explanation)") }
        }
        // The first of the columns; a source that cannot be read is a problem already.
        guard let (first, reference) = headers.first, columns.volumes == nil || first == volumes[0] else {
            return
        }
        for (column, header) in headers.dropFirst()
        where (column == Self.mask || columns.requiresOneGrid) && !header.grid.matches(reference.grid) {
            let advice = column == Self.mask ? nil : columns.gridAdvice
            problem(
                line,
                "the \(column) is not on the \(first)'s grid: \(header.grid.difference(from: reference.grid)); resample "
                    + "it onto the \(first)'s grid first" + (advice.map { ", \($0)" } ?? ""))
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

/// The first line of a table.
private struct Header {
    static let leading = ["subject", "split"]

    let names: [String]
    /// The columns of volumes.
    let volumes: [String]
    private let takesAll: Bool

    static func example(_ volumes: [String]?) -> String {
        (leading + (volumes ?? ["t1", "t2", "flair"]) + [SubjectTable.mask]).joined(separator: ",")
    }

    init(_ header: CommaSeparatedTable.Record, volumes known: [String]?, file: String) throws(ManifestError) {
        names = header.fields.map { $0.trimmed.lowercased() }
        takesAll = known == nil
        let others = Self.leading + [SubjectTable.mask]
        volumes = known ?? names.filter { !$0.isEmpty && !others.contains($0) }
        var problems: [ManifestError.Problem] = []
        for name in Self.leading + (known ?? []) where !names.contains(name) {
            problems.append(
                .init(
                    header.line, "there is no column '\(name)'; expected a first line \(Self.example(known))"))
        }
        if volumes.isEmpty {
            problems.append(
                .init(
                    header.line, "there is no column of volumes; expected a first line \(Self.example(known))"))
        }
        for (index, name) in names.enumerated()
        where (others + volumes).contains(name) && names[..<index].contains(name) {
            problems.append(.init(header.line, "duplicate column '\(name)'"))
        }
        guard problems.isEmpty else { throw ManifestError(file: file, problems: problems) }
    }

    /// The names of the columns that are not read, as a warning.
    var ignored: String? {
        let read = Self.leading + volumes + [SubjectTable.mask]
        let others = names.filter { !read.contains($0) }
        // The column after a last separator.
        guard !others.isEmpty, !(takesAll && names.last == "" && others == [""]) else { return nil }
        let texts = others.filter { !$0.isEmpty }.map { "'\($0)'" }
        let nameless = others.count - texts.count
        let all = texts + (nameless > 0 ? ["\(nameless) without a name"] : [])
        return "ignored columns: \(all.joined(separator: ", ")); read are \(read.joined(separator: ","))"
    }

    func field(_ name: String, of record: CommaSeparatedTable.Record) -> String? {
        guard let index = names.firstIndex(of: name), index < record.fields.count else { return nil }
        let text = record.fields[index].trimmed
        return text.isEmpty ? nil : text
    }
}
