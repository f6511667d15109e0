import Foundation
import Volumes

/// What the header of a NIfTI file says: shape, placement, storage.
///
/// ```swift
/// let header = try NIfTIHeader(contentsOf: URL(filePath: "bold.nii.gz"))
/// print(header.shape, header.grid.spacing, header.grid.orientation)   // [64, 64, 30, 200] ... RAS
/// ```
public struct NIfTIHeader: Hashable, Sendable {
    /// The two generations of the format.
    public enum Version: Int, Sendable, CaseIterable {
        /// 348-byte header, 16-bit extents, 32-bit floats.
        case nifti1 = 1
        /// 540-byte header, 64-bit extents, 64-bit floats.
        case nifti2 = 2
    }

    /// The part of the header that placed the voxels in space.
    public enum Placement: Sendable {
        /// The affine in `srow_x`, `srow_y` and `srow_z` (method 3 of the standard).
        case sform
        /// The quaternion, `pixdim` and offsets (method 2).
        case qform
        /// `pixdim` alone (method 1): voxel (0, 0, 0) at the origin, axes taken for RAS, which the file
        /// does not say.
        case spacing
    }

    /// The format's generation.
    public let version: Version

    /// All extents, x fastest: three for a volume, four for a series, as many as the file has.
    public let shape: [Int]

    /// Shape and position of one volume, in millimetres whatever the file's unit (none counts as mm).
    public let grid: VoxelGrid

    /// Which part of the header gave the grid's affine: the sform if its code is above zero and its axes
    /// span space, else the qform if likewise, else `pixdim`.
    public let placement: Placement

    /// The sform's code as stored; zero if it is not in use.
    public let sformCode: Int

    /// The qform's code as stored; zero if it is not in use.
    public let qformCode: Int

    /// How voxels are stored: `uint8`, `int16`, `float32`, `rgb24` and so on.
    public let dataType: String

    /// Intensity = `slope` x stored value + `intercept`. 1 where the file asks for no scaling.
    public let slope: Double

    /// Intensity = `slope` x stored value + `intercept`. 0 where the file asks for no scaling.
    public let intercept: Double

    /// The file's free text (`descrip`), without control characters.
    public let text: String

    let layout: VoxelLayout

    /// The space of the placement that was used, or `nil` where no form was used or its code has no name.
    public var space: NIfTISpace? {
        switch placement {
        case .sform: NIfTISpace(rawValue: sformCode)
        case .qform: NIfTISpace(rawValue: qformCode)
        case .spacing: nil
        }
    }

    /// Reads a file's header alone. O(1) in time and memory.
    ///
    /// Series, vectors and colours are described too. Whether the file holds all its voxels is not checked.
    ///
    /// - Throws: `VolumeIOError`.
    public init(contentsOf url: URL) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            var reader = try ByteReader(path: url.path)
            self = try NIfTIHeader(readingFrom: &reader)
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }
}

/// The space that a file's coordinates belong to: the standard's form codes.
public enum NIfTISpace: Int, Sendable, CaseIterable {
    /// The scanner's own coordinates.
    case scanner = 1
    /// Aligned to another file, or to anatomical truth.
    case aligned = 2
    /// Talairach-Tournoux atlas.
    case talairach = 3
    /// MNI 152 atlas.
    case mni152 = 4
    /// Another template.
    case template = 5
}
