/// Why a cohort could not be made.
public enum PhantomError: Error, Hashable, CustomStringConvertible {
    /// The anatomy's image holds no brain that can be told from what surrounds it.
    case noBrain

    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .noBrain:
            "no brain was found in the volume: give a T1 image of a head or, better, of a skull-stripped brain"
        }
    }
}
