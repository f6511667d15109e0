/// Why a U-Net could not be loaded or evaluated.
public enum UNetError: Error, Equatable, CustomStringConvertible {
    /// A weights file holds other parameters than the configuration needs.
    case parameters(file: String, missing: [String], extra: [String], misshapen: [Misshapen])
    /// A parameter holds NaN or an infinity.
    case notFinite(file: String, parameter: String)
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
