import Networks
import TensorFiles

/// The parameters of a network among the tensors of a source, by their names without prefix.
struct UNetParameters {
    /// The prefix of each parameter's name in published checkpoints.
    private static let prefix = "denoise_fn."

    private let source: any TensorSource
    /// The prefix of the names in the source: the published one where any name has it.
    private let prefix: String
    /// The names in the source, without those that are skipped.
    private let names: [String]

    /// All tensors of a source are parameters, except arrays of one axis whose names have no dot.
    ///
    /// Published checkpoints keep the schedule that way, beside the network (`m_t`, `variance_t`, `betas`, ...).
    /// Every parameter's name has a dot, after the layer it belongs to.
    init(_ source: any TensorSource) {
        self.source = source
        let names = source.names
        prefix = names.contains { $0.hasPrefix(Self.prefix) } ? Self.prefix : ""
        self.names = names.filter { $0.contains(".") || source.shape(of: $0)?.count != 1 }
    }

    /// The name that a parameter has in the source.
    func storedName(_ name: String) -> String { prefix + name }

    /// The shape of a parameter, or nil if it does not exist.
    func shape(of name: String) -> [Int]? { source.shape(of: storedName(name)) }

    /// What differs from the parameters of an architecture, or nil where nothing does.
    func difference(from architecture: UNetArchitecture, file: String) -> ParameterError? {
        ParameterError(
            expected: Dictionary(
                uniqueKeysWithValues: architecture.parameters.map { (storedName($0.name), $0.shape) }),
            found: names, in: source, file: file)
    }
}
