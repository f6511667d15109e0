import Foundation
import Volumes
import VoxelSupport

extension Volume {
    /// Writes the volume to a NIfTI file, compressed if the name ends in `.gz`.
    ///
    /// ```swift
    /// try volume.write(to: "mri.nii.gz")
    ///
    /// let source = try VolumeFile(contentsOf: "ct.nii.gz")
    /// try translated.write(to: "mri.nii.gz", like: source.header)              // in the space of the source
    /// try source.volume.write(to: "copy.nii.gz", like: source.header, as: .int16)
    /// ```
    ///
    /// The file is written beside its destination, flushed and renamed: it is replaced whole or, if writing fails, left
    /// as it was. Equal volumes give equal bytes. A name that ends in `.hdr` or `.img` gives a pair of files with both.
    ///
    /// The affine is written as the sform and, unless it has shear, as the qform, both with the code of `space`. With a
    /// header as the template and a volume on its grid, sform, qform and their codes stay as they are in the template,
    /// also if they disagree or if neither is in use. On another grid, `space` is that of the template, if it has one.
    ///
    /// Integers are stored as they are if all intensities are integers that the type holds. Otherwise its numbers are
    /// spread over the range of intensities, and the header has the slope and intercept.
    ///
    /// - Parameters:
    ///   - url: the file, ending in `.nii`, `.nii.gz`, `.hdr`, `.img`, `.hdr.gz` or `.img.gz`, in a folder that exists.
    ///   - template: a header whose version, forms, units, description, intent, slice order and extensions are kept.
    ///     Its data type, scaling and display range are not.
    ///   - type: the data type of the voxels.
    ///   - version: the version of the format; by default that of the template or NIfTI-1, or NIfTI-2 if the grid does
    ///     not fit in NIfTI-1.
    ///   - space: the coordinate system of the world coordinates.
    ///   - text: a description for the header (`descrip`), cut at 79 bytes; by default that of the template.
    /// - Throws: `VolumeIOError`.
    public func write(
        to url: URL, like template: NIfTIHeader? = nil, as type: VoxelType = .float32,
        version: NIfTIHeader.Version? = nil, space: NIfTISpace = .aligned, text: String? = nil
    ) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            var writer = try VoxelWriter(
                to: url, type: type, scaling: Scaling(storing: voxels, as: type)
            ) { isPair, scaling in
                HeaderDraft(
                    grid: grid, type: type, scaling: scaling, template: template, version: version,
                    space: space, text: text, isPair: isPair)
            }
            try writer.append(voxels)
            try writer.commit()
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }

    /// Writes the volume to the NIfTI file at a path; see `write(to:)` with a URL.
    ///
    /// - Throws: `VolumeIOError`.
    public func write(
        to path: String, like template: NIfTIHeader? = nil, as type: VoxelType = .float32,
        version: NIfTIHeader.Version? = nil, space: NIfTISpace = .aligned, text: String? = nil
    ) throws(VolumeIOError) {
        try write(
            to: URL(filePath: path), like: template, as: type, version: version, space: space, text: text)
    }
}

/// Writes a series of volumes on one grid, one after another, without holding more than one.
///
/// ```swift
/// var series = try VolumeSeriesWriter(to: "series.nii.gz", grid: volume.grid, count: 2, timeStep: 2.5)
/// try series.append(volume)
/// try series.append(volume)
/// try series.commit()
/// ```
///
/// The file appears under its name when it is committed; it is left as it was if the value goes out of scope before.
public struct VolumeSeriesWriter: ~Copyable {
    private let url: URL
    private let shape: SIMD3<Int>
    private let count: Int
    private let type: VoxelType
    private let range: ClosedRange<Float>?
    private var written = 0
    private var writer: VoxelWriter

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - url: the file, named as for `Volume.write(to:)`.
    ///   - grid: the grid of each volume.
    ///   - count: number of volumes, at least one.
    ///   - timeStep: seconds between two volumes; by default what the template says.
    ///   - template: a header to keep, as for a single volume.
    ///   - type: the data type of the voxels.
    ///   - range: the range of all intensities, over which the numbers of an integer type are spread. Without it,
    ///     integers are stored as they are, and all intensities must be integers that the type holds.
    ///   - version: the version of the format.
    ///   - space: the coordinate system of the world coordinates.
    ///   - text: a description for the header.
    /// - Throws: `VolumeIOError`.
    /// - Precondition: `count` is at least one.
    public init(
        to url: URL, grid: VoxelGrid, count: Int, timeStep: Double? = nil, like template: NIfTIHeader? = nil,
        as type: VoxelType = .float32, range: ClosedRange<Float>? = nil, version: NIfTIHeader.Version? = nil,
        space: NIfTISpace = .aligned, text: String? = nil
    ) throws(VolumeIOError) {
        precondition(count > 0, "a series needs at least one volume")
        (self.url, shape, self.count, self.type, self.range) = (url, grid.shape, count, type, range)
        let scaling =
            type.isInteger
            ? range.map { Scaling(from: $0.lowerBound, to: $0.upperBound, as: type) } ?? Scaling() : Scaling()
        do throws(VolumeIOError.Reason) {
            writer = try VoxelWriter(to: url, type: type, scaling: scaling) { isPair, scaling in
                HeaderDraft(
                    grid: grid, volumeCount: count, timeStep: timeStep, type: type, scaling: scaling,
                    template: template, version: version, space: space, text: text, isPair: isPair)
            }
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }

    /// Begins the file at a path, as with a URL.
    ///
    /// - Throws: `VolumeIOError`.
    public init(
        to path: String, grid: VoxelGrid, count: Int, timeStep: Double? = nil,
        like template: NIfTIHeader? = nil, as type: VoxelType = .float32, range: ClosedRange<Float>? = nil,
        version: NIfTIHeader.Version? = nil, space: NIfTISpace = .aligned, text: String? = nil
    ) throws(VolumeIOError) {
        try self.init(
            to: URL(filePath: path), grid: grid, count: count, timeStep: timeStep, like: template, as: type,
            range: range, version: version, space: space, text: text)
    }

    /// Writes the next volume.
    ///
    /// - Throws: `VolumeIOError`, also for a volume of another shape, for one too many, and for intensities that the
    ///   type
    ///   cannot hold.
    public mutating func append(_ volume: Volume) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            guard written < count else { throw .wrongVolumeCount(found: written + 1, expected: count) }
            guard volume.shape == shape else {
                throw .unequalShape(
                    shape: [volume.shape.x, volume.shape.y, volume.shape.z],
                    expected: [shape.x, shape.y, shape.z])
            }
            try checkRepresentable(volume)
            try writer.append(volume.voxels)
            written += 1
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }

