import Foundation
import Volumes

/// The header of a NIfTI file: shape, position, data type.
///
/// ```swift
/// let header = try NIfTIHeader(contentsOf: "bold.nii.gz")
/// print(header)                 // NIfTI-1, 64 x 64 x 30 x 200, int16; 64 x 64 x 30 voxels of 3 x 3 x 4 mm, RAS
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
        /// `pixdim` alone (method 1): the file has no orientation; voxel (0, 0, 0) is at the origin, and the axes are
        /// assumed to be RAS.
        case spacing
    }

    /// The version of the format.
    public let version: Version

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

    /// Intensity = `slope` x stored value + `intercept`. 1 if the file has no scaling.
    public let slope: Double

    /// Intensity = `slope` x stored value + `intercept`. 0 if the file has no scaling.
    public let intercept: Double

    /// The description (`descrip`), without control characters.
    public let text: String

    let layout: VoxelLayout

    /// The space of the form that gave the affine, or `nil` if `pixdim` gave it or the code is not a standard one.
    public var space: NIfTISpace? {
        switch placement {
        case .sform: NIfTISpace(rawValue: sformCode)
        case .qform: NIfTISpace(rawValue: qformCode)
        case .spacing: nil
        }
    }

    /// Reads the header of a file, and nothing else. O(1) in time and memory.
    ///
    /// The file may also hold a series, vectors or colours.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            var reader = try ByteReader(path: url.path)
            self = try NIfTIHeader(readingFrom: &reader)
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
    /// Version, shape, data type and grid in one line.
    public var description: String {
        "NIfTI-\(version.rawValue), \(shape.map(String.init).joined(separator: " x ")), \(dataType); \(grid)"
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
