import Foundation
import Volumes

/// A volume read from a NIfTI file, and the file's header.
///
/// ```swift
/// let file = try VolumeFile(contentsOf: "ct.nii.gz")
/// if file.replacedVoxels > 0 { print("\(file.replacedVoxels) voxels were not finite and are now 0") }
/// try translated.write(to: "mri.nii.gz", space: file.header.space ?? .aligned)
/// ```
///
/// NIfTI-1 and NIfTI-2 are read, plain or gzip-compressed (detected from the first bytes, not from the name), in either
/// byte order, with voxels of any integer type or of 32-bit or 64-bit floats. The header's slope and intercept are
/// applied. A 2-D image becomes a volume of one slice.
///
/// Untrusted files are safe to read: every size in the header is checked against the file before memory is allocated.
/// Files may be read concurrently.
public struct VolumeFile: Sendable {
    /// The voxels and their grid.
    public let volume: Volume

    /// The header.
    public let header: NIfTIHeader

    /// Number of voxels that were NaN or infinite, as stored or after scaling to 32-bit floats, and are now zero.
    public let replacedVoxels: Int

    /// Reads a file. O(n); memory for the volume and a buffer of less than 1 MiB.
    ///
    /// - Throws: `VolumeIOError`, also for a series of volumes, vectors or colours, which `NIfTIHeader` can describe.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        try self.init(contentsOf: url, keepsNotFinite: false)
    }

    /// Reads a file, and keeps voxels that are NaN or infinite if asked; `replacedVoxels` counts them either way.
    package init(contentsOf url: URL, keepsNotFinite: Bool) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            var reader = try ByteReader(path: url.path)
            header = try NIfTIHeader(readingFrom: &reader)
            let values = try header.layout.readVoxels(
                of: header, from: &reader, keepsNotFinite: keepsNotFinite)
            try reader.finish()
            volume = Volume(grid: header.grid, voxels: values.voxels)
            replacedVoxels = values.replaced
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }

    /// Reads the file at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf path: String) throws(VolumeIOError) {
        try self.init(contentsOf: URL(filePath: path))
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
    /// Reads a volume from a NIfTI file. `VolumeFile` lists what is supported, and also gives the header.
    ///
    /// Voxels that are NaN or infinite become zero.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        self = try VolumeFile(contentsOf: url).volume
    }

    /// Reads a volume from the NIfTI file at a path. `VolumeFile` lists what is supported, and also gives the header.
    ///
    /// Voxels that are NaN or infinite become zero.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf path: String) throws(VolumeIOError) {
        try self.init(contentsOf: URL(filePath: path))
    }
}
