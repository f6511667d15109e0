import BridgeTraining
import Foundation
import LatentTranslation
import TensorFiles
import VolumeIO
import Volumes
import VoxelSupport

/// A subject whose prepared volumes are stored on disk.
///
/// The file is a safetensors file with a tensor for each modality, `[z, y, x]`, and a record of its origin in the metadata.
struct PreparedModalities: Sendable {
    let name: String
    private let record: Record
    private let url: URL
    /// The record as it is stored, which changes whenever the file is prepared again.
    private let stored: String?

    /// The origin and the contents of a prepared file.
    private struct Record: Codable, Equatable, Sendable {
        let origin: Origin
        let grid: VoxelGrid
        let fingerprints: [String: UInt64]
    }

    /// What the contents of a prepared file depend on. If it changes, the file is prepared again.
    private struct Origin: Codable, Equatable, Sendable {
        var version = 1
        let volumes: [String: FileStamp]
        let mask: FileStamp?
        let preparation: LatentPreparation
        let multiple: Int
        let reference: String
    }

    private static let recordField = "voxelbridge_modalities"

    /// Opens the file of a subject in a folder, after preparing it if it is missing or has another origin.
    ///
    /// - Parameters:
    ///   - subject: the subject.
    ///   - folder: the folder of prepared files.
    ///   - model: how volumes are prepared, and the modalities wanted.
    ///   - reference: the modality that gives the crop; of a subject without it, the first of the model's that it has.
    /// - Throws: what reading or preparing a volume throws.
    init(
        _ subject: ModalityManifest.Subject, in folder: URL, model: LatentModelConfiguration, reference: String
    ) throws {
        let volumes = subject.volumes.filter { model.targets.contains($0.key) }
        let reference =
            volumes[reference] != nil ? reference : model.targets.first { volumes[$0] != nil } ?? reference
        let origin = Origin(
            volumes: try volumes.mapValues { try FileStamp($0) },
            mask: try subject.mask.map { try FileStamp($0) },
            preparation: model.preparation, multiple: model.sizeMultiple, reference: reference)
        let url = folder.appending(path: "\(subject.name).safetensors")
        if let known = try? PreparedModalities(name: subject.name, contentsOf: url),
            known.record.origin == origin
        {
            self = known
            return
        }
        var tensors: [String: Tensor] = [:]
        let prepared = try Self.prepare(volumes, mask: subject.mask, reference: reference, model)
        for (modality, volume) in prepared {
            tensors[modality] = Tensor(
                shape: [volume.shape.z, volume.shape.y, volume.shape.x], values: volume.voxels)
        }
        let record = Record(
            origin: origin, grid: prepared[reference]!.grid,
            fingerprints: tensors.mapValues { tensor in
                var fingerprint = Fingerprint()
                fingerprint.combine(tensor.values)
                return fingerprint.value
            })
        let json = String(decoding: try record.sortedJSON(), as: UTF8.self)
        try Safetensors.write(tensors, metadata: [Self.recordField: json], to: url)
        self = try PreparedModalities(name: subject.name, contentsOf: url)
    }

    private init(name: String, contentsOf url: URL) throws {
        self.name = name
        self.url = url
        stored = try Safetensors(contentsOf: url).metadata[Self.recordField]
        record = try JSONDecoder().decode(Record.self, from: Data((stored ?? "").utf8))
    }

    private static func prepare(
        _ volumes: [String: URL], mask: URL?, reference: String, _ model: LatentModelConfiguration
    ) throws -> [String: Volume] {
        let mask = try mask.map { try Volume(contentsOf: $0).voxels }
        var read: [String: Volume] = [:]
        for (modality, url) in volumes {
            var volume = try Volume(contentsOf: url)
            if let mask {
                guard mask.count == volume.voxels.count else {
                    throw FileProblem(file: url.path, reason: "has another number of voxels than the mask")
                }
                volume = Volume(
                    grid: volume.grid, voxels: zip(volume.voxels, mask).map { $1 > 0 ? $0 : 0 })
            }
            read[modality] = volume
        }
        let box = read[reference]!
        return try Dictionary(
            uniqueKeysWithValues: read.map { modality, volume in
                // Grids that differ by rounding must not result in different boxes.
                guard volume.grid.matches(box.grid) else {
                    throw FileProblem(
                        file: volumes[modality]!.path,
                        reason: "\(volume.grid.difference(from: box.grid)), which the \(reference) has")
                }
                do {
                    let prepared = try model.preparation.apply(
                        to: Volume(grid: box.grid, voxels: volume.voxels), reference: box,
                        multiple: model.sizeMultiple)
                    return (modality, prepared.volume)
                } catch { throw FileProblem(file: volumes[modality]!.path, reason: error.explanation) }
            })
    }

    /// The modalities, in no order.
    var modalities: some Collection<String> { record.fingerprints.keys }

    func has(_ modality: String) -> Bool { record.fingerprints[modality] != nil }

    /// The grid of the prepared volumes.
    var grid: VoxelGrid { record.grid }

    /// Number of voxels along z, y and x.
    var shape: [Int] { [grid.shape.z, grid.shape.y, grid.shape.x] }

    /// A fingerprint of a prepared volume.
    func fingerprint(of modality: String) -> UInt64 { record.fingerprints[modality] ?? 0 }

    /// The name, and fingerprints of all volumes.
    var fingerprint: String {
        ([name]
            + record.fingerprints.sorted { $0.key < $1.key }.map { "\($0.key) \(String($0.value, radix: 16))" })
            .joined(separator: " ")
    }

    /// A prepared volume, `[1, 1, z, y, x]`.
    func volume(_ modality: String) throws -> Tensor {
        // Opened each time: there may be more subjects than files that a process can have open.
        let file = try Safetensors(contentsOf: url)
        guard file.metadata[Self.recordField] == stored else {
            throw FileProblem(
                file: url.path, reason: "it was prepared with other settings meanwhile; use another cache")
        }
        return Tensor(shape: [1, 1] + shape, values: try file.tensor(modality).values)
    }
}
