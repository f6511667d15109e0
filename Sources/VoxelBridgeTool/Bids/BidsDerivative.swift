import Foundation
import VoxelBridge
import VoxelSupport

/// The data set that `voxelbridge bids` writes.
struct BidsDerivative: Sendable {
    let folder: URL

    /// The source's name in BIDS URIs (`bids:source:sub-01/...`), and that of the masks.
    static let sourceLink = "source"
    static let masksLink = "masks"

    /// The field of sidecars with what decided the result.
    static let provenanceField = "VoxelBridge"

    private static let program = "VoxelBridge"
    private static let scratch = ".voxelbridge"

    /// - Throws: an error if the folder is the source's, or a data set that another program made.
    init(_ path: String, source: BidsDataset) throws {
        folder = URL(filePath: path, directoryHint: .isDirectory).standardizedFileURL
        try require(
            folder.resolvingSymlinksInPath() != source.folder.resolvingSymlinksInPath(),
            "the output is the data set itself; give a folder of its own, such as "
                + "\(source.folder.appending(path: "derivatives/voxelbridge").path)")
        if FileManager.default.fileExists(atPath: folder.path) {
            try require(
                isFolder(folder), "the output, \(path), exists and is not a folder; choose another name")
        }
        guard let known = try existingDescription() else { return }
        let programs: [String?] =
            if case .array(let programs)? = known["GeneratedBy"] {
                programs.map { if case .string(let name)? = $0["Name"] { name } else { nil } }
            } else { [] }
        try require(
            programs.contains(Self.program),
            "the output, \(path), is a data set that \(programs.compactMap(\.self).first ?? "another program") made; "
                + "give a folder of its own, such as \(folder.appending(path: "derivatives/voxelbridge").path)")
    }

    func url(_ path: String) -> URL { folder.appending(path: path) }

    /// The folder of a result in the making, on the same file system as the results.
    func scratch(for result: BidsResult) -> URL { url("\(Self.scratch)/\(result.name.stem)") }

    // MARK: The description

    /// Creates the folder with its description. Fields of an earlier one that are not the program's stay.
    func open(source: BidsDataset, masks: BidsDataset?) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var links: [String: JSONValue] = [Self.sourceLink: .string(source.folder.relativePath(from: folder))]
        if let masks { links[Self.masksLink] = .string(masks.folder.relativePath(from: folder)) }
        let name: String =
            if case .string(let name)? = source.description["Name"] { name } else { "a data set" }
        var fields =
            try existingDescription() ?? [
                "Name": .string("\(name), translated by VoxelBridge"), "BIDSVersion": .string("1.10.0"),
            ]
        if case .object(let others)? = fields["DatasetLinks"] { links.merge(others) { own, _ in own } }
        fields["DatasetType"] = .string("derivative")
        fields["DatasetLinks"] = .object(links)
        fields["GeneratedBy"] = .array([
            .object([
                "Name": .string(Self.program), "Version": .string(VoxelBridge.configuration.version),
                "CodeURL": .string("https://github.com/voxelbridge/VoxelBridge"),
            ])
        ])
        if let doi = source.description["DatasetDOI"] {
            fields["SourceDatasets"] = .array([.object(["DOI": doi])])
        }
        try replace(BidsDataset.descriptionFile, with: try fields.sortedJSON(prettyPrinted: true))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        guard !names.contains(where: { $0.hasPrefix("README") }) else { return }
        try replace("README.md", with: Data(Self.readme.utf8))
    }

    private static let readme = """
        Volumes in this data set are synthetic: VoxelBridge translated them from volumes of another modality or scanner.
        They are not a diagnosis. The field `Sources` of each sidecar names what a volume was made from, and the field
        `VoxelBridge` how: the model, the style, every setting, and fingerprints of all files.

        """

    private func existingDescription() throws -> [String: JSONValue]? {
        let file = url(BidsDataset.descriptionFile)
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        let json = try naming(file.path) { try JSONValue(contentsOf: file) }
        guard case .object(let fields) = json else {
            throw FileFailure(path: file.path, reason: "found \(json); expected an object")
        }
        return fields
    }

    /// Replaces a file whose contents differ.
    func replace(_ path: String, with data: Data) throws {
        let file = url(path)
        guard (try? Data(contentsOf: file)) != data else { return }
        try AtomicFile.write(data, to: file)
    }

    // MARK: Results

    /// Where a result stands.
    enum Status: Equatable {
        case done, missing
        /// The fields that differ from those that it was made with.
        case outdated([String])
    }

    /// Compares a result with what would be made.
    ///
    /// - Parameter sidecar: what would be written beside it, without the fingerprint of the result.
    func status(of result: BidsResult, sidecar: [String: JSONValue]) throws -> Status {
        let (file, json) = (url(result.path), url(result.sidecarPath))
        guard FileManager.default.fileExists(atPath: file.path),
            case .object(var found)? = try? JSONValue(contentsOf: json)
        else { return .missing }
        let made = found[Self.provenanceField]?["Result"]
        guard case .object(var provenance)? = found.removeValue(forKey: Self.provenanceField),
            case .object(var expected) = try JSONValue(encoding: sidecar),
            case .object(let others)? = expected.removeValue(forKey: Self.provenanceField)
        else { return .outdated(["sidecar"]) }
        provenance["Result"] = nil
        func differences(_ a: [String: JSONValue], _ b: [String: JSONValue]) -> [String] {
            Set(a.keys).union(b.keys).filter { a[$0] != b[$0] }.sorted()
        }
        var fields = differences(provenance, others) + differences(found, expected)
        if fields.isEmpty, made != .string(try Fingerprint(contentsOf: file).text) { fields = ["Result"] }
        return fields.isEmpty ? .done : .outdated(fields)
    }

    /// Moves a result and its sidecar to their places.
    ///
    /// The old sidecar goes first: whenever the process ends, a sidecar belongs to the result beside it.
    func publish(_ volume: URL, sidecar: [String: JSONValue], as result: BidsResult) throws {
        var sidecar = sidecar
        if case .object(var provenance)? = sidecar[Self.provenanceField] {
            provenance["Result"] = .string(try Fingerprint(contentsOf: volume).text)
            sidecar[Self.provenanceField] = .object(provenance)
        }
        let (file, json) = (url(result.path), url(result.sidecarPath))
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        let draft = volume.deletingLastPathComponent().appending(path: "sidecar.json")
        try AtomicFile.write(try sidecar.sortedJSON(prettyPrinted: true), to: draft)
        if FileManager.default.fileExists(atPath: json.path) { try FileManager.default.removeItem(at: json) }
        for (from, to) in [(volume, file), (draft, json)] {
            guard rename(from.path, to.path) == 0 else {
                throw FileFailure(path: to.path, reason: "\(SystemError.current)")
            }
        }
    }

    /// All results of this program, with their sidecars.
    var results: [(path: String, name: BidsName, sidecar: JSONValue)] {
        get throws {
            guard isFolder(folder) else { return [] }
            let dataset = try BidsDataset(folder.path, isChecked: false)
            return try dataset.subjects.flatMap { subject in
                try dataset.files(of: subject).compactMap { file in
                    guard file.name.fileExtension == ".json",
                        let sidecar = try? JSONValue(contentsOf: url(file.path)),
                        sidecar[Self.provenanceField] != nil
                    else { return nil }
                    return (String(file.path.dropLast(5)) + ".nii.gz", file.name, sidecar)
                }
            }
        }
    }
}

