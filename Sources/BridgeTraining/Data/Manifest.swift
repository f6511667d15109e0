public import Foundation

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
        let table = try SubjectTable(contentsOf: file, columns: Self.columns(requiresOneGrid: requiresOneGrid))
        subjects = table.rows.compactMap(Subject.init)
        (problems, warnings) = (table.problems, table.warnings)
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
        // The first line is the header.
        let table = SubjectTable(
            subjects.enumerated().map { SubjectTable.Row($1, line: $0 + 2) },
            columns: Self.columns(requiresOneGrid: requiresOneGrid))
        self.subjects = table.rows.compactMap(Subject.init)
        (problems, warnings) = (table.problems, table.warnings)
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
        try SubjectTable.write(
            subjects.map { SubjectTable.Row($0, line: $0.line) }, volumes: ["source", "target"], to: file)
    }

    /// Writes the manifest to the file at a path; see ``write(to:)-(URL)``.
    public func write(to path: String) throws { try write(to: URL(filePath: path)) }

    private static func columns(requiresOneGrid: Bool) -> SubjectTable.Columns {
        SubjectTable.Columns(
            volumes: ["source", "target"],
            gridAdvice: requiresOneGrid ? "or align the pairs (--align)" : nil, requiresOneGrid: requiresOneGrid
        )
    }
}

extension Manifest.Subject {
    fileprivate init?(_ row: SubjectTable.Row) {
        guard let source = row.files["source"], let target = row.files["target"] else { return nil }
        self.init(
            name: row.name, split: row.split, source: source, target: target,
            mask: row.files[SubjectTable.mask])
        line = row.line
    }
}

extension SubjectTable.Row {
    fileprivate init(_ subject: Manifest.Subject, line: Int) {
        var files = ["source": subject.source, "target": subject.target]
        files[SubjectTable.mask] = subject.mask
        self.init(line: line, name: subject.name, split: subject.split, files: files)
    }
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

        package init(_ line: Int, _ text: String) { (self.line, self.text) = (line, text) }
    }

    /// The file.
    public let file: String

    /// The problems, by line.
    public let problems: [Problem]

    package init(file: String, problems: [Problem]) { (self.file, self.problems) = (file, problems) }

    /// The problems, a line each, with the file and the line number.
    public var description: String {
        problems.map { $0.line > 0 ? "\(file):\($0.line): \($0.text)" : "\(file): \($0.text)" }
            .joined(separator: "\n")
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
