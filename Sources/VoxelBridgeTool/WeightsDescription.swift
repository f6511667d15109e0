import Foundation
import Networks
import TensorFiles
import VoxelBridge

/// What there is to tell of a file of weights.
struct WeightsDescription: Encodable {
    let format: String
    /// Which weights the file has, and which are told of.
    let available: [String]
    let weights: String
    let tensors: Int
    let parameters: Int
    let storedAs: [String]
    let configuration: ShownConfiguration
    /// What the network was trained for, where the file says so.
    let translation: TranslationSettings?

    init(of url: URL) throws {
        let (found, headChannels) = try UNetWeights.describing(contentsOf: url)
        format = PyTorchCheckpoint.canRead(url) ? "PyTorch checkpoint" : "safetensors"
        available = found.available.map(\.rawValue)
        weights = found.selection.rawValue
        tensors = found.names.count
        parameters = found.names.reduce(0) { $0 + (found.shape(of: $1) ?? []).reduce(1, *) }
        storedAs = Set(found.names.compactMap { found.type(of: $0)?.rawValue }).sorted()
        configuration = ShownConfiguration(fields: found.configuration, headChannels: headChannels)
        translation = found.translation
    }

    /// A configuration of which the heads may not be known.
    struct ShownConfiguration: Encodable {
        let fields: UNetConfiguration
        let headChannels: Int?

        func encode(to encoder: any Encoder) throws {
            try fields.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(headChannels, forKey: .headChannels)
        }

        private enum CodingKeys: String, CodingKey {
            case headChannels = "num_head_channels"
        }
    }

    /// A line for each fact.
    var lines: [String] {
        let facts = [
            ("format", format), ("holds", available.joined(separator: ", ")), ("weights", weights),
            ("parameters", "\(parameters), in \(tensors) tensors"),
            ("stored as", storedAs.joined(separator: ", ")),
        ]
        return Self.lines(facts, width: 13) + Self.lines("configuration", configurationFacts)
            + (translation.map { Self.lines("translation", Self.facts(of: $0)) } ?? [])
    }

    /// The configuration's fields as they would stand in a file.
    private var configurationFacts: [(String, String)] {
        let (heads, configuration) = (configuration.headChannels, configuration.fields)
        func list(_ numbers: [Int]) -> String { "[\(numbers.map(String.init).joined(separator: ", "))]" }
        return [
            ("in_channels", "\(configuration.inputChannels)"),
            ("out_channels", "\(configuration.outputChannels)"),
            ("model_channels", "\(configuration.modelChannels)"),
            ("num_res_blocks", "\(configuration.residualBlocks)"),
            ("channel_mult", list(configuration.channelMultipliers)),
            ("attention_resolutions", list(configuration.attentionResolutions)),
            (
                "num_head_channels",
                heads.map(String.init) ?? "not in the file: give it with --config"
            ),
            ("use_scale_shift_norm", "\(configuration.usesScaleShiftNorm)"),
            ("resblock_updown", "\(configuration.usesResidualResampling)"),
            ("use_spatial_transformer", "\(configuration.usesSpatialTransformer)"),
            ("context_dim", configuration.contextWidth.map(String.init) ?? "null"),
        ]
    }

    /// The settings' fields as they stand in the file.
    private static func facts(of settings: TranslationSettings) -> [(String, String)] {
        let fields = settings.process.explicitFields.sorted { $0.key < $1.key }
        return [("process.kind", settings.process.kind)]
            + fields.map { field, value in
                if case .string(let text) = value { return ("process.\(field)", text) }
                return ("process.\(field)", "\(value)")
            } + [
                ("objective", settings.predictionType.rawValue), ("spacing", "\(settings.spacing)"),
                ("plane", settings.plane.rawValue),
            ]
    }

    private static func lines(_ title: String, _ facts: [(String, String)]) -> [String] {
        [title] + lines(facts, width: 25).map { "  " + $0 }
    }

    private static func lines(_ facts: [(String, String)], width: Int) -> [String] {
        facts.map { $0.0.padding(toLength: width, withPad: " ", startingAt: 0) + $0.1 }
    }
}
