public import Foundation

/// Why a volume could not be translated.
public enum TranslationError: LocalizedError, CustomStringConvertible {
    /// A style key's histogram has negative values, or none above zero.
    case styleIsNoHistogram

    /// A style key and the network differ in the number of bins.
    case styleBins(found: Int, expected: Int)

    /// The cause and a remedy.
    public var description: String {
        switch self {
        case .styleIsNoHistogram:
            "the style key's \"histogram\" must have no negative value and at least one above zero; compute the "
                + "key from a volume, or translate with a network"
        case .styleBins(let found, let expected):
            "the style key has \(found) bins and the network takes \(expected); compute a key with \(expected) bins"
        }
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}
