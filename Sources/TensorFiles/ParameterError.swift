public import Foundation

/// Why the parameters in a file of weights are not those of a network.
public enum ParameterError: LocalizedError, Equatable, CustomStringConvertible {
    /// A file holds other parameters than the configuration needs; `part` names the network where a model has several.
    case mismatch(
        file: String, part: String?, missing: [String], extra: [String], misshapen: [Misshapen])
    /// A parameter holds NaN or an infinity.
    case notFinite(file: String, parameter: String)
    /// A file has no weights of the kind that is wanted.
    case noSelection(file: String, wanted: String, found: [String])
    /// A parameter is not stored as floating-point numbers.
    case type(file: String, parameter: String, found: String)
    /// Parameters share their numbers: together they are larger than the file.
    case sharedNumbers(file: String, size: Int, fileSize: Int)
    /// A parameter is missing without which the sizes of a network, such as a U-Net, are not known.
    case unknownSizes(file: String, missing: String, network: String)

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
        case .mismatch(let file, let part, let missing, let extra, let misshapen):
            let lists = [
                Self.list("missing", missing), Self.list("not expected", extra),
                Self.list(
                    "with the wrong shape",
                    misshapen.map { "\($0.name) \($0.found), expected \($0.expected)" }),
            ]
            let parameters = part.map { "the parameters of the \($0)" } ?? "the parameters"
            return
                "\(file): \(parameters) do not match the configuration; check that both belong to the same network"
                + lists.joined()
        case .notFinite(let file, let parameter):
            return "\(file): parameter \(parameter) holds NaN or an infinity; expected finite numbers"
        case .noSelection(let file, let wanted, let found):
            return
                "\(file): there are no '\(wanted)' weights; there are '\(found.joined(separator: "' and '"))'; choose one "
                + "of these with --weights"
        case .type(let file, let parameter, let found):
            return "\(file): parameter \(parameter) is stored as \(found); expected floating-point numbers"
        case .sharedNumbers(let file, let size, let fileSize):
            return
                "\(file): the parameters take \(size) bytes and the file has \(fileSize), so that some share their "
                + "numbers; expected each to have its own"
        case .unknownSizes(let file, let missing, let network):
            return
                "\(file): there is no parameter \(missing), from which the network's sizes are derived; check that these "
                + "are the weights of \(network)"
        }
    }

    private static func list(_ title: String, _ items: [String]) -> String {
        guard !items.isEmpty else { return "" }
        let more = items.count > 10 ? ["... and \(items.count - 10) more"] : []
        return "\n\(items.count) \(title):" + (items.prefix(10) + more).map { "\n  \($0)" }.joined()
    }
}

extension ParameterError {
    /// What differs between a network's parameters and those in a source; nil where nothing does.
    ///
    /// - Parameters:
    ///   - expected: the shape of each parameter, by its name in the source.
    ///   - names: the names of the parameters in the source.
    ///   - source: the tensors of a file.
    package init?(
        expected: [String: [Int]], found names: [String], in source: any TensorSource, file: String,
        part: String? = nil
    ) {
        let missing = expected.keys.filter { source.shape(of: $0) == nil }
        let extra = names.filter { expected[$0] == nil }
        let misshapen = expected.compactMap { stored, shape -> Misshapen? in
            guard let found = source.shape(of: stored), found != shape else { return nil }
            return Misshapen(name: stored, found: found, expected: shape)
        }
        guard !missing.isEmpty || !extra.isEmpty || !misshapen.isEmpty else { return nil }
        self = .mismatch(
            file: file, part: part, missing: missing.sorted(), extra: extra,
            misshapen: misshapen.sorted { $0.name < $1.name })
    }
}

extension TensorSource {
    /// A parameter.
    ///
    /// - Throws: `ParameterError.notFinite`; what reading throws.
    package func parameter(_ name: String, file: String) throws -> Tensor {
        let tensor = try tensor(name)
        guard tensor.values.allSatisfy(\.isFinite) else {
            throw ParameterError.notFinite(file: file, parameter: name)
        }
        return tensor
    }

    /// The bytes that a parameter takes.
    ///
    /// - Throws: `ParameterError.type` unless it is stored as floating-point numbers.
    package func storedBytes(of name: String, file: String) throws -> Int {
        guard let type = type(of: name), type.isFloatingPoint else {
            throw ParameterError.type(file: file, parameter: name, found: type(of: name)?.rawValue ?? "none")
        }
        return (shape(of: name) ?? []).reduce(type.size, *)
    }
}
