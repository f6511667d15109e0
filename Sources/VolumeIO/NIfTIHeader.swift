import CNIfTI
import Foundation
import Volumes

/// The header of a NIfTI or ANALYZE 7.5 file: shape, position, data type.
///
/// ```swift
/// let header = try NIfTIHeader(contentsOf: "bold.nii.gz")
/// print(header)                 // NIfTI-1, 64 x 64 x 30 x 200, int16; 64 x 64 x 30 voxels of 3 x 3 x 4 mm, RAS
/// for warning in header.warnings { print(warning) }
/// ```
public struct NIfTIHeader: Hashable, Sendable {
    /// The versions of the format.
    public enum Version: Int, Sendable, CaseIterable {
        /// 348-byte header, 16-bit extents, 32-bit floats.
        case nifti1 = 1
        /// 540-byte header, 64-bit extents, 64-bit floats.
        case nifti2 = 2
    }

    /// The part of the header that gives the affine.
    public enum Placement: Sendable {
        /// The affine in `srow_x`, `srow_y` and `srow_z` (method 3 of the standard).
        case sform
        /// The quaternion, `pixdim` and offsets (method 2).
        case qform
        /// `pixdim` alone (method 1): the file has no orientation. As NiBabel and FSL do, the axes are taken as LAS; as
        /// NiBabel does, with the origin in the centre, or where an ANALYZE file has its origin.
        case spacing
    }

    /// A header extension: a record of another program, which is kept when the header is a template.
    public struct Extension: Hashable, Sendable {
        /// What it holds, by the standard's list: 2 for DICOM, 4 for AFNI, 6 for a comment.
        public let code: Int
        /// The contents, with the zeros that fill them up.
        public let bytes: [UInt8]
    }

    /// The version of the format; `nil` for ANALYZE 7.5.
    public let version: Version?

    /// All extents, x fastest: three of a volume, four of a series.
    public let shape: [Int]

    /// The grid of one volume, in millimetres. A file without a unit is taken to be in millimetres.
    public let grid: VoxelGrid

    /// The part of the header that gave the affine: the sform if its code is above zero and its axes are linearly
    /// independent; else the qform under the same conditions; else `pixdim`.
    public let placement: Placement

    /// The stored code of the sform; zero if it is not in use.
    public let sformCode: Int

    /// The stored code of the qform; zero if it is not in use.
    public let qformCode: Int

    /// The stored data type, such as `uint8`, `int16`, `float32` or `rgb24`.
    public let dataType: String

    /// The stored data type, if it is one that can be read: one real number per voxel.
    public var voxelType: VoxelType? { VoxelType(rawValue: fields.datatype) }

    /// Number of volumes: 1, or the product of the extents after the third.
    public var volumeCount: Int { shape.dropFirst(3).reduce(1, *) }

    /// Seconds between two volumes of a series, or `nil` if the file does not say.
    public var timeStep: Double? {
        let scale = [NIFTI_UNITS_SEC: 1, NIFTI_UNITS_MSEC: 1e-3, NIFTI_UNITS_USEC: 1e-6][
            fields.xyzt_units & 0x38]
        guard let scale, shape.count > 3, fields.pixdim.4 > 0, fields.pixdim.4.isFinite else { return nil }
        return fields.pixdim.4 * scale
    }

    /// Intensity = `slope` x stored value + `intercept`. 1 if the file has no scaling.
    public let slope: Double

    /// Intensity = `slope` x stored value + `intercept`. 0 if the file has no scaling.
    public let intercept: Double

    /// The description (`descrip`), without control characters.
    public let text: String

    /// The header extensions.
    public internal(set) var extensions: [Extension] = []

    /// What the header does not say, or says in two ways, and how it was read.
    public internal(set) var warnings: [VolumeIOWarning] = []

    /// The header as stored, with the fields of NIfTI-2, in this machine's byte order; forms that cannot be used have
    /// the code 0.
    let storedBytes: [UInt8]

    /// Whether the byte order of the file is not that of this machine.
    let isSwapped: Bool

    /// Whether the voxels are in a file of their own.
    let isPair: Bool

    /// Position of the first voxel in the decompressed file, in bytes.
    let dataOffset: Int

    var fields: nifti_2_header { storedBytes.withUnsafeBytes { $0.loadUnaligned(as: nifti_2_header.self) } }

    /// The space of the form that gave the affine, or `nil` if `pixdim` gave it or the code is not a standard one.
    public var space: NIfTISpace? {
        switch placement {
        case .sform: NIfTISpace(rawValue: sformCode)
        case .qform: NIfTISpace(rawValue: qformCode)
        case .spacing: nil
        }
    }

    /// Reads the header of a file, and nothing else. O(1) in time and memory, but for header extensions.
    ///
    /// The file may also hold a series, vectors or colours. `VolumeFile` lists the formats.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            self = try OpenVolume(path: url.path).header
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }

    /// Reads the header of the file at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf path: String) throws(VolumeIOError) {
        try self.init(contentsOf: URL(filePath: path))
    }
}

extension NIfTIHeader: CustomStringConvertible {
    /// `NIfTI-1`, `NIfTI-2` or `ANALYZE 7.5`.
    public var format: String { version.map { "NIfTI-\($0.rawValue)" } ?? "ANALYZE 7.5" }

    /// Version, shape, data type and grid in one line.
    public var description: String {
        "\(format), \(shape.map(String.init).joined(separator: " x ")), \(dataType); \(grid)"
    }
}

/// The coordinate system of a file's world coordinates: the standard's form codes.
public enum NIfTISpace: Int, Sendable, CaseIterable {
    /// The scanner's coordinates.
    case scanner = 1
    /// Aligned to another file, or to anatomy.
    case aligned = 2
    /// Talairach-Tournoux atlas.
    case talairach = 3
    /// MNI 152 atlas.
    case mni152 = 4
    /// Another template.
    case template = 5
}
