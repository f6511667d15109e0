import Foundation
import Preprocessing
import StyleKeys
import TensorFiles
import VolumeIO
import Volumes
import VoxelSupport

/// A subject whose prepared slices are stored on disk.
///
/// The file is a safetensors file with a tensor for each slice, `source.<slice>` and `target.<slice>`,
/// `[rows, columns]` in [-1, 1], the style key `style`, `[3, bins]`, and a record of its origin in the metadata.
struct PreparedSubject: Sendable {
    let name: String
    let style: StyleKey
    let record: Record
    private let url: URL
    /// The record as it is stored, which changes whenever the file is prepared again.
    private let stored: String?

    /// The origin and the contents of a prepared file.
    struct Record: Codable, Equatable, Sendable {
        let origin: Origin
        /// Numbers of slices, rows and columns.
        let shape: [Int]
        /// Number of foreground voxels of the target in each slice.
        let foreground: [Int]
        /// A fingerprint of all slices and of the style key.
        let fingerprint: UInt64
        /// What may be wrong with the intensities, each with the name of its file.
        let warnings: [String]

        private enum CodingKeys: String, CodingKey {
            case origin, shape, foreground, warnings
            case fingerprint = "checksum"
        }
    }

    /// What the contents of a prepared file depend on. If it changes, the file is prepared again.
    struct Origin: Codable, Equatable, Sendable {
        /// The version of the preparation.
        var version = 4
        let source: FileStamp
        let target: FileStamp
        let mask: FileStamp?
        let spacing: Double
        let antialiasing: Antialiasing
        let plane: SlicePlane
        let intensities: [IntensityRule]
        let bins: Int
        /// The version of the alignment; nil if pairs are not aligned.
        let alignment: Int?

        init(_ subject: Manifest.Subject, settings: DataSettings, bins: Int) throws {
            source = try FileStamp(subject.source)
            target = try FileStamp(subject.target)
            mask = try subject.mask.map { try FileStamp($0) }
            (spacing, plane, self.bins) = (settings.spacing, settings.plane, bins)
            antialiasing = settings.antialiasing
            intensities = [settings.source, settings.target]
            alignment = settings.align ? 1 : nil
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
        try TimeLimit.check()
        let pair = try PreparedPair(subject, settings: settings, bins: bins)
        let record = Record(
            origin: origin, shape: [pair.source.shape.z, pair.source.shape.y, pair.source.shape.x],
            foreground: pair.foreground, fingerprint: pair.fingerprint.value, warnings: pair.warnings)
        let json = String(decoding: try record.sortedJSON(), as: UTF8.self)
        try Safetensors.write(pair.tensors, metadata: [Self.recordField: json], to: url)
        self = try PreparedSubject(name: subject.name, contentsOf: url)
    }

    private init(name: String, contentsOf url: URL) throws {
        self.name = name
        self.url = url
        let file = try Safetensors(contentsOf: url)
        stored = file.metadata[Self.recordField]
        record = try JSONDecoder().decode(
            Record.self, from: Data((stored ?? "").utf8))
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
        // Opened for each window: there may be more subjects than files that a process can have open.
        let file = try Safetensors(contentsOf: url)
        guard file.metadata[Self.recordField] == stored else {
            throw FileProblem(
                file: url.path, reason: "it was prepared with other settings meanwhile; use another cache")
        }
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
    let warnings: [String]

    /// Prepares the source with `PreprocessingPipeline.brain`, and crops the target to the same box.
    init(_ subject: Manifest.Subject, settings: DataSettings, bins: Int) throws {
        let source = try Volume(contentsOf: subject.source)
        var target = try Volume(contentsOf: subject.target)
        let mask = try subject.mask.map { ForegroundMask(above: 0, in: try Volume(contentsOf: $0)) }
        func naming<Value>(_ url: URL, _ body: () throws -> Value) throws -> Value {
            try TimeLimit.check()
            do { return try body() } catch let error as TimeIsUp { throw error } catch {
                throw FileProblem(file: url.path, reason: error.explanation)
            }
        }
        if settings.align {
            target = try naming(subject.target) { try target.aligned(with: source, in: subject.source) }
        } else if target.grid.matches(source.grid) {
            // Grids that differ by rounding must not result in different boxes.
            target = Volume(grid: source.grid, voxels: target.voxels)
        } else {
            throw FileProblem(
                file: subject.target.path,
                reason:
                    "\(target.grid.difference(from: source.grid)); the grids of aligned pairs (data.align) may differ"
            )
        }
        let resampling = Resample(spacing: settings.spacing, antialiasing: settings.antialiasing)
        let preparedSource = try naming(subject.source) {
            try PreprocessingPipeline.brain(
                spacing: settings.spacing, intensities: RescaleIntensity(settings.source),
                antialiasing: settings.antialiasing
            ).apply(to: source, mask: mask)
        }
        let box = preparedSource.volume
        let (fit, boxed) = try naming(subject.target) {
            let targetMask = mask.map {
                settings.align ? $0.resampled(from: source.grid, onto: target.grid) : $0
            }
            let fit = try IntensityFit(RescaleIntensity(settings.target), to: target, mask: targetMask)
            if settings.align {
                return (fit, fit.scaled.resampled(onto: box.grid, antialiasing: settings.antialiasing))
            }
            let pipeline = PreprocessingPipeline([Reorient(to: .ras), resampling])
            return (fit, try pipeline.apply(to: fit.scaled).volume.cropped(to: box.grid))
        }
        style = try naming(subject.target) { try StyleKey(of: fit, bins: bins, resampling: resampling) }
        // Whole heads may be trained on; what is translated must be like them.
        func sentences(_ warnings: [IntensityWarning], _ url: URL) -> [String] {
            warnings.filter { if case .wholeHead = $0 { false } else { true } }.map { "\(url.path): \($0)" }
        }
        warnings = sentences(preparedSource.warnings, subject.source) + sentences(fit.warnings, subject.target)
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
package struct FileProblem: LocalizedError, CustomStringConvertible {
    private let file: String
    private let reason: String

    package init(file: String, reason: String) { (self.file, self.reason) = (file, reason) }

    package var description: String { "\(file): \(reason)" }
    package var errorDescription: String? { description }
}

extension Volume {
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
