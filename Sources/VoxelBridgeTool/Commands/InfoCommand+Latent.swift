import Foundation
import LatentTranslation
import VoxelBridge
import VoxelSupport

/// The description of a file with weights of a 3-D latent model, or of a part of one.
struct LatentDescription: Encodable {
    let format: String
    /// The networks in the file: first_stage, and model or ema for each set of the denoiser's weights.
    let networks: [Network]
    /// The names of the targets, in the order of their classes.
    let targets: [String]
    /// The rest of the configuration, where the file states it.
    let settings: JSONValue?

    struct Network: Encodable {
        let name: String
        let tensors: Int
        let parameters: Int
        let storedAs: [String]
        /// With null for what is neither stated nor shown by the parameters.
        let configuration: JSONValue
    }

    init(of url: URL) throws {
        let file = try LatentFileDescription(contentsOf: url)
        format = PyTorchCheckpoint.canRead(url) ? "PyTorch checkpoint" : "safetensors"
        (targets, settings) = (file.targets, file.settings)
        networks = file.networks.map {
            Network(
                name: $0.name, tensors: $0.tensors, parameters: $0.parameters, storedAs: $0.storedAs,
                configuration: $0.configuration)
        }
    }

    /// A line for each field.
    var lines: [String] {
        func lines(_ facts: [(String, String)], width: Int) -> [String] {
            facts.map { $0.0.padding(toLength: width, withPad: " ", startingAt: 0) + $0.1 }
        }
        func text(_ value: JSONValue) -> String {
            switch value {
            case .null: "not in the file: give it with --config"
            case .string(let text): text
            default: (try? String(decoding: value.sortedJSON(), as: UTF8.self)) ?? "\(value)"
            }
        }
        func facts(_ value: JSONValue, _ path: String) -> [(String, String)] {
            guard case .object(let fields) = value else { return [] }
            return fields.sorted { $0.key < $1.key }.flatMap { name, value -> [(String, String)] in
                if case .object = value { return facts(value, "\(path)\(name).") }
                return [("\(path)\(name)", text(value))]
            }
        }
        let head = [
            ("format", format), ("model", "3-D latent translator"),
            ("holds", networks.map(\.name).joined(separator: ", ")),
            (
                "targets",
                targets.enumerated().map { "\($0.element) (\($0.offset))" }.joined(separator: ", ")
            ),
        ]
        return lines(head, width: 13)
            + networks.flatMap { network in
                [network.name]
                    + lines(
                        [
                            ("parameters", "\(network.parameters), in \(network.tensors) tensors"),
                            ("stored as", network.storedAs.joined(separator: ", ")),
                        ] + facts(network.configuration, ""), width: 25
                    ).map { "  " + $0 }
            } + (settings.map { ["settings"] + lines(facts($0, ""), width: 25).map { "  " + $0 } } ?? [])
    }
}
