import Foundation
import Volumes

/// A volume read from a file, and the file's header.
///
/// ```swift
/// let file = try VolumeFile(contentsOf: "ct.nii.gz")
/// for warning in file.warnings { print(warning) }
/// try translated.write(to: "mri.nii.gz", like: file.header)
/// ```
///
/// Read are:
/// - NIfTI-1 and NIfTI-2, as one file or as a pair of `.hdr` and `.img`;
/// - ANALYZE 7.5 pairs, which do not tell left from right: as SPM and NiBabel do, they are taken as LAS, with a
///   warning;
/// - a folder of DICOM files of one series, if `dcm2niix` is installed.
///
/// Files may be plain or gzip-compressed (detected from the first bytes, not from the name), in either byte order, with
/// voxels of any integer type or of 32-bit or 64-bit floats. The header's slope and intercept are applied. A 2-D image
/// becomes a volume of one slice. Voxels that are NaN or infinite become NaN: it counts as background where intensities are
/// scaled, and is left out of metrics.
///
/// Untrusted files are safe to read: every size in the header is checked against the file before memory is allocated, a
/// volume has at most 2^30 voxels, and of a compressed file no more is decompressed than the header asks for. Files may
/// be read concurrently.
public struct VolumeFile: Sendable {
    /// The voxels and their grid.
    public let volume: Volume

    /// The header.
    public let header: NIfTIHeader

    /// Number of voxels that were NaN or infinite, as stored or after scaling to 32-bit floats, and are NaN.
    public let notFinite: Int

    /// What the file does not say, or says in two ways, and how it was read: the header's warnings and the voxels'.
    public let warnings: [VolumeIOWarning]

    /// Reads a file of one volume. O(n); memory for the volume and a buffer of less than 1 MiB.
    ///
    /// - Throws: `VolumeIOError`, also for a series of volumes, vectors or colours, which `NIfTIHeader` can describe.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        self = try naming(url) { () throws(VolumeIOError.Reason) in
            var file = try OpenVolume(path: url.path)
            guard file.header.volumeCount == 1 else { throw .notOneVolume(shape: file.header.shape) }
            return try VolumeFile(readingFrom: &file, index: 0)
        }
    }

    /// Reads one volume of a series. O(n), or O(n (index + 1)) in a compressed file; memory for the volume.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - index: the number of the volume, from 0, with the fourth axis fastest.
    /// - Throws: `VolumeIOError`.
    public init(contentsOf url: URL, volume index: Int) throws(VolumeIOError) {
        self = try naming(url) { () throws(VolumeIOError.Reason) in
            var file = try OpenVolume(path: url.path)
            guard (0..<file.header.volumeCount).contains(index) else {
                throw .noSuchVolume(index: index, count: file.header.volumeCount)
            }
            return try VolumeFile(readingFrom: &file, index: index)
        }
    }

    /// Reads the file at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf path: String) throws(VolumeIOError) {
        try self.init(contentsOf: URL(filePath: path))
    }

    /// Reads one volume of a series from the file at a path; see ``init(contentsOf:volume:)-(URL,_)``.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf path: String, volume index: Int) throws(VolumeIOError) {
        try self.init(contentsOf: URL(filePath: path), volume: index)
    }

    /// Reads the volumes of a series one after another, without holding more than one. A file of one volume is a series
    /// of one.
    ///
    /// ```swift
    /// try VolumeFile.forEach(in: "bold.nii.gz") { index, file in
    ///     print(index, file.volume.intensityRange)
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - body: called with the number of the volume, from 0, and the volume.
    /// - Throws: `VolumeIOError`; what `body` throws.
    public static func forEach(in url: URL, _ body: (_ index: Int, _ file: VolumeFile) throws -> Void) throws {
        var file = try naming(url) { () throws(VolumeIOError.Reason) in try OpenVolume(path: url.path) }
        for index in 0..<file.header.volumeCount {
            let volume: VolumeFile
            do { volume = try VolumeFile(readingFrom: &file, index: index) } catch {
                throw VolumeIOError(path: url.path, reason: error)
            }
            try body(index, volume)
        }
    }

    /// Reads the volumes of the series at a path one after another; see ``forEach(in:_:)-(URL,_)``.
    public static func forEach(in path: String, _ body: (_ index: Int, _ file: VolumeFile) throws -> Void)
        throws
    {
        try forEach(in: URL(filePath: path), body)
    }

    private init(readingFrom file: inout OpenVolume, index: Int) throws(VolumeIOError.Reason) {
        let read = try file.readVolume(index)
        header = file.header
        volume = Volume(grid: header.grid, voxels: read.voxels)
        notFinite = read.found.notFinite
        warnings = header.warnings + read.warnings
    }
}

extension VolumeFile: CustomStringConvertible {
    /// The header and the range of intensities in one line.
    public var description: String {
        let range = volume.intensityRange
        return "\(header), intensities \(range.lowerBound) to \(range.upperBound)"
    }
}

extension Volume {
    /// Reads a volume from a file. `VolumeFile` lists what is supported, and also gives the header and warnings.
    ///
    /// Voxels that are NaN or infinite become NaN, which counts as background where intensities are scaled.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        self = try VolumeFile(contentsOf: url).volume
    }

    /// Reads a volume from the file at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf path: String) throws(VolumeIOError) {
        try self.init(contentsOf: URL(filePath: path))
    }
}

/// The header of a file and the range of its intensities, of all volumes together. Memory does not grow with the file.
package struct VolumeScan: Sendable {
    package let header: NIfTIHeader
    /// The range of the intensities that are finite; `nil` if the file has none, or colours.
    package private(set) var range: ClosedRange<Float>?
    /// Number of voxels that are NaN or infinite.
    package private(set) var notFinite = 0
    /// What the header does not say, or says in two ways.
    package private(set) var warnings: [VolumeIOWarning]

    /// Reads a file. O(n) in time.
    package init(contentsOf url: URL) throws(VolumeIOError) {
        self = try naming(url) { () throws(VolumeIOError.Reason) in try VolumeScan(path: url.path) }
    }

    private init(path: String) throws(VolumeIOError.Reason) {
        var file = try OpenVolume(path: path)
        header = file.header
        warnings = header.warnings
        guard let type = header.voxelType, header.shape.count > 1 else { return }
        var (low, high) = (Float.infinity, -Float.infinity)
        let found = try file.scan { intensities in
            for value in intensities {
                low = value < low ? value : low
                high = value > high ? value : high
            }
        }
        range = low <= high ? low...high : nil
        notFinite = found.notFinite
        let scaling = Scaling(slope: header.slope, intercept: header.intercept)
        if let warning = found.coarseness(as: type, scaling) { warnings.append(warning) }
    }
}

/// Adds the path of a file to the reason that `body` throws.
private func naming<Value>(
    _ url: URL, _ body: () throws(VolumeIOError.Reason) -> Value
) throws(VolumeIOError) -> Value {
    do { return try body() } catch { throw VolumeIOError(path: url.path, reason: error) }
}
