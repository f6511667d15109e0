import BridgeTraining
public import Foundation
import LatentTranslation
import Synchronization
import TensorFiles
import VoxelSupport

/// The subjects of a manifest, prepared for the training of a latent translator.
///
/// ```swift
/// let manifest = try ModalityManifest(contentsOf: "subjects.csv")
/// let configuration = try LatentTrainingConfiguration(modalities: manifest.modalities)
/// let data = try ModalityDataset.prepare(manifest, cache: folder, configuration: configuration)
/// ```
///
/// Volumes are prepared once and stored in a folder, from which they are read as they are needed.
public struct ModalityDataset: Sendable {
    /// The targets of the model, which are the modalities that are used.
    public let targets: [String]

    let subjects: [PreparedModalities]

    /// The names of the subjects.
    public var names: [String] { subjects.map(\.name) }

    /// Number of volumes.
    public var volumeCount: Int { subjects.reduce(0) { $0 + $1.modalities.count } }

    /// The names of the subjects, with fingerprints of their volumes.
    public var fingerprint: String { subjects.map(\.fingerprint).joined(separator: "\n") }

    /// The classes of a subject's modalities, ascending.
    func classes(of subject: Int) -> [Int] { targets.indices.filter { subjects[subject].has(targets[$0]) } }

    /// A prepared volume, `[1, 1, z, y, x]`, flipped.
    func volume(_ subject: Int, _ target: Int, flips: Flips) throws -> Tensor {
        try subjects[subject].volume(targets[target]).flipped(flips)
    }

    /// Prepares the subjects of a manifest for training and validation.
    ///
    /// - Parameters:
    ///   - manifest: the table.
    ///   - cache: the folder for prepared volumes, created if necessary. Prepared volumes are reused unless a file or a
    ///     setting has changed.
    ///   - configuration: the settings of the run.
    ///   - progress: called with the number of subjects prepared and the number of all subjects.
    /// - Returns: the training data, and the validation data, if any.
    /// - Throws: `ManifestError` with all problems of the manifest and of its volumes; `CancellationError`.
    public static func prepare(
        _ manifest: ModalityManifest, cache: URL, configuration: LatentTrainingConfiguration,
        progress: (@Sendable (_ ready: Int, _ all: Int) -> Void)? = nil
    ) throws -> (training: ModalityDataset, validation: ModalityDataset?) {
        let folder = cache.appending(path: "volumes")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        AtomicFile.removeLeftovers(in: folder.path)
        let targets = configuration.model.targets
        var problems = manifest.problems
        for target in targets where !manifest.modalities.contains(target) {
            problems.append(
                .init(
                    1,
                    "there is no column '\(target)', which is one of the targets (model.targets); found "
                        + manifest.modalities.joined(separator: ", ")))
        }
        var wanted = manifest.subjects.filter { $0.split != .test }
        for subject in wanted where !targets.contains(where: { subject.volumes[$0] != nil }) {
            problems.append(
                .init(subject.line, "has no volume of a target: \(targets.joined(separator: ", "))"))
        }
        wanted.removeAll { subject in !targets.contains { subject.volumes[$0] != nil } }
        let subjects = wanted
        let results = try preparedInParallel(subjects.count, progress: progress) { index in
            try TimeLimit.check()
            return try PreparedModalities(
                subjects[index], in: folder, model: configuration.model,
                reference: configuration.data.reference ?? targets[0])
        }
        var prepared: [(split: Manifest.Split, subject: PreparedModalities)] = []
        for (subject, result) in zip(wanted, results) {
            switch result {
            case .success(let known): prepared.append((subject.split, known))
            case .failure(let error): problems.append(.init(subject.line, error.explanation))
            }
        }
        if !wanted.contains(where: { $0.split == .train }), manifest.problems.isEmpty {
            problems.append(.init(0, "has no subject of the split train"))
        }
        guard problems.isEmpty else {
            throw ManifestError(file: manifest.file.path, problems: problems.sorted { $0.line < $1.line })
        }
        func dataset(_ split: Manifest.Split) -> ModalityDataset {
            ModalityDataset(targets: targets, subjects: prepared.filter { $0.split == split }.map(\.subject))
        }
        let validation = dataset(.validation)
        return (dataset(.train), validation.subjects.isEmpty ? nil : validation)
    }

    /// Prepares the subjects of a manifest, with the cache at a path; see
    /// ``prepare(_:cache:configuration:progress:)-(_,URL,_,_)``.
    public static func prepare(
        _ manifest: ModalityManifest, cache: String, configuration: LatentTrainingConfiguration,
        progress: (@Sendable (_ ready: Int, _ all: Int) -> Void)? = nil
    ) throws -> (training: ModalityDataset, validation: ModalityDataset?) {
        try prepare(
            manifest, cache: URL(filePath: cache, directoryHint: .isDirectory), configuration: configuration,
            progress: progress)
    }
}

/// The axes along which an example is reversed.
struct Flips: OptionSet, Hashable, Sendable {
    let rawValue: Int

    /// Left to right, back to front, bottom to top: the axes of a prepared volume, x to z.
    static let x = Flips(rawValue: 1), y = Flips(rawValue: 2), z = Flips(rawValue: 4)
}

extension Tensor {
    /// `[..., z, y, x]` with axes reversed. O(n).
    func flipped(_ flips: Flips) -> Tensor {
        guard !flips.isEmpty else { return self }
        let (z, y, x) = (shape[shape.count - 3], shape[shape.count - 2], shape[shape.count - 1])
        let outer = count / (z * y * x)
        return Tensor(shape: shape) { result in
            values.withUnsafeBufferPointer { source in
                var target = 0
                for item in 0..<outer {
                    for c in 0..<z {
                        let plane = item * z + (flips.contains(.z) ? z - 1 - c : c)
                        for b in 0..<y {
                            let row = (plane * y + (flips.contains(.y) ? y - 1 - b : b)) * x
                            for a in 0..<x {
                                result[target] = source[row + (flips.contains(.x) ? x - 1 - a : a)]
                                target += 1
                            }
                        }
                    }
                }
            }
        }
    }
}
