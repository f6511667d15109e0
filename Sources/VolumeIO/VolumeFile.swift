import Foundation
import Volumes

/// A volume read from a NIfTI file, together with what the file says of it.
///
/// ```swift
/// let file = try VolumeFile(contentsOf: URL(filePath: "ct.nii.gz"))
/// if file.replacedVoxels > 0 { print("\(file.replacedVoxels) voxels were not finite and are now 0") }
/// try translated.write(to: "mri.nii.gz", space: file.header.space ?? .aligned)
/// ```
///
/// Both NIfTI-1 and NIfTI-2 are read, plain or gzip-compressed (told apart by their first bytes, not by the
/// file's name), in either byte order, with voxels of every integer type and of 32-bit and 64-bit floats.
/// Stored values become intensities by the header's slope and intercept. A 2-D image is one slice.
///
/// Files may come from strangers: every size in the header is checked against the file before memory is
/// taken for it. Several files may be read at once on different threads.
public struct VolumeFile: Sendable {
    /// The voxels and their grid.
    public let volume: Volume

    /// What the header says.
    public let header: NIfTIHeader

    /// How many voxels were NaN or infinite, as stored or once scaled to 32-bit floats, and are now zero.
    public let replacedVoxels: Int

    /// Reads a file. O(n), with memory for the volume and a buffer of less than 1 MiB.
    ///
    /// - Throws: `VolumeIOError`, also where the file holds a series of volumes, vectors or colours:
    ///   `NIfTIHeader(contentsOf:)` describes those.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            var reader = try ByteReader(path: url.path)
            header = try NIfTIHeader(readingFrom: &reader)
            let values = try header.layout.readVoxels(of: header, from: &reader)
            try reader.finish()
            volume = Volume(grid: header.grid, voxels: values.voxels)
            replacedVoxels = values.replaced
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }
}

extension Volume {
    /// Reads a volume from a NIfTI file; see `VolumeFile` for what is read and for the header.
    ///
    /// Voxels that are NaN or infinite become zero.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        self = try VolumeFile(contentsOf: url).volume
    }

    /// Reads a volume from the NIfTI file at a path; see `VolumeFile` for what is read and for the header.
    ///
    /// Voxels that are NaN or infinite become zero.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf path: String) throws(VolumeIOError) {
        try self.init(contentsOf: URL(filePath: path))
    }
}