    /// Puts the file in its place.
    ///
    /// - Throws: `VolumeIOError`, also if volumes are missing.
    public mutating func commit() throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            guard written == count else { throw .wrongVolumeCount(found: written, expected: count) }
            try writer.commit()
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }

    private func checkRepresentable(_ volume: Volume) throws(VolumeIOError.Reason) {
        guard type.isInteger else { return }
        let needed = try Scaling(storing: volume.voxels, as: type)
        let found = volume.intensityRange
        let fits =
            range.map { $0.contains(found.lowerBound) && $0.contains(found.upperBound) } ?? needed.isIdentity
        guard fits else {
            throw .notRepresentable(low: found.lowerBound, high: found.upperBound, dataType: "\(type)")
        }
    }
}

/// Writes a header, and voxels piece by piece, to one file or to a pair.
private struct VoxelWriter: ~Copyable {
    private let type: VoxelType
    private let scaling: Scaling
    private let url: URL
    private var voxelFile: ByteWriter
    private var headerFile: ByteWriter?

    init(
        to url: URL, type: VoxelType, scaling: Scaling, draft: (_ isPair: Bool, Scaling) -> HeaderDraft
    ) throws(VolumeIOError.Reason) {
        let name = url.lastPathComponent.lowercased()
        let isCompressed = name.hasSuffix(".gz")
        let pair = FilePair(url.path)
        guard pair != nil || name.hasSuffix(".nii") || name.hasSuffix(".nii.gz") else {
            throw .unknownExtension
        }
        let header = try draft(pair != nil, scaling).bytes()
        let voxelURL = pair.map { URL(filePath: $0.voxels) } ?? url
        let voxelFile = try Self.file(at: voxelURL, beginningWith: pair == nil ? header : [], isCompressed)
        let headerFile = try pair.map { pair throws(VolumeIOError.Reason) in
            try Self.file(at: URL(filePath: pair.header), beginningWith: header, isCompressed)
        }
        (self.type, self.scaling, self.url) = (type, scaling, url)
        self.voxelFile = voxelFile
        self.headerFile = headerFile
    }

    private static func file(
        at url: URL, beginningWith bytes: [UInt8], _ isCompressed: Bool
    ) throws(VolumeIOError.Reason) -> ByteWriter {
        do throws(SystemError) {
            let file = try ByteWriter(replacing: url, isCompressed: isCompressed)
            try file.write(bytes)
            return file
        } catch { throw reason(error, url) }
    }

    mutating func append(_ voxels: [Float]) throws(VolumeIOError.Reason) {
        do throws(SystemError) {
            if type == .float32 { return try voxelFile.write(voxels) }
            let chunk = 1 << 16
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk * type.bytes, alignment: 16)
            defer { buffer.deallocate() }
            for start in stride(from: 0, to: voxels.count, by: chunk) {
                let part = voxels[start..<min(start + chunk, voxels.count)]
                type.encode(part, scaling, into: buffer.baseAddress!)
                try voxelFile.write(UnsafeRawBufferPointer(rebasing: buffer[..<(part.count * type.bytes)]))
            }
        } catch { throw Self.reason(error, url) }
    }

    mutating func commit() throws(VolumeIOError.Reason) {
        do throws(SystemError) {
            try voxelFile.commit()
            try headerFile?.commit()
        } catch { throw Self.reason(error, url) }
    }

    private static func reason(_ error: SystemError, _ url: URL) -> VolumeIOError.Reason {
        error.code == ENOENT || error.code == ENOTDIR
            ? .missingFolder(url.resolvingSymlinksInPath().deletingLastPathComponent().path)
            : .unwritable("\(error)")
    }
}
