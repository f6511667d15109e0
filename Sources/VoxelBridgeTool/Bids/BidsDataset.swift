import Foundation
import VoxelSupport

/// A folder in the Brain Imaging Data Structure (https://bids-specification.readthedocs.io).
struct BidsDataset: Sendable {
    /// A volume of a subject.
    struct File: Hashable, Sendable {
        let name: BidsName
        /// Its path in the data set, such as `sub-01/anat/sub-01_T1w.nii.gz`.
        let path: String

        /// The kind of data, which is the name of its folder: `anat`.
        var datatype: String { URL(filePath: path).deletingLastPathComponent().lastPathComponent }

        var subject: String { name["sub"] ?? "" }

        /// The subject and, if there is one, the session: `sub-01, ses-2`.
        var visit: [String?] { [name["sub"], name["ses"]] }
    }

    let folder: URL
    /// The fields of `dataset_description.json`; none if there is no such file.
    let description: [String: JSONValue]

    static let descriptionFile = "dataset_description.json"

    /// A data set.
    ///
    /// - Parameter isChecked: whether it must have a description with a name and a version.
    init(_ path: String, isChecked: Bool = true) throws {
        folder = URL(filePath: path, directoryHint: .isDirectory).standardizedFileURL
        guard isFolder(folder) else {
            throw FileFailure(path: path, reason: "there is no such folder; give a folder in BIDS form")
        }
        let file = folder.appending(path: Self.descriptionFile)
        guard FileManager.default.fileExists(atPath: file.path) || isChecked else {
            description = [:]
            return
        }
        let remedy = "; see https://bids.neuroimaging.io, or skip this check with --skip-bids-validation"
        do {
            let json = try JSONValue(contentsOf: file)
            guard case .object(let fields) = json else {
                throw JSONFieldError(field: "", found: "\(json)", expected: "an object")
            }
            for field in ["Name", "BIDSVersion"] where isChecked {
                guard case .string? = fields[field] else {
                    throw JSONFieldError(
                        field: field, found: fields[field].map { "\($0)" } ?? "nothing", expected: "a text")
                }
            }
            description = fields
        } catch {
            guard !isChecked else { throw FileFailure(path: file.path, reason: "\(error)\(remedy)") }
            description = [:]
        }
    }

    func url(_ path: String) -> URL { folder.appending(path: path) }

    /// The labels of all subjects, sorted.
    var subjects: [String] { get throws { try labels("sub-", in: folder) } }

    /// The volumes of a subject, sorted by path.
    func volumes(of subject: String) throws -> [File] {
        try files(of: subject).filter { [".nii", ".nii.gz"].contains($0.name.fileExtension) }
    }

    /// All files of a subject with names of its own, sorted by path.
    func files(of subject: String) throws -> [File] {
        let root = "sub-\(subject)"
        let visits = [root] + (try labels("ses-", in: url(root))).map { "\(root)/ses-\($0)" }
        return try visits.flatMap { visit in
            try entries(of: visit).filter { !$0.hasPrefix("ses-") && isFolder(url("\(visit)/\($0)")) }.flatMap {
                datatype in
                try entries(of: "\(visit)/\(datatype)").compactMap { file in
                    guard let name = BidsName(file), name.folder == visit else { return nil }
                    return File(name: name, path: "\(visit)/\(datatype)/\(file)")
                }
            }
        }
    }

    /// The metadata of a volume: the fields of its sidecar, and those that it inherits from the folders above.
    ///
    /// A sidecar belongs to all volumes below its folder with its suffix and at least its entities. Fields nearer to the
    /// volume override those farther away.
    func metadata(of file: File) throws -> [String: JSONValue] {
        var metadata: [String: JSONValue] = [:]
        var folder = ""
        for component in [""] + file.path.split(separator: "/").dropLast().map(String.init) {
            folder += folder.isEmpty ? component : "/\(component)"
            let names = try entries(of: folder).compactMap { BidsName($0) }.filter { name in
                name.fileExtension == ".json" && name.suffix == file.name.suffix
                    && name.entities.allSatisfy { file.name[$0.key] == $0.label }
            }
            for name in names.sorted(by: { $0.entities.count < $1.entities.count }) {
                let sidecar = url("\(folder)/\(name.file)")
                let json = try naming(sidecar.path) { try JSONValue(contentsOf: sidecar) }
                guard case .object(let fields) = json else {
                    throw FileFailure(path: sidecar.path, reason: "found \(json); expected an object")
                }
                metadata.merge(fields) { $1 }
            }
        }
        return metadata
    }

    private func labels(_ prefix: String, in folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            .filter { $0.hasPrefix(prefix) && isFolder(folder.appending(path: $0)) }
            .map { String($0.dropFirst(prefix.count)) }.filter(\.isBidsLabel)
    }

    private func entries(of path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: url(path).path).sorted()
            .filter { !$0.hasPrefix(".") }
    }
}

extension URL {
    /// The path from a folder to this file or folder, such as `../..`.
    func relativePath(from folder: URL) -> String {
        let own = standardizedFileURL.resolvingSymlinksInPath().pathComponents
        let other = folder.standardizedFileURL.resolvingSymlinksInPath().pathComponents
        let common = zip(own, other).prefix { $0 == $1 }.count
        let steps = [String](repeating: "..", count: other.count - common) + own[common...]
        return steps.isEmpty ? "." : steps.joined(separator: "/")
    }
}
