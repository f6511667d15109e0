import Foundation

/// Why a U-Net could not be loaded or evaluated.
public enum UNetError: LocalizedError, Equatable, CustomStringConvertible {
    /// A weights file holds other parameters than the configuration needs.
    case parameters(file: String, missing: [String], extra: [String], misshapen: [Misshapen])
    /// A parameter holds NaN or an infinity.
    case notFinite(file: String, parameter: String)
    /// A file has no weights of the kind that is wanted.
    case noSelection(file: String, wanted: String, found: [String])
    /// A file holds no U-Net's weights.
    case noNetwork(file: String, reason: String)
    /// A parameter is missing without which the sizes of the network are not known.
    case unknownNetwork(file: String, missing: String)
    /// Nothing says how many channels a head of attention has, which no parameter shows.
    case unknownHeadChannels(file: String)
    /// A parameter is not stored as floating-point numbers.
    case parameterType(file: String, parameter: String, found: String)
    /// Parameters share their numbers: together they are larger than the file.
    case sharedNumbers(file: String, size: Int, fileSize: Int)
    /// An input does not fit the network or the other inputs.
    case input(name: String, found: String, expected: String)

    /// A parameter whose shape is not the one that the configuration gives it.
    public struct Misshapen: Equatable, Sendable {
        /// The name in the file.
        public let name: String
        /// The shape in the file.
        public let found: [Int]
        /// The shape that the configuration gives it.
        public let expected: [Int]
    }

    /// The description.
    public var errorDescription: String? { description }

    /// What was found and what was expected; of long lists, the first ten.
    public var description: String {
        switch self {
        case .parameters(let file, let missing, let extra, let misshapen):
            let lists = [
                Self.list("missing", missing), Self.list("not expected", extra),
                Self.list("misshapen", misshapen.map { "\($0.name) \($0.found), expected \($0.expected)" }),
            ]
            return "\(file): the parameters are not those of the configuration; are the two of one network?"
                + lists.joined()
        case .notFinite(let file, let parameter):
            return "\(file): parameter \(parameter) holds NaN or an infinity; expected finite numbers"
        case .noSelection(let file, let wanted, let found):
            return
                "\(file): there are no '\(wanted)' weights; there are '\(found.joined(separator: "' and '"))'"
        case .noNetwork(let file, let reason):
            return "\(file): these are not the weights of a U-Net: \(reason)"
        case .unknownNetwork(let file, let missing):
            return
                "\(file): there is no parameter \(missing), without which the network's sizes do not show; are "
                + "these the weights of a U-Net?"
        case .unknownHeadChannels(let file):
            return
                "\(file): the parameters show all of the network's configuration but num_head_channels; give it in "
                + "a configuration file, for which {\"num_head_channels\": 64} is enough if it is 64"
        case .parameterType(let file, let parameter, let found):
            return "\(file): parameter \(parameter) is stored as \(found); expected floating-point numbers"
        case .sharedNumbers(let file, let size, let fileSize):
            return
                "\(file): the parameters take \(size) bytes and the file has \(fileSize), so that some share their "
                + "numbers; expected each to have its own"
        case .input(let name, let found, let expected):
            return "\(name): found \(found); expected \(expected)"
        }
    }

    private static func list(_ title: String, _ items: [String]) -> String {
        guard !items.isEmpty else { return "" }
        let more = items.count > 10 ? ["... and \(items.count - 10) more"] : []
        return "\n\(items.count) \(title):" + (items.prefix(10) + more).map { "\n  \($0)" }.joined()
    }
}
