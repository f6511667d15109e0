import Foundation

/// Why a file could not be read or written.
public struct VolumeIOError: Error, Hashable, Sendable {
    /// The path of the file.
    public let path: String

    /// What is wrong with it.
    public let reason: Reason

    /// The possible reasons. Sizes are in bytes.
    public enum Reason: Error, Hashable, Sendable {
        /// There is no file at the path.
        case missing
        /// There is a folder, a pipe or a device at the path.
        case notARegularFile
        /// The file cannot be opened or read; the text is the system's.
        case unreadable(String)
        /// The file has no bytes.
        case empty
        /// The file does not begin with a NIfTI header.
        case notNIfTI
        /// The header is that of an ANALYZE 7.5 file.
        case analyze
        /// The header is the `.hdr` of a NIfTI file in two parts.
        case headerOfPair
        /// The gzip stream is damaged, or ends before its checksum.
        case corruptGzip
        /// The file is too short.
        case truncated(expectedBytes: Int, foundBytes: Int)
        /// A compressed file of `fileBytes` cannot hold the voxels that the header claims.
        case impossibleSize(claimedBytes: Int, fileBytes: Int)
        /// `dim` is not a count from 1 to 7 and as many extents of at least one, or their product is above 2^59.
        case invalidDimensions([Int])
        /// `vox_offset` is not a whole number, or points into the header or beyond the end of the file.
        case invalidDataOffset(Double)
        /// `bitpix` is not the size of `datatype`.
        case bitsPerVoxelMismatch(dataType: String, expected: Int, found: Int)
        /// `scl_slope` is in use and `scl_inter` is not finite.
        case invalidScaling(slope: Double, intercept: Double)
        /// None of sform, qform and `pixdim` gives an invertible affine.
        case noUsablePlacement
        /// The data type is not one real number per voxel.
        case unsupportedDataType(String)
        /// The file holds a series of volumes, vectors, or a line; `shape` has all extents.
        case notOneVolume(shape: [Int])
        /// The system cannot provide the memory for the volume.
        case insufficientMemory(neededBytes: Int)

        /// The name of the file to write ends neither in `.nii` nor in `.nii.gz`.
        case unknownExtension
        /// The folder to write into does not exist.
        case missingFolder(String)
        /// The file cannot be written; the text is the system's.
        case unwritable(String)
        /// The grid does not fit the 16-bit extents or 32-bit positions of NIfTI-1.
        case gridTooLargeForNIfTI1(shape: [Int])
    }
}

extension VolumeIOError: CustomStringConvertible, LocalizedError {
    /// The file, what was found in it, what was expected, and what to do.
    public var description: String { "\(path): \(reason)" }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

extension VolumeIOError.Reason: CustomStringConvertible, LocalizedError {
    /// What was found, what was expected, and what to do.
    public var description: String {
        switch self {
        case .missing:
            "there is no such file; check the path"
        case .notARegularFile:
            "this is a folder or a device, not a file; give the path of a .nii or .nii.gz file"
        case .unreadable(let reason):
            "the file cannot be read (\(reason)); check its permissions and its disk"
        case .empty:
            "the file is empty; download or write it again"
        case .notNIfTI:
            "this is not a NIfTI file: its header size is neither 348 (NIfTI-1) nor 540 (NIfTI-2), or its "
                + "signature is wrong; convert it to .nii or .nii.gz first"
        case .analyze:
            "this is an ANALYZE 7.5 header, which does not distinguish left from right; convert it to .nii first"
        case .headerOfPair:
            "this is the header of a .hdr and .img pair; convert the pair to one .nii file first"
        case .corruptGzip:
            "the gzip stream is damaged or truncated (`gzip -t` checks it); download or write the file again"
        case .truncated(let expected, let found):
            "the file is too short: found \(found) bytes; expected \(expected); download or write it again"
        case .impossibleSize(let claimed, let file):
            "the header claims \(claimed) bytes of voxels, more than a compressed file of \(file) bytes can "
                + "hold; the header is damaged or the file truncated"
        case .invalidDimensions(let dim):
            "the header's dim is \(dim); it must begin with a count from 1 to 7, and that many extents of at "
                + "least 1 must follow; the header is damaged"
        case .invalidDataOffset(let offset):
            "the header's vox_offset is \(offset); it must be a whole number past the header's end and within "
                + "the file; the header is damaged or the file truncated"
        case .bitsPerVoxelMismatch(let type, let expected, let found):
            "the header's bitpix is \(found); expected \(expected) for its datatype \(type); the header is damaged"
        case .invalidScaling(let slope, let intercept):
            "the header's scl_slope is \(slope) and its scl_inter \(intercept), which must be finite; "
                + "correct the header"
        case .noUsablePlacement:
            "none of sform, qform and pixdim gives three finite, linearly independent axes; "
                + "correct the header"
        case .unsupportedDataType(let type):
            "the data type is \(type); expected one real number per voxel, of 8 to 64 bits; convert the file first"
        case .notOneVolume(let shape):
            "the file holds an array of \(shape.map(String.init).joined(separator: " x ")); expected one volume; "
                + "extract one first, with fslroi or nibabel's slicer"
        case .insufficientMemory(let bytes):
            "the volume needs \(bytes) bytes of memory, which the system cannot provide; "
                + "resample or crop it first"
        case .unknownExtension:
            "the name must end in .nii or .nii.gz"
        case .missingFolder(let folder):
            "the folder \(folder) does not exist; create it first"
        case .unwritable(let reason):
            "the file cannot be written (\(reason)); check permissions and free space"
        case .gridTooLargeForNIfTI1(let shape):
            "a grid of \(shape.map(String.init).joined(separator: " x ")) with its placement does not fit a "
                + "NIfTI-1 header (extents to 32767, 32-bit positions); write NIfTI-2"
        }
    }
    /// The same as `description`.
    public var errorDescription: String? { description }
}
