import Foundation
import Preprocessing
import StyleKeys
import TensorFiles
import VolumeIO
import Volumes
import VoxelSupport

/// A subject whose prepared slices are stored on disk and memory-mapped.
///
/// The file is a safetensors file with a tensor for each slice, `source.<slice>` and `target.<slice>`,
/// `[rows, columns]` in [-1, 1], the style key `style`, `[3, bins]`, and a record of its origin in the metadata.
struct PreparedSubject: Sendable {
    let name: String
    let style: StyleKey
    let record: Record
    private let file: Safetensors

    /// The origin and the contents of a prepared file.
    struct Record: Codable, Equatable, Sendable {
        let origin: Origin
        /// Numbers of slices, rows and columns.
        let shape: [Int]
        /// Number of foreground voxels of the target in each slice.
        let foreground: [Int]
        /// A fingerprint of all slices and of the style key.
        let fingerprint: UInt64

        private enum CodingKeys: String, CodingKey {
            case origin, shape, foreground
            case fingerprint = "checksum"
        }
    }

    /// What the contents of a prepared file depend on. If it changes, the file is prepared again.
    struct Origin: Codable, Equatable, Sendable {
        /// The version of the preparation.
        var version = 1
        let source: FileStamp
        let target: FileStamp
        let mask: FileStamp?
        let spacing: Double
        let plane: SlicePlane
        let bins: Int
        /// The version of the alignment; nil if pairs are not aligned.
        let alignment: Int?

        init(_ subject: Manifest.Subject, settings: DataSettings, bins: Int) throws {
            source = try FileStamp(subject.source)
            target = try FileStamp(subject.target)
            mask = try subject.mask.map { try FileStamp($0) }
            (spacing, plane, self.bins) = (settings.spacing, settings.plane, bins)
            alignment = settings.align ? 1 : nil
        }
    }

    /// The identity of a file, without its contents.
    struct FileStamp: Codable, Equatable, Sendable {
        let path: String
        let size: Int
        let modified: Double

        init(_ url: URL) throws {
            let attributes = try FileManager.default.attributesOfItem(atPath: url.path)
            path = url.path
            size = (attributes[.size] as? NSNumber)?.intValue ?? 0
            modified = (attributes[.modificationDate] as? Date)?.timeIntervalSinceReferenceDate ?? 0
        }
    }

    private static let recordField = "voxelbridge_subject"

    /// Opens the file of a subject in a folder, after preparing it if it is missing or has another origin.
    ///
    /// - Throws: what reading or preparing a volume throws.
    init(_ subject: Manifest.Subject, in folder: URL, settings: DataSettings, bins: Int) throws {
        let url = folder.appending(path: "\(subject.name).safetensors")
        let origin = try Origin(subject, settings: settings, bins: bins)
        if let known = try? PreparedSubject(name: subject.name, contentsOf: url), known.record.origin == origin
        {
            self = known
            return
        }
        let pair = try PreparedPair(subject, settings: settings, bins: bins)
        let record = Record(
            origin: origin, shape: [pair.source.shape.z, pair.source.shape.y, pair.source.shape.x],
            foreground: pair.foreground, fingerprint: pair.fingerprint.value)
        let json = String(decoding: try record.sortedJSON(), as: UTF8.self)
        try Safetensors.write(pair.tensors, metadata: [Self.recordField: json], to: url)
        self = try PreparedSubject(name: subject.name, contentsOf: url)
    }

    private init(name: String, contentsOf url: URL) throws {
        self.name = name
        file = try Safetensors(contentsOf: url)
        record = try JSONDecoder().decode(
            Record.self, from: Data((file.metadata[Self.recordField] ?? "").utf8))
        let tokens = try file.tensor("style")
        let bins = tokens.shape[1]
        style = try StyleKey(
            histogram: Array(tokens.values[..<bins]), cumulative: Array(tokens.values[bins..<2 * bins]),
            difference: Array(tokens.values[(2 * bins)...]))
    }

    var slices: Int { record.shape[0] }
    var rows: Int { record.shape[1] }
    var columns: Int { record.shape[2] }

    /// The window around a slice, `[2 radius + 1, rows, columns]`: slices are centred and padded with background.
    func window(
        _ volume: PreparedVolumeKind, around slice: Int, radius: Int, rows: Int, columns: Int
    ) throws -> [Float] {
        var window = [Float](
            repeating: IntensityConvention.networkBackground, count: (2 * radius + 1) * rows * columns)
        let (top, left) = ((rows - self.rows) / 2, (columns - self.columns) / 2)
        for position in 0...2 * radius {
            let index = slice - radius + position
            guard (0..<slices).contains(index) else { continue }
            let image = try file.tensor(Self.name(volume, index)).values
            for row in 0..<self.rows {
                let start = (position * rows + top + row) * columns + left
                window.replaceSubrange(
                    start..<start + self.columns, with: image[row * self.columns..<(row + 1) * self.columns])
            }
        }
        return window
    }

