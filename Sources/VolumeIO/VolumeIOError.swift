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
        /// There is a symbolic link at the path, and no file where it leads.
        case danglingLink(target: String)
        /// There is a folder, a pipe or a device at the path.
        case notARegularFile
        /// The file cannot be opened or read; the text is the system's.
        case unreadable(String)
        /// The file has no bytes.
        case empty
        /// The file does not begin with a NIfTI header.
        case notNIfTI
        /// The file stands for one that was not fetched.
        case pointer(Pointer)
        /// The file is a web page.
        case webPage
        /// The file is one DICOM file of a series.
        case dicom
        /// The file is a CIFTI file: a matrix of surface vertices and voxels.
        case cifti(shape: [Int])
        /// The header has no signature, and the file is not named as the `.hdr` of an ANALYZE 7.5 file.
        case analyze
        /// The header is that of a NIfTI file in two parts, and the file is not named `.hdr`.
        case headerOfPair
        /// The other file of a `.hdr` and `.img` pair does not exist; the text is its path.
        case missingPartner(String)
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
        /// A volume has more than 2^30 voxels.
        case tooManyVoxels(shape: [Int])
        /// There is no volume of that index.
        case noSuchVolume(index: Int, count: Int)
        /// Different numbers are so far from zero that they are equal as 32-bit floats.
        case indistinct(dataType: String, low: Double, high: Double)
        /// The system cannot provide the memory for the volume.
        case insufficientMemory(neededBytes: Int)

        /// A folder is to be read, and the program `dcm2niix` is not installed.
        case converterMissing
        /// `dcm2niix` has converted nothing; the text is its last message.
        case conversionFailed(String)
        /// The DICOM files of a folder are several series; the texts are their numbers and descriptions.
        case severalSeries([String])

        /// The name of the file to write ends in neither `.nii`, `.nii.gz`, `.hdr`, `.img`, `.hdr.gz` nor `.img.gz`.
        case unknownExtension
        /// The folder to write into does not exist.
        case missingFolder(String)
        /// The file cannot be written; the text is the system's.
        case unwritable(String)
        /// The grid does not fit the 16-bit extents or 32-bit positions of NIfTI-1.
        case gridTooLargeForNIfTI1(shape: [Int])
        /// NaN or infinite voxels are to be stored as integers.
        case notFiniteAsInteger(count: Int, dataType: String)
        /// Intensities of a series are not integers that the data type holds, or beyond the range given for it.
        case notRepresentable(low: Float, high: Float, dataType: String)
        /// A volume of a series has another shape than the series.
        case unequalShape(shape: [Int], expected: [Int])
        /// A series was ended with too few volumes, or has too many.
        case wrongVolumeCount(found: Int, expected: Int)
    }

    /// Programs that keep large files elsewhere and put a pointer in their place.
    public enum Pointer: String, Sendable {
        /// Git Large File Storage.
        case gitLFS = "Git LFS"
        /// git-annex, also used by DataLad.
        case gitAnnex = "git-annex"
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
        case .danglingLink(let target):
            target.contains(".git/annex/")
                ? "the contents are not here: git-annex or DataLad keeps them elsewhere; fetch them with "
                    + "'datalad get' or 'git annex get'"
                : "this is a link to \(target), which does not exist; restore the file or correct the link"
        case .notARegularFile:
            "this is a folder or a device, not a file; give the path of a .nii or .nii.gz file"
        case .unreadable(let reason):
            "the file cannot be read (\(reason)); check its permissions and its disk"
        case .empty:
            "the file is empty; download or write it again"
        case .notNIfTI:
            "this is not a NIfTI file: its header size is neither 348 (NIfTI-1) nor 540 (NIfTI-2), or its "
                + "signature is wrong; convert it to .nii or .nii.gz first"
        case .pointer(.gitLFS):
            "this is a pointer of Git LFS, not the file itself; fetch the file with 'git lfs pull'"
        case .pointer(.gitAnnex):
            "this is a pointer of git-annex, not the file itself; fetch the file with 'datalad get' or "
                + "'git annex get'"
        case .webPage:
            "this is a web page (HTML), not a volume: the download failed or asked to sign in; download it again"
        case .dicom:
            "this is a DICOM file; give the folder of its series, which is read if dcm2niix is installed"
        case .cifti(let shape):
            "this is a CIFTI file, a matrix of \(shape.map(String.init).joined(separator: " x ")) over surfaces and "
                + "voxels, and no volume; extract one with 'wb_command -cifti-separate'"
        case .analyze:
            "the header has no NIfTI signature; if this is an ANALYZE 7.5 file, name its files .hdr and .img, else "
                + "the header is damaged"
        case .headerOfPair:
            "this is the header of a .hdr and .img pair; give its files the same name with these extensions"
        case .missingPartner(let path):
            "this file is one of a pair, and the other, \(path), does not exist; copy both"
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
                + "extract one first, with 'voxelbridge convert --volume' or VolumeFile(contentsOf:volume:)"
        case .tooManyVoxels(let shape):
            "a volume of \(shape.map(String.init).joined(separator: " x ")) has more than 2^30 voxels; "
                + "resample or crop it first"
        case .noSuchVolume(let index, let count):
            "there is no volume \(index); the file has \(count), counted from 0"
        case .indistinct(let type, let low, let high):
            "the \(type) numbers, \(low.longText) to \(high.longText), are so far from 0 that all are equal as 32-bit "
                + "floats; subtract a constant first"
        case .insufficientMemory(let bytes):
            "the volume needs \(bytes) bytes of memory, which the system cannot provide; "
                + "resample or crop it first"
        case .converterMissing:
            "this is a folder; to read the DICOM files in it, install dcm2niix (Debian package dcm2niix), or convert "
                + "them to .nii.gz first"
        case .conversionFailed(let message):
            "dcm2niix found no image in this folder: \(message); give a folder of DICOM files, or a .nii.gz file"
        case .severalSeries(let names):
            "the DICOM files in this folder are several series: \(names.joined(separator: "; ")); "
                + "put one series in a folder of its own, or convert them with dcm2niix and give one file"
        case .unknownExtension:
            "the name must end in .nii, .nii.gz, .hdr or .img"
        case .missingFolder(let folder):
            "the folder \(folder) does not exist; create it first"
        case .unwritable(let reason):
            "the file cannot be written (\(reason)); check permissions and free space"
        case .gridTooLargeForNIfTI1(let shape):
            "a grid of \(shape.map(String.init).joined(separator: " x ")) with its placement does not fit a "
                + "NIfTI-1 header (extents to 32767, 32-bit positions); write NIfTI-2"
        case .notFiniteAsInteger(let count, let type):
            "\(count) voxels are NaN or infinite, which \(type) cannot hold; replace them, or write float32"
        case .notRepresentable(let low, let high, let type):
            "the intensities, \(low) to \(high), are not integers that \(type) holds, or beyond the range given for "
                + "the series; give the range of the whole series, or write float32"
        case .unequalShape(let shape, let expected):
            "a volume of the series is \(shape.map(String.init).joined(separator: " x ")); expected "
                + expected.map(String.init).joined(separator: " x ")
        case .wrongVolumeCount(let found, let expected):
            "the series has \(found) volumes; expected \(expected), as it was begun"
        }
    }
    /// The same as `description`.
    public var errorDescription: String? { description }
}

extension Double {
    /// All digits that distinguish the number from its neighbours: `1099511627776`, `0.1`.
    var longText: String {
        self == rounded() && abs(self) < 1e18 ? String(format: "%.0f", self) : "\(self)"
    }
}
