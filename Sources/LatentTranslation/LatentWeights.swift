import BridgeDiffusion
public import Foundation
import Networks
public import TensorFiles
import VoxelSupport

/// The weights of a latent translator in its files: found and checked at once, and read on demand.
///
/// ```swift
/// let weights = try LatentWeights(contentsOf: URL(filePath: "ldm.ckpt"))
/// try Safetensors.write(weights, metadata: weights.metadata, to: URL(filePath: "aldm.safetensors"))
/// let model = try LatentModel(contentsOf: "aldm.safetensors")        // one file is a whole model
/// ```
///
/// A file is a Lightning checkpoint, another PyTorch checkpoint, or a safetensors file, with the names of the public code:
/// of the denoiser (`model.diffusion_model.` in front, or nothing), of its moving average (`model_ema.`), and of the first
/// stage (`first_stage_model.` in front, or nothing). The first stage may lie in a file of its own, or be all there is.
/// Other tensors, such as the discriminator's and the schedule's, are not read, but a schedule is checked.
///
/// Names and shapes show the configuration, but for `num_groups`, `num_head_channels` and, in the paper's form of the
/// translator, `one_plus_gamma`; what is not stated is taken as published, and listed in ``assumptions``.
///
/// As a `TensorSource`, it has the parameters under the names and in the layout of the public code.
public struct LatentWeights: TensorSource {
    /// Which weights of a checkpoint's denoiser to use.
    public enum Selection: String, Sendable, CaseIterable {
        /// Those after the last step of training.
        case model
        /// Their moving average, with which the public code samples.
        case ema
    }

    /// Sizes, targets, process and preparation.
    public let configuration: LatentModelConfiguration

    /// Which weights of the denoiser they are; nil where there is no denoiser.
    public let selection: Selection?

    /// Every kind of weights of the denoiser in the file.
    public let available: [Selection]

    /// What neither the files nor the configuration state, and was taken as published, as sentences; empty where all is
    /// stated, or where the networks have the published sizes.
    public let assumptions: [String]

    private let firstStage: LatentFile.Part
    private let denoiser: LatentFile.Part?
    private let expected: [String: Place]

    private struct Place {
        let parameter: Parameter
        let part: LatentFile.Part
    }

    /// Finds and checks the weights in a file, or in two.
    ///
    /// - Parameters:
    ///   - url: a whole model, a denoiser, or a first stage.
    ///   - firstStage: the first stage's file, where it is another.
    ///   - configurations: JSON files, of which later ones add to or replace fields of earlier ones and of the model's own
    ///     file. Each is as `LatentModelConfiguration` shows, or has the fields of one network alone.
    ///   - selection: nil for `ema` where the file has it, else `model`.
    /// - Throws: `SafetensorsError` or `PyTorchError` where a file is not whole; `LatentTranslationError` where it holds no
    ///   such weights, or not those of one model; `NetworkConfigurationError` naming the field, where a configuration is not
    ///   valid or not that of the weights.
    public init(
        contentsOf url: URL, firstStage: URL? = nil, configurations: [URL] = [], selection: Selection? = nil
    ) throws {
        let stated = try configurations.map { try PartialLatentConfiguration(contentsOf: $0) }
        let file = try LatentFile(url)
        let other = try firstStage.map { try LatentFile($0) }
        try self.init(file, firstStage: other, stated: stated, selection: selection)
    }

    /// Finds and checks the weights in files at paths.
    ///
    /// - Throws: as `init(contentsOf:firstStage:configurations:selection:)` of URLs does.
    public init(
        contentsOf path: String, firstStage: String? = nil, configurations: [String] = [],
        selection: Selection? = nil
    ) throws {
        try self.init(
            contentsOf: URL(filePath: path), firstStage: firstStage.map { URL(filePath: $0) },
            configurations: configurations.map { URL(filePath: $0) }, selection: selection)
    }

    /// Checks weights in memory, under the names and in the layout of the public code.
    ///
    /// - Throws: as `init(contentsOf:firstStage:configurations:selection:)` does.
    public init(parameters: [String: Tensor], configuration: LatentModelConfiguration) throws {
        try self.init(
            LatentFile(parameters), firstStage: nil, stated: [PartialLatentConfiguration(configuration)],
            selection: nil)
    }

    /// Whether a file holds weights of a latent translator, or of a part of one. False where it cannot be read.
    public static func isLatentModel(_ url: URL) -> Bool { (try? LatentFile(url))?.isLatentModel ?? false }

    /// Whether the file at a path holds weights of a latent translator; see ``isLatentModel(_:)-(URL)``.
    public static func isLatentModel(_ path: String) -> Bool { isLatentModel(URL(filePath: path)) }

