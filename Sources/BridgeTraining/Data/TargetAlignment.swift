import Foundation
import VolumeRegistration
import Volumes

extension Volume {
    /// The volume at the position where it is aligned with the source of its pair. The source stays: a translated volume
    /// lies on its source's grid, and sources are seen in training as they are in translation.
    ///
    /// One thread, as several subjects are prepared at once.
    ///
    /// - Throws: `RegistrationError`; `DoubtfulAlignment`.
    func aligned(with source: Volume, in file: URL) throws -> Volume {
        var registration = RigidRegistration()
        registration.threads = 1
        let result = try registration.alignNow(self, to: source)
        guard result.warnings.isEmpty else {
            throw DoubtfulAlignment(source: file.path, warnings: result.warnings.map(\.description))
        }
        return moved(by: result.transform)
    }
}

/// A pair whose alignment is too doubtful to train on.
struct DoubtfulAlignment: LocalizedError, CustomStringConvertible, Equatable {
    let source: String
    let warnings: [String]

    var description: String {
        "its alignment with \(source) is doubtful: \(warnings.joined(separator: "; ")); align the pair yourself "
            + "('voxelbridge register'), or leave the subject out"
    }
    var errorDescription: String? { description }
}