/// A volume to make from a source.
struct BidsResult: Hashable, Sendable {
    let source: BidsDataset.File
    /// The target of a latent model; empty for a model of slices.
    let target: String
    let name: BidsName
    /// Its path in the derivative data set.
    let path: String

    /// A result.
    ///
    /// The name keeps those of the source's entities that volumes of the result's kind may have.
    init(of source: BidsDataset.File, target: String, suffix: String, label: String) {
        var name = source.name.keeping { Self.kept.contains($0.key) }.describing(label)
        (name.suffix, name.fileExtension) = (suffix, ".nii.gz")
        (self.source, self.target, self.name) = (source, target, name)
        path = "\(name.folder)/\(Self.datatype(of: suffix) ?? source.datatype)/\(name.file)"
    }

    var sidecarPath: String { String(path.dropLast(".nii.gz".count)) + ".json" }

    private static let kept: Set = ["sub", "ses", "task", "acq", "ce", "rec", "run", "chunk", "space", "res"]

    /// The suffixes of MRI in the folder `anat`.
    private static let anatomical: Set = [
        "T1w", "T2w", "PDw", "T2starw", "FLAIR", "inplaneT1", "inplaneT2", "PDT2", "angio", "T2star", "FLASH",
        "T1map", "T2map", "T2starmap", "R1map", "R2map", "R2starmap", "PDmap", "MTRmap", "MTsat", "UNIT1",
        "MTVmap",
        "Chimap", "TB1map", "RB1map", "S0map", "M0map",
    ]

    /// The folder of a kind of volume; nil if the suffix is not known.
    static func datatype(of suffix: String) -> String? {
        switch suffix {
        case "ct", "pet": suffix
        case "CT": "ct"
        default: anatomical.contains(suffix) ? "anat" : nil
        }
    }

    /// The suffix of a modality by a name that models give it; nil if the name is not known.
    static func suffix(ofModality name: String) -> String? {
        let plain = name.lowercased().filter { $0.isLetter || $0.isNumber }
        let known = [
            "t1": "T1w", "t1w": "T1w", "t2": "T2w", "t2w": "T2w", "flair": "FLAIR", "pd": "PDw", "pdw": "PDw",
            "t2star": "T2starw", "ct": "ct", "pet": "pet",
        ]
        return known[plain]
    }
}

/// A folder for a result in the making, which one process has until the instance is released.
final class ScratchFolder: Sendable {
    let folder: URL
    /// On a file that goes with the folder.
    private let lock: FileLock

    /// Creates and locks a folder.
    ///
    /// - Returns: nil if another process has it.
    init?(_ folder: URL) throws {
        while true {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            do {
                lock = try FileLock(folder.appending(path: Self.lockFile))
                self.folder = folder
                return
            } catch  where error.code == EWOULDBLOCK {
                return nil
            } catch  where error.code == ENOENT {
                // Its owner has just removed the folder.
                continue
            } catch {
                throw FileFailure(path: folder.path, reason: "\(error)")
            }
        }
    }

    private static let lockFile = "lock"

    /// Removes all files but some.
    func clean(except kept: String) throws {
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path)
        where file != kept && file != Self.lockFile {
            try FileManager.default.removeItem(at: folder.appending(path: file))
        }
    }

    /// Removes the folder, and the one above if it is empty then.
    func remove() {
        try? FileManager.default.removeItem(at: folder)
        rmdir(folder.deletingLastPathComponent().path)
    }
}
