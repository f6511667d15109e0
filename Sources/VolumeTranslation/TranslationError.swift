public import Foundation

/// Why a volume could not be translated.
public enum TranslationError: LocalizedError, CustomStringConvertible {
    /// A style key's histogram has negative values, or nothing above zero.
    case styleIsNoHistogram

    /// A style key has another number of bins than the network takes.
    case styleBins(found: Int, expected: Int)

    /// What was found and what to do.
    public var description: String {
        switch self {
        case .styleIsNoHistogram:
            "the style key's \"histogram\" must hold no negative value and at least one above zero; make the key "
                + "from a volume, or translate with a network"
        case .styleBins(let found, let expected):
            "the style key has \(found) bins and the network takes \(expected); make the key anew with "
                + "\(expected) bins"
        }
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}
