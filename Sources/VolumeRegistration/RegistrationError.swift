public import Foundation
public import Volumes

/// The two volumes of a registration.
public enum RegistrationVolume: String, Sendable {
    /// The volume that is moved.
    case moving
    /// The volume that stays.
    case fixed
}

/// Why volumes could not be registered, or a transform not be read or written.
public enum RegistrationError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A volume has fewer than four voxels along an axis.
    case tooFewVoxels(RegistrationVolume, shape: SIMD3<Int>)
    /// All finite intensities of a volume are equal.
    case constantVolume(RegistrationVolume)
    /// The mask is not on the grid of the fixed volume.
    case maskGrid(found: VoxelGrid, expected: VoxelGrid)
    /// The mask is nowhere above zero.
    case emptyMask
    /// From no start enough of the fixed volume lies in the moving volume's field of view.
    case insufficientOverlap(largest: Double, minimum: Double)
    /// A file is missing or is not a rigid transform.
    case unreadable(file: URL, reason: String)
    /// A file could not be written.
    case unwritable(file: URL, reason: String)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .tooFewVoxels(let volume, let shape):
            "the \(volume) volume has \(shape.text) voxels; expected at least 4 along each axis, as a rigid "
                + "registration needs a body in three dimensions"
        case .constantVolume(let volume):
            "all intensities of the \(volume) volume are equal or not finite, so there is nothing to align; check "
                + "that it is the right volume"
        case .maskGrid(let found, let expected):
            "the mask is not on the grid of the fixed volume: found \(found); expected \(expected)"
        case .emptyMask:
            "the mask is nowhere above zero; expected it to be above zero where the fixed volume is compared"
        case .insufficientOverlap(let largest, let minimum):
            "the fields of view barely overlap: at most \(percent(largest)) of the fixed volume lies in the moving "
                + "volume's; expected at least \(percent(minimum)); give a transform to start from (--initial), or "
                + "lower --minimum-overlap"
        case .unreadable(let file, let reason):
            "\(file.path) is not a rigid transform: \(reason)"
        case .unwritable(let file, let reason):
            "the transform cannot be written to \(file.path): \(reason)"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

/// A fraction as `37 %`.
func percent(_ fraction: Double) -> String { "\(Int((fraction * 100).rounded())) %" }
