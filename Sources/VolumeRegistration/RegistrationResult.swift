import Volumes

/// The result of a registration, and how far it can be relied on.
public struct RegistrationResult: Equatable, Sendable {
    /// The motion that aligns the moving volume with the fixed one: world positions of the moving volume to those of the
    /// fixed volume.
    public let transform: RigidTransform

    /// Normalised mutual information of the volumes, 1 (independent) to 2 (each determines the other), when aligned.
    public let similarity: Double

    /// Normalised mutual information at the start; `nil` if the volumes did not overlap enough.
    public let initialSimilarity: Double?

    /// The fraction of the compared part of the fixed volume that lies in the moving volume's field of view, 0 to 1.
    public let overlap: Double

    /// Why the result may be wrong; empty if there is no reason for doubt.
    public let warnings: [RegistrationWarning]
}

extension RegistrationResult: CustomStringConvertible {
    /// The transform, the similarity, the overlap and the warnings, a line each.
    public var description: String {
        let before = initialSimilarity.map { " (\($0.shortText) at the start)" } ?? ""
        let facts = [
            "\(transform)",
            "normalised mutual information \(similarity.shortText)\(before), overlap \(percent(overlap))",
        ]
        return (facts + warnings.map { "warning: \($0)" }).joined(separator: "\n")
    }
}

/// A reason for which a registration may be wrong.
public enum RegistrationWarning: Hashable, Sendable, CustomStringConvertible {
    /// Less than half of the fixed volume lies in the moving volume's field of view.
    case lowOverlap(Double)
    /// The similarity is hardly higher than for unrelated poses.
    case weakSimilarity(best: Double, typical: Double)
    /// Another pose, so far away in millimetres (root mean square), is almost as similar.
    case ambiguous(distance: Double)
    /// The rotation in degrees is beyond those that were searched.
    case beyondSearchRange(degrees: Double, searched: Double)

    /// What was found and what to do.
    public var description: String {
        switch self {
        case .lowOverlap(let overlap):
            "only \(percent(overlap)) of the fixed volume lies in the moving volume's field of view; check the "
                + "alignment"
        case .weakSimilarity(let best, let typical):
            "the volumes share little information: normalised mutual information is \(best.shortText), and "
                + "\(typical.shortText) for unrelated poses; check that they show the same subject"
        case .ambiguous(let distance):
            "another pose, \(distance.shortText) mm away, is almost as similar; check the alignment"
        case .beyondSearchRange(let degrees, let searched):
            "the rotation of \(degrees.shortText) degrees from the start is beyond the \(searched.shortText) that are "
                + "searched; check the alignment, or start closer to it"
        }
    }
}