    private init(
        _ file: LatentFile, firstStage other: LatentFile?, stated: [PartialLatentConfiguration],
        selection wanted: Selection?
    ) throws {
        let denoisers = file.denoisers
        available = Selection.allCases.filter { denoisers[$0] != nil }
        guard let firstStage = try (other ?? file).firstStage() else {
            if let other {
                throw LatentTranslationError.noModel(
                    file: other.path, reason: "there is no first stage: no encoder, no decoder, no translator")
            }
            if denoisers.isEmpty {
                throw LatentTranslationError.noModel(
                    file: file.path, reason: "there is neither a denoiser nor a first stage")
            }
            throw LatentTranslationError.noFirstStage(file: file.path)
        }
        self.firstStage = firstStage
        selection = denoisers.isEmpty ? nil : wanted ?? (denoisers[.ema] == nil ? .model : .ema)
        denoiser = selection.flatMap { denoisers[$0] }
        if let selection, denoiser == nil {
            throw ParameterError.noSelection(
                file: file.path, wanted: selection.rawValue, found: available.map(\.rawValue))
        }
        let carried = [other, file].compactMap { source in
            source?.carried.map { PartialLatentConfiguration($0, file: source?.path) }
        }
        let all = try (carried + stated).reduce(PartialLatentConfiguration()) { try $0.adding($1) }
        (configuration, assumptions) = try all.complete(
            firstStage: firstStage, denoiser: denoiser, process: file.process(), scale: file.scale())
        let networks = LatentNetworks(configuration)
        expected = Dictionary(
            uniqueKeysWithValues: [
                (Self.firstStagePrefix, configuration.firstStage.parameters, firstStage),
                (Self.denoiserPrefix, networks.denoiser?.parameters ?? [], denoiser ?? firstStage),
            ].flatMap { prefix, parameters, part in
                parameters.map { (prefix + $0.name, Place(parameter: $0, part: part)) }
            })
        try firstStage.check(configuration.firstStage.parameters, name: "first stage")
        try denoiser?.check(networks.denoiser?.parameters ?? [], name: "denoiser")
        try checkStorage(sizes: [file, other].compactMap { file in file?.size.map { (file!.path, $0) } })
    }

    package static let firstStagePrefix = "first_stage_model."
    package static let denoiserPrefix = "model.diffusion_model."

    /// Checks that parameters are stored as floating-point numbers, each as its own: parameters that share theirs could
    /// together be of any size.
    private func checkStorage(sizes: [(file: String, size: Int)]) throws {
        var needed: [String: Int] = [:]
        for place in expected.values {
            let name = place.part.storedName(place.parameter.name)
            needed[place.part.file, default: 0] += try place.part.source.storedBytes(
                of: name, file: place.part.file)
        }
        for (file, size) in sizes where needed[file, default: 0] > size {
            throw ParameterError.sharedNumbers(
                file: file, size: needed[file, default: 0], fileSize: size)
        }
    }

    /// What a safetensors file says of itself to be a whole model.
    public var metadata: [String: String] {
        get throws { try Self.metadata(of: configuration, selection: selection) }
    }

    /// What the file of a model with a configuration says of itself.
    package static func metadata(
        of configuration: LatentModelConfiguration, selection: Selection?
    ) throws -> [String: String] {
        var stated = configuration
        stated.process = configuration.process.explicit
        var metadata = [
            LatentFile.configurationField: String(decoding: try stated.sortedJSON(), as: UTF8.self)
        ]
        metadata[LatentFile.selectionField] = selection?.rawValue
        return metadata
    }

    /// A parameter of the first stage, in the layout of networks here.
    func firstStageParameter(_ parameter: Parameter) throws -> Tensor {
        StoredLayout.converted(try tensor(Self.firstStagePrefix + parameter.name), of: parameter)
    }

    /// A parameter of the denoiser, in the layout of networks here.
    func denoiserParameter(_ parameter: Parameter) throws -> Tensor {
        StoredLayout.converted(try tensor(Self.denoiserPrefix + parameter.name), of: parameter)
    }
}

/// The parameters, as the public code's checkpoints of whole models have them.
extension LatentWeights {
    /// How many parameters there are. O(1).
    public var count: Int { expected.count }

    /// The names of the parameters, sorted.
    public var names: [String] { expected.keys.sorted() }

    /// The shape of a parameter, or nil if it does not exist.
    public func shape(of name: String) -> [Int]? { expected[name].map { StoredLayout.shape(of: $0.parameter) } }

    /// The type as which a parameter is stored, or nil if it does not exist.
    public func type(of name: String) -> TensorType? {
        expected[name].flatMap { $0.part.source.type(of: $0.part.storedName($0.parameter.name)) }
    }

    /// Reads a parameter.
    ///
    /// - Throws: `ParameterError.notFinite` where it holds NaN or an infinity; `MissingTensor` if there is none of
    ///   that name.
    public func tensor(_ name: String) throws -> Tensor {
        guard let place = expected[name] else { throw MissingTensor(name: name) }
        return try place.part.source.parameter(
            place.part.storedName(place.parameter.name), file: place.part.file)
    }
}

extension LatentFile.Part {
    /// Checks that the file has these parameters and no others of the network.
    fileprivate func check(_ parameters: [Parameter], name: String) throws {
        let expected = Dictionary(
            parameters.map { (storedName($0.name), StoredLayout.shape(of: $0)) }, uniquingKeysWith: { $1 })
        if let error = ParameterError(expected: expected, found: names, in: source, file: file, part: name) {
            throw error
        }
    }
}

/// The descriptions of a model's networks.
struct LatentNetworks {
    let encoder: LatentEncoder
    let decoder: LatentDecoder
    let codebook: Codebook
    /// One for each target.
    let translators: [SpadeTranslator]
    let denoiser: LatentUNet3D?

    init(_ configuration: LatentModelConfiguration) {
        let firstStage = configuration.firstStage
        encoder = LatentEncoder(firstStage)
        decoder = LatentDecoder(firstStage)
        codebook = Codebook(firstStage)
        translators = (0..<firstStage.classes).map { SpadeTranslator(firstStage, target: $0) }
        denoiser = configuration.denoiser.map { LatentUNet3D($0) }
    }

}
