import ArgumentParser
import Foundation
import LatentTranslation
import Networks
import TensorFiles
import VoxelBridge

struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Describe a file: a volume, or the weights of a network.",
        discussion: """
            For a volume: shape, spacing, orientation, intensities. For weights: the sets of weights, the number of \
            parameters, the network's configuration, and the settings used in training.
            """)

    @Argument(help: "The file (a volume or series as 'convert' reads it; .safetensors or .pth).")
    var file: String

    @Flag(help: "Print a JSON object.")
    var json = false

    func run() throws {
        let url = URL(filePath: file)
        if LatentWeights.isLatentModel(url) {
            let description = try LatentDescription(of: url)
            try show(description, description.lines)
        } else if weightsExtensions.contains(where: { file.lowercased().hasSuffix($0) }) {
            let description = try WeightsDescription(of: url)
            try show(description, description.lines)
        } else {
            let description = try VolumeDescription(of: url)
            try show(description, description.lines)
        }
    }

    private func show(_ description: some Encodable, _ lines: [String]) throws {
        if json { try printJSON(description) } else { print(lines.joined(separator: "\n")) }
    }
}

/// The description of a volume.
private struct VolumeDescription: Encodable {
    let format: String
    let shape: [Int]
    let spacing: [Double]
    let orientation: String
    let affine: [[Double]]
    let placement: String
    let sformCode: Int
    let qformCode: Int
    let dataType: String
    let slope: Double
    let intercept: Double
    let description: String
    /// Of all volumes together; `nil` for colours.
    let intensities: Intensities?
    let warnings: [String]

    struct Intensities: Encodable {
        let minimum: Float
        let maximum: Float
        /// Number of voxels that are NaN or infinite; the others have the range.
        let notFinite: Int
    }

    init(of url: URL) throws {
        let scan = try VolumeScan(contentsOf: url)
        let header = scan.header
        let grid = header.grid
        format = header.format
        shape = header.shape
        spacing = (0..<3).map { grid.spacing[$0] }
        orientation = grid.orientation.description
        affine = grid.affine.rows.map { row in (0..<4).map { row[$0] } } + [[0, 0, 0, 1]]
        placement = "\(header.placement)"
        (sformCode, qformCode) = (header.sformCode, header.qformCode)
        (dataType, slope, intercept) = (header.dataType, header.slope, header.intercept)
        description = header.text
        intensities = scan.range.map {
            Intensities(minimum: $0.lowerBound, maximum: $0.upperBound, notFinite: scan.notFinite)
        }
        warnings = scan.warnings.map(\.description)
    }

    /// A line for each field.
    var lines: [String] {
        func list(_ values: [Double]) -> String {
            values.map { String(format: "%.6g", $0 + 0) }.joined(separator: ", ")
        }
        var facts = [
            ("format", format), ("shape", shape.map(String.init).joined(separator: " x ")),
            ("spacing", list(spacing) + " mm"), ("orientation", orientation),
        ]
        facts += affine.dropLast().enumerated().map { ($0.offset == 0 ? "affine" : "", list($0.element)) }
        facts += [
            ("placed by", "\(placement) (sform code \(sformCode), qform code \(qformCode))"),
            ("stored as", dataType + (slope == 1 && intercept == 0 ? "" : ", x \(slope) + \(intercept)")),
        ]
        if let intensities {
            facts.append(("intensities", "\(intensities.minimum) to \(intensities.maximum)"))
            if intensities.notFinite > 0 {
                facts.append(
                    ("", "\(intensities.notFinite) voxels are NaN or infinite and count as background"))
            }
        }
        if !description.isEmpty { facts.append(("description", description)) }
        facts += warnings.map { ("warning", $0) }
        return facts.map { $0.0.padding(toLength: 13, withPad: " ", startingAt: 0) + $0.1 }
    }
}

/// The description of a file of weights.
private struct WeightsDescription: Encodable {
    let format: String
    let available: [String]
    /// The weights described, one of those available.
    let weights: String
    let tensors: Int
    let parameters: Int
    let storedAs: [String]
    let configuration: ShownConfiguration
    /// The settings used in training, if the file contains them.
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

    /// A configuration whose `num_head_channels` may be unknown.
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

    /// A line for each field.
    var lines: [String] {
        let facts = [
            ("format", format), ("holds", available.joined(separator: ", ")), ("weights", weights),
            ("parameters", "\(parameters), in \(tensors) tensors"),
            ("stored as", storedAs.joined(separator: ", ")),
        ]
        return Self.lines(facts, width: 13) + Self.lines("configuration", configurationFacts)
            + (translation.map { Self.lines("translation", Self.facts(of: $0)) } ?? [])
    }

    /// The configuration with the field names of its file.
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

    /// The settings with the field names of their file.
    private static func facts(of settings: TranslationSettings) -> [(String, String)] {
        let fields = settings.process.explicitFields.sorted { $0.key < $1.key }
        return [("process.kind", settings.process.kind)]
            + fields.map { field, value in
                if case .string(let text) = value { return ("process.\(field)", text) }
                return ("process.\(field)", "\(value)")
            } + [
                ("objective", settings.predictionType.rawValue), ("spacing", "\(settings.spacing)"),
                ("antialiasing", settings.antialiasing.rawValue), ("plane", settings.plane.rawValue),
                ("source", "\(settings.source)"), ("target", "\(settings.target)"),
            ]
    }

    private static func lines(_ title: String, _ facts: [(String, String)]) -> [String] {
        [title] + lines(facts, width: 25).map { "  " + $0 }
    }

    private static func lines(_ facts: [(String, String)], width: Int) -> [String] {
        facts.map { $0.0.padding(toLength: width, withPad: " ", startingAt: 0) + $0.1 }
    }
}
