import Foundation

/// Why a U-Net could not be loaded or evaluated. `ParameterError` says what is wrong with its parameters.
public enum UNetError: LocalizedError, Equatable, CustomStringConvertible {
    /// A file holds no U-Net's weights.
    case noNetwork(file: String, reason: String)
    /// Nothing says how many channels a head of attention has, which no parameter shows.
    case unknownHeadChannels(file: String)
    /// An input does not fit the network or the other inputs.
    case input(name: String, found: String, expected: String)

    /// The description.
    public var errorDescription: String? { description }

    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .noNetwork(let file, let reason):
            return "\(file): these are not the weights of a U-Net: \(reason)"
        case .unknownHeadChannels(let file):
            return
                "\(file): the parameters show all of the network's configuration but num_head_channels; give it in "
                + "a configuration file, for which {\"num_head_channels\": 64} is enough if it is 64"
        case .input(let name, let found, let expected):
            return "\(name): found \(found); expected \(expected)"
        }
    }
}