    fileprivate static func name(_ volume: PreparedVolumeKind, _ slice: Int) -> String {
        volume.rawValue + "." + String(slice)
    }
}

/// The volumes of a subject.
enum PreparedVolumeKind: String { case source, target }

/// The prepared volumes of a subject: slices along the last axis, intensities in [-1, 1].
private struct PreparedPair {
    let source: Volume
    let target: Volume
    let style: StyleKey

    /// Prepares the source with `PreprocessingPipeline.brain`, and brings the target to the same box.
    init(_ subject: Manifest.Subject, settings: DataSettings, bins: Int) throws {
        var source = try Volume(contentsOf: subject.source)
        var target = try Volume(contentsOf: subject.target)
        let mask = try subject.mask.map { try Volume(contentsOf: $0) }
        func naming<Value>(_ file: URL, _ body: () throws -> Value) throws -> Value {
            do { return try body() } catch { throw FileProblem(file: file.path, reason: "\(error)") }
        }
        if settings.align {
            target = try naming(subject.target) { try target.aligned(with: source, in: subject.source) }
        } else if !target.grid.matches(source.grid) {
            throw FileProblem(
                file: subject.target.path,
                reason:
                    "found \(target.grid); expected the source's grid, \(source.grid), unless pairs are aligned "
                    + "(data.align)")
        }
        if let mask { source = source.cleared(outside: mask) }
        let box = try naming(subject.source) {
            try PreprocessingPipeline.brain(spacing: settings.spacing).apply(to: source).volume
        }
        let boxed: Volume
        if settings.align {
            boxed = try naming(subject.target) {
                var moved = target.resampled(onto: box.grid, outside: target.intensityRange.lowerBound)
                if let mask {
                    moved = moved.cleared(
                        outside: mask.map { $0 > 0 ? 1 : 0 }.resampled(onto: box.grid).map { $0 - 0.5 })
                }
                return try RescaleIntensity().apply(to: moved).volume
            }
            style = try naming(subject.target) { try StyleKey(of: boxed, bins: bins) }
        } else {
            if let mask { target = target.cleared(outside: mask) }
            // Grids that differ by rounding must not result in different boxes.
            target = Volume(grid: source.grid, voxels: target.voxels)
            style = try naming(subject.target) { try StyleKey(of: target, bins: bins) }
            let whole = try naming(subject.target) {
                try PreprocessingPipeline([
                    Reorient(to: .ras), Resample(spacing: settings.spacing), RescaleIntensity(),
                ]).apply(to: target).volume
            }
            boxed = whole.cropped(to: box.grid)
        }
        let permutation = settings.plane.permutation(for: box.grid)
        self.source = box.scaledToNetworkRange().permuted(permutation)
        self.target = boxed.scaledToNetworkRange().permuted(permutation)
    }

    var foreground: [Int] {
        let limit = IntensityConvention.network(fromUnit: ForegroundMask.defaultThreshold)
        return (0..<target.shape.z).map { target.slice($0).count { $0 > limit } }
    }

    var tensors: [String: Tensor] {
        var tensors = ["style": Tensor(shape: [3, style.bins], values: style.tokens)]
        for (kind, volume) in [(PreparedVolumeKind.source, source), (.target, target)] {
            for slice in 0..<volume.shape.z {
                tensors[PreparedSubject.name(kind, slice)] = Tensor(
                    shape: [volume.shape.y, volume.shape.x], values: Array(volume.slice(slice)))
            }
        }
        return tensors
    }

    var fingerprint: Fingerprint {
        var fingerprint = Fingerprint()
        for values in [source.voxels, target.voxels, style.tokens] { fingerprint.combine(values) }
        return fingerprint
    }
}

/// An error with the name of its file.
private struct FileProblem: LocalizedError, CustomStringConvertible {
    let file: String
    let reason: String

    var description: String { "\(file): \(reason)" }
    var errorDescription: String? { description }
}

extension Volume {
    /// The volume with its lowest intensity wherever a mask on its grid is not above zero.
    fileprivate func cleared(outside mask: Volume) -> Volume {
        let background = intensityRange.lowerBound
        var cleared = self
        cleared.voxels.withUnsafeMutableBufferPointer { voxels in
            for index in voxels.indices where !(mask.voxels[index] > 0) { voxels[index] = background }
        }
        return cleared
    }

    /// The part of the volume on a grid that is a box of its grid.
    fileprivate func cropped(to box: VoxelGrid) -> Volume {
        let origin = grid.voxel(atWorld: box.world(atVoxel: .zero)).rounded(.toNearestOrAwayFromZero)
        let first = SIMD3<Int>(Int(origin.x), Int(origin.y), Int(origin.z))
        var cut: [Float] = []
        cut.reserveCapacity(box.count)
        for z in 0..<box.shape.z {
            for y in 0..<box.shape.y {
                let start = grid.offset(first.x, first.y + y, first.z + z)
                cut += voxels[start..<start + box.shape.x]
            }
        }
        return Volume(grid: box, voxels: cut)
    }
}
