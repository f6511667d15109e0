import BridgeTraining
public import Foundation

/// A table of subjects with volumes of any modalities, and their splits.
///
/// ```
/// subject,split,t1,t2,flair,pd,mask
/// anna,train,anna/t1.nii.gz,anna/t2.nii.gz,anna/flair.nii.gz,,
/// ben,validation,ben/t1.nii.gz,,ben/flair.nii.gz,ben/pd.nii.gz,ben/brain.nii.gz
/// ```
///
/// It is a comma-separated file as `Manifest` is. Every column other than `subject`, `split` and `mask` is a modality; a
/// field is empty where a subject has no volume of it. The volumes of a subject are on one grid, with background at 0 or
/// below; voxels that are zero in the mask become background in all of them.
public struct ModalityManifest: Sendable {
    /// A subject: one line of the table.
    public struct Subject: Equatable, Sendable {
        /// The line in the file, from 1; 0 if the subject is not in a manifest.
        public internal(set) var line = 0
        /// The unique name.
        public let name: String
        /// The split.
        public let split: Manifest.Split
        /// The volumes by modality, at least one.
        public let volumes: [String: URL]
        /// A volume that is above zero in the foreground of all; `nil` for no mask.
        public let mask: URL?

        /// A subject.
        public init(name: String, split: Manifest.Split, volumes: [String: URL], mask: URL? = nil) {
            (self.name, self.split, self.volumes, self.mask) = (name, split, volumes, mask)
        }
    }

    /// The file, for errors.
    public let file: URL

    /// The modalities, in the order of their columns, in lower case.
    public let modalities: [String]

    /// The subjects on valid lines.
    public let subjects: [Subject]

    /// The problems of other lines and of the table as a whole.
    public let problems: [ManifestError.Problem]

    /// What was ignored, what volumes' headers leave open, and what may be a mistake, by line.
    public let warnings: [ManifestError.Problem]

    /// Reads a manifest and checks what can be checked without reading voxels: columns, splits, names, files, grids.
    /// Problems are collected in `problems`.
    ///
    /// - Throws: `ManifestError` if the file cannot be read as a table.
    public init(contentsOf file: URL) throws(ManifestError) {
        self.init(
            try SubjectTable(contentsOf: file, columns: SubjectTable.Columns(volumes: nil)), file: file)
    }

    /// Reads and checks the manifest at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: `ManifestError` if the file cannot be read as a table.
    public init(contentsOf path: String) throws(ManifestError) {
        try self.init(contentsOf: URL(filePath: path))
    }

    /// A manifest of subjects, with the same checks as for a file.
    ///
    /// - Parameters:
    ///   - subjects: the subjects, in the order of their lines.
    ///   - file: the file of the manifest.
    public init(_ subjects: [Subject], file: URL) {
        // The first line is the header.
        let rows = subjects.enumerated().map { SubjectTable.Row($1, line: $0 + 2) }
        self.init(SubjectTable(rows, columns: SubjectTable.Columns(volumes: nil)), file: file)
    }

    private init(_ table: SubjectTable, file: URL) {
        self.file = file
        modalities = table.volumes
        subjects = table.rows.map { row in
            var subject = Subject(
                name: row.name, split: row.split,
                volumes: row.files.filter { $0.key != SubjectTable.mask }, mask: row.files[SubjectTable.mask])
            subject.line = row.line
            return subject
        }
        (problems, warnings) = (table.problems, table.warnings)
    }

    /// Writes the manifest. The paths of files below its folder are relative, so that the folder can be moved; other
    /// paths are absolute.
    ///
    /// - Throws: `ManifestError` if there are problems; the system's error if the file cannot be written.
    public func write(to file: URL) throws {
        guard problems.isEmpty else { throw ManifestError(file: self.file.path, problems: problems) }
        try SubjectTable.write(
            subjects.map { SubjectTable.Row($0, line: $0.line) }, volumes: modalities, to: file)
    }

    /// Writes the manifest to the file at a path; see ``write(to:)-(URL)``.
    public func write(to path: String) throws { try write(to: URL(filePath: path)) }
}

extension SubjectTable.Row {
    fileprivate init(_ subject: ModalityManifest.Subject, line: Int) {
        var files = subject.volumes
        files[SubjectTable.mask] = subject.mask
        self.init(line: line, name: subject.name, split: subject.split, files: files)
    }
}
