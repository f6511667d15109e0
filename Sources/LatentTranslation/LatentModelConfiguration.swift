public import BridgeDiffusion
public import Networks
import VoxelSupport

/// Everything a model file states apart from its weights: sizes, targets, process, and how sources are prepared.
///
/// A model file carries it, and a configuration file may give any part of it:
///
/// ```json
/// { "first_stage": { "num_groups": 32 }, "denoiser": { "num_head_channels": 32 },
///   "targets": ["t1", "t1ce", "t2", "flair"], "scale": 1,
///   "process": { "kind": "diffusion", "schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195 },
///   "objective": "noise",
///   "preparation": { "shape": [144, 192, 144], "percentiles": [0.5, 99.5], "bounds": [-1, 1] } }
/// ```
public struct LatentModelConfiguration: Codable, Equatable, Sendable {
    /// The autoencoder and the translator.
    public var firstStage = AutoencoderConfiguration.published
    /// The denoiser; nil where there is none, and the translator's latents are decoded as they are.
    public var denoiser: LatentUNetConfiguration? = .published
    /// The names of the target modalities, in the order of their classes.
    public var targets = publishedTargets
    /// What latents are multiplied by before the denoiser, and divided by after it.
    public var scale = 1.0
    /// The process that the denoiser was trained to reverse.
    public var process = StoredPath(kind: GaussianDiffusion.kind, fields: publishedProcess)
    /// What the denoiser was trained to predict: the noise, as published, or another quantity of the process.
    public var predictionType = PredictionType.noise
    /// How a source is prepared.
    public var preparation = LatentPreparation()

    enum CodingKeys: String, CodingKey, CaseIterable {
        case firstStage = "first_stage"
        case denoiser, targets, scale, process
        case predictionType = "objective"
        case preparation
    }

    /// The public code's configuration. Change what differs.
    public init() {}

    /// The targets of the public code.
    public static let publishedTargets = ["t1", "t1ce", "t2", "flair"]

    /// The noise schedule of the public code: a scaled linear one from 0.0015 through 0.0195.
    public static let publishedPath = GaussianDiffusion(schedule: .scaledLinear(from: 0.0015, through: 0.0195))

    private static let publishedProcess: [String: JSONValue] = [
        "schedule": .string("scaled_linear"), "beta_start": .number(0.0015), "beta_end": .number(0.0195),
    ]

    /// The path of ``process``.
    ///
    /// - Throws: `StoredPathError` where it is not known, or starts elsewhere than at noise.
    public func path() throws -> any GaussianPath {
        let path = try process.path()
        guard path.start == .noise else {
            throw StoredPathError(
                field: "kind", found: "\"\(process.kind)\"",
                expected: "a process that starts at noise: diffusion")
        }
        return path
    }

    /// The class of a target, by its name, in any case, or by its index as text.
    ///
    /// - Throws: `LatentTranslationError.noTarget`, which lists those that there are.
    public func target(_ name: String) throws -> Int {
        let index = targets.firstIndex { $0.lowercased() == name.lowercased() } ?? Int(name)
        guard let index, targets.indices.contains(index) else {
            throw LatentTranslationError.noTarget(found: name, targets: targets)
        }
        return index
    }

    /// Every parameter of a model, by its name and shape in the public code's checkpoints.
    ///
    /// - Precondition: the configuration is valid.
    public var parameters: [Parameter] {
        let networks = LatentNetworks(self)
        func stored(_ parameters: [Parameter], _ prefix: String) -> [Parameter] {
            parameters.map { Parameter(prefix + $0.name, StoredLayout.shape(of: $0)) }
        }
        return stored(firstStage.parameters, LatentWeights.firstStagePrefix)
            + stored(networks.denoiser?.parameters ?? [], LatentWeights.denoiserPrefix)
    }

    /// What the extents of a volume must be multiples of.
    public var sizeMultiple: Int { firstStage.factor * (denoiser?.sizeMultiple ?? 1) }

    /// Decodes a configuration; `denoiser` may be null or missing.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        firstStage = try fields.decode(AutoencoderConfiguration.self, forKey: .firstStage)
        denoiser = try fields.decodeIfPresent(LatentUNetConfiguration.self, forKey: .denoiser)
        targets = try fields.decode([String].self, forKey: .targets)
        scale = try fields.decode(Double.self, forKey: .scale)
        process = try fields.decode(StoredPath.self, forKey: .process)
        predictionType = try fields.decode(PredictionType.self, forKey: .predictionType)
        preparation = try fields.decode(LatentPreparation.self, forKey: .preparation)
    }
}

extension LatentModelConfiguration {
    /// Checks that networks can be built from this configuration, that they fit together, and that there is a name for
    /// each target.
    ///
    /// - Throws: `NetworkConfigurationError` naming the field that is wrong.
    public func validate() throws(NetworkConfigurationError) {
        try within("first_stage") { () throws(NetworkConfigurationError) in try firstStage.validate() }
        if let denoiser {
            try within("denoiser") { () throws(NetworkConfigurationError) in try denoiser.validate() }
            try NetworkConfigurationError.require(
                "denoiser.out_channels", denoiser.outputChannels,
                denoiser.outputChannels == firstStage.latentChannels,
                "\(firstStage.latentChannels), the z_channels of the first stage")
            try NetworkConfigurationError.require(
                "denoiser.num_classes", denoiser.classes, denoiser.classes == firstStage.classes,
                "\(firstStage.classes), the num_classes of the first stage")
        }
        try NetworkConfigurationError.require(
            "targets", targets.joined(separator: ", "),
            targets.count == firstStage.classes && Set(targets.map { $0.lowercased() }).count == targets.count
                && targets.allSatisfy { !$0.isEmpty && Int($0) == nil && !$0.contains("/") },
            "\(firstStage.classes) different names, one for each class; no numbers, no slashes")
        try NetworkConfigurationError.require("scale", scale, scale > 0 && scale.isFinite, "a number above 0")
        let path: any GaussianPath
        do { path = try self.path() } catch let error as StoredPathError {
            throw NetworkConfigurationError(
                field: "process" + (error.field.map { ".\($0)" } ?? ""), found: error.found,
                expected: error.expected)
        } catch {
            throw NetworkConfigurationError(field: "process", found: "\(error)", expected: "a path")
        }
        let expected =
            predictionType == .difference
            ? "noise, velocity, sample or gradient, since the process has no source"
            : predictionType.replacement(on: path, kind: process.kind)
        if let expected {
            throw NetworkConfigurationError(
                field: "objective", found: predictionType.rawValue, expected: expected)
        }
        try within("preparation") { () throws(NetworkConfigurationError) in
            try preparation.validate(multiple: sizeMultiple)
        }
    }

    private func within(
        _ part: String, _ check: () throws(NetworkConfigurationError) -> Void
    ) throws(NetworkConfigurationError) {
        do { try check() } catch {
            throw NetworkConfigurationError(
                field: [part, error.field].compactMap(\.self).joined(separator: "."), found: error.found,
                expected: error.expected)
        }
    }
}
