/// What a file does not say, or says in two ways, and how it was read.
public enum VolumeIOWarning: Hashable, Sendable {
    /// Neither sform nor qform is in use: the file does not tell left from right.
    case noOrientation
    /// The file is of the ANALYZE 7.5 format, which does not tell left from right.
    case analyze
    /// A file of SPM beside an ANALYZE file; its position is not read.
    case unreadMatrix(path: String)
    /// A form is in use and has no three finite, linearly independent axes. It is ignored.
    case unusableForm(String, code: Int)
    /// Sform and qform place the voxels differently: turned by some degrees, and up to some millimetres apart.
    case formsDisagree(degrees: Double, millimetres: Double)
    /// An extent of `dim` is 0; `axis` counts from 1.
    case extentOfZero(axis: Int)
    /// The header extensions from a position in the file on are damaged. They are ignored.
    case damagedExtension(offset: Int)
    /// Voxels that were NaN or infinite, and are NaN.
    case notFinite(count: Int)
    /// Numbers far from zero, of which 32-bit floats keep multiples of `step` only.
    case coarse(dataType: String, low: Double, high: Double, step: Double)
    /// Of the files that came of a DICOM series, one corrected for tilted or unequally spaced slices was read.
    case correctedDICOM(file: String)
}

extension VolumeIOWarning: CustomStringConvertible {
    /// What was found, and how it was read.
    public var description: String {
        switch self {
        case .noOrientation:
            "sform and qform have code 0: the file does not tell left from right; taken as LAS about the centre, as "
                + "NiBabel and FSL do"
        case .analyze:
            "an ANALYZE 7.5 file does not tell left from right; taken as LAS, as SPM and NiBabel do"
        case .unreadMatrix(let path):
            "\(path) may hold another position, which is not read; save the volume as NIfTI in SPM to keep it"
        case .unusableForm(let form, let code):
            "the \(form) has code \(code) and no three finite, linearly independent axes; it is ignored"
        case .formsDisagree(let degrees, let millimetres):
            "the qform is turned by \(degrees.shortText) degrees from the sform, and voxels are up to "
                + "\(millimetres.shortText) mm apart; the sform is used"
        case .extentOfZero(let axis):
            "the header's dim has an extent of 0 on axis \(axis); read as 1"
        case .damagedExtension(let offset):
            "the header extensions from byte \(offset) on are damaged, and are ignored"
        case .notFinite(let count): "\(count) voxels are NaN or infinite, and count as background"
        case .coarse(let type, let low, let high, let step):
            "the \(type) numbers, \(low.longText) to \(high.longText), are so far from 0 that 32-bit floats keep "
                + "multiples of \(step.shortText) only; subtract a constant first"
        case .correctedDICOM(let file):
            "dcm2niix wrote the series both as scanned and corrected for tilt or unequal spacing; the corrected \(file) "
                + "was read"
        }
    }
}
