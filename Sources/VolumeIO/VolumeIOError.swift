import Foundation

/// Why a file could not be read or written.
///
/// ```swift
/// do {
///     volume = try Volume(contentsOf: url)
/// } catch {
///     guard error.reason == .missing else { throw error }
///     volume = blank
/// }
/// ```
public struct VolumeIOError: Error, Hashable, Sendable {
    /// The file that was to be read or written.
    public let path: String

    /// What is wrong with it.
    public let reason: Reason

    /// What can be wrong with a file. Sizes are in bytes.
    public enum Reason: Error, Hashable, Sendable {
        /// There is no file at the path.
        case missing
        /// There is a folder, a pipe or a device at the path.
        case notARegularFile
        /// The system would not open or read the file; the text is its own.
        case unreadable(String)
        /// The file holds no byte at all.
        case empty
        /// The file does not begin as a NIfTI file does.
        case notNIfTI
        /// The header is that of an ANALYZE 7.5 file.
        case analyze
        /// The header is the `.hdr` of a NIfTI file in two parts.
        case headerOfPair
        /// The compressed stream is damaged, or ends before its checksum.
        case corruptGzip
        /// The file ends too early.
        case truncated(expectedBytes: Int, foundBytes: Int)
        /// No compressed file of `fileBytes` can hold the voxels that the header claims.
        case impossibleSize(claimedBytes: Int, fileBytes: Int)
        /// `dim` is not a count of 1 to 7 extents that are all at least one, or their product is beyond 2^59.
        case invalidDimensions([Int])
        /// `vox_offset` is not a whole number, or lies inside the header or beyond the end of the file.
        case invalidDataOffset(Double)
        /// `bitpix` is not the size of `datatype`.
        case bitsPerVoxelMismatch(dataType: String, expected: Int, found: Int)
        /// `scl_inter` is not finite although `scl_slope` asks for scaling.
        case invalidScaling(slope: Double, intercept: Double)
        /// Neither sform nor qform nor `pixdim` places the voxels in space.
        case noUsablePlacement
        /// The voxels are not one real number each.
        case unsupportedDataType(String)
        /// The file holds a series of volumes, vectors, or a line; the shape is that of the whole.
        case notOneVolume(shape: [Int])
        /// The system has too little memory for the volume.
        case insufficientMemory(neededBytes: Int)

        /// The name to write to ends neither in `.nii` nor in `.nii.gz`.
        case unknownExtension
        /// The folder to write into does not exist.
        case missingFolder(String)
        /// The system would not write; the text is its own.
        case unwritable(String)
        /// NIfTI-1 was asked for, and its 16-bit extents or 32-bit positions cannot hold the grid.
        case gridTooLargeForNIfTI1(shape: [Int])
    }
}

extension VolumeIOError: CustomStringConvertible, LocalizedError {
    /// The file, what was found in it, what was expected, and what to do.
    public var description: String { "\(path): \(reason)" }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

extension VolumeIOError.Reason: CustomStringConvertible {
    /// What was found, what was expected, and what to do.
    public var description: String {
        switch self {
        case .missing:
            "there is no such file; check the path"
        case .notARegularFile:
            "this is a folder or a device and no file; give the path of a .nii or .nii.gz file"
        case .unreadable(let reason):
            "the file cannot be read (\(reason)); check its permissions and its disk"
        case .empty:
            "the file is empty; fetch it or write it again"
        case .notNIfTI:
            "this is no NIfTI file: its header size is neither 348 (NIfTI-1) nor 540 (NIfTI-2), or its "
                + "signature is wrong; convert it to .nii or .nii.gz first"
        case .analyze:
            "this is an ANALYZE 7.5 header, which does not say left from right; convert it to .nii first"
        case .headerOfPair:
            "this is the header of a .hdr and .img pair; convert the pair to one .nii file first"
        case .corruptGzip:
            "the gzip stream is damaged or cut short (`gzip -t` checks it); fetch or write the file again"
        case .truncated(let expected, let found):
            "the file ends too early: \(expected) bytes are needed and \(found) are there; "
                + "fetch or write it again"
        case .impossibleSize(let claimed, let file):
            "the header claims \(claimed) bytes of voxels, more than a compressed file of \(file) bytes can "
                + "hold; the header is damaged or the file cut short"
        case .invalidDimensions(let dim):
            "the header's dim is \(dim); it must begin with a count from 1 to 7, and that many extents of at "
                + "least 1 must follow; the header is damaged"
        case .invalidDataOffset(let offset):
            "the header's vox_offset is \(offset); it must be a whole number past the header's end and within "
                + "the file; the header is damaged or the file cut short"
        case .bitsPerVoxelMismatch(let type, let expected, let found):
            "the header's bitpix is \(found), and its datatype \(type) takes \(expected); the header is damaged"
        case .invalidScaling(let slope, let intercept):
            "the header's scl_slope is \(slope) and its scl_inter \(intercept), which must be finite; "
                + "correct the header"
        case .noUsablePlacement:
            "neither the sform nor the qform nor pixdim gives three finite, independent axes; "
                + "correct the header"
        case .unsupportedDataType(let type):
            "voxels are stored as \(type), and one real number a voxel (8 to 64 bits) is expected; "
                + "convert the file first"
        case .notOneVolume(let shape):
            "the file holds an array of \(shape.map(String.init).joined(separator: " x ")), and one volume is "
                + "expected; extract one volume first (fslroi or nibabel's slicer do)"
        case .insufficientMemory(let bytes):
            "the volume needs \(bytes) bytes of memory, which the system will not give; "
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
}
