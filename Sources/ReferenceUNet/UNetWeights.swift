import Foundation
import Networks
import TensorFiles
public import VolumeTranslation
import VoxelSupport

/// The weights of a U-Net in a file: found and checked at once, and read on demand.
///
/// ```swift
/// let weights = try UNetWeights(contentsOf: URL(filePath: "ct2mri.pth"), configuration: jsonFile)
/// try Safetensors.write(weights, metadata: weights.metadata, to: URL(filePath: "ct2mri.safetensors"))
/// let network = try UNet(weights: URL(filePath: "ct2mri.safetensors"))    // one file is a whole model
/// ```
///
/// The file is a safetensors file, or a PyTorch checkpoint: a dictionary of tensors, or of such dictionaries
/// under the names `model` and `ema`. It must hold all parameters of the network and no others, under their
/// published names, with `denoise_fn.` in front of all or of none, as floating-point numbers. Arrays of one
/// axis whose names have no dot are skipped: published checkpoints keep the schedule that way (`m_t`,
/// `variance_t`, ...).
///
/// The configuration shows in the names and shapes of the parameters, but for `num_head_channels`, which a file
/// that was written with `metadata` carries, and which must be given for others.
///
/// As a `TensorSource`, it has the parameters under their names without prefix.
public struct UNetWeights: TensorSource {
    /// Which weights of a checkpoint to use.
    public enum Selection: String, Sendable, CaseIterable {
        /// Those after the last step of training.
        case model
        /// Their moving average, which gives the better images.
        case ema
    }

    /// The sizes of the network.
    public let configuration: UNetConfiguration

    /// Which weights they are. Those of a file that does not say are `model`.
    public let selection: Selection

    /// Every kind of weights in the file.
    public let available: [Selection]

    /// What the network was trained for; nil where the file does not say, as of published checkpoints. Set it to have
    /// it in `metadata`.
    public var translation: TranslationSettings?

    private let file: String
    private let source: any TensorSource
    private let parameters: UNetParameters
    private let expected: [String: Parameter]

    /// Finds and checks the weights in a file.
    ///
    /// - Parameters:
    ///   - url: a safetensors file or a PyTorch checkpoint.
    ///   - configuration: nil for the one that the file carries, or that the parameters show.
    ///   - selection: nil for `ema` where the file has it, else `model`.
    /// - Throws: `SafetensorsError` or `PyTorchError` where the file is not whole; `ParameterError` or `UNetError` where it holds
    ///   no such weights, or not those of one network; `NetworkConfigurationError` naming the field, where a
    ///   configuration is not valid or is not that of the weights.
    public init(
        contentsOf url: URL, configuration: UNetConfiguration? = nil, selection: Selection? = nil
    ) throws {
        try self.init(
            file: WeightsFile(url), given: configuration.map { try PartialConfiguration($0) },
            selection: selection)
    }

    /// Finds and checks the weights in a file, with a configuration from a JSON file, which may leave out what
    /// the parameters show: `{"num_head_channels": 64}` is enough.
    ///
    /// - Throws: as `init(contentsOf:configuration:selection:)` does.
    public init(contentsOf url: URL, configuration: URL, selection: Selection? = nil) throws {
        // The shorter file first, so that its errors are reported sooner.
        let given = try PartialConfiguration(contentsOf: configuration)
        try self.init(file: WeightsFile(url), given: given, selection: selection)
    }

    /// Finds and checks the weights in a file, to describe them. Where nothing says what `headChannels` is, it is nil
    /// and the configuration has 1 for it, with which no network must be evaluated.
    package static func describing(
        contentsOf url: URL, selection: Selection? = nil
    ) throws -> (weights: UNetWeights, headChannels: Int?) {
        let file = try WeightsFile(url)
        let weights = try UNetWeights(file: file, given: nil, selection: selection, unknownHeadChannels: 1)
        return (weights, try file.carried?.headChannels)
    }

    /// Finds and checks the weights in a file at a path.
    ///
    /// - Throws: as `init(contentsOf:configuration:selection:)` of a URL does.
    public init(
        contentsOf path: String, configuration: UNetConfiguration? = nil, selection: Selection? = nil
    ) throws {
        try self.init(contentsOf: URL(filePath: path), configuration: configuration, selection: selection)
    }

    /// Finds and checks the weights in a file at a path, with a configuration from a JSON file at another.
    ///
    /// - Throws: as `init(contentsOf:configuration:selection:)` of a URL does.
    public init(contentsOf path: String, configuration: String, selection: Selection? = nil) throws {
        try self.init(
            contentsOf: URL(filePath: path), configuration: URL(filePath: configuration), selection: selection)
    }

    /// Checks weights in memory.
    init(parameters: [String: Tensor], configuration: UNetConfiguration) throws {
        try self.init(
            file: WeightsFile(parameters), given: PartialConfiguration(configuration), selection: nil)
    }

    private init(
        file: WeightsFile, given: PartialConfiguration?, selection: Selection?, unknownHeadChannels: Int? = nil
    ) throws {
        (available, self.file, translation) = (file.available, file.path, file.translation)
        (self.selection, source) = try file.tensors(selection)
        // Far more than the largest configuration has; to list them as not expected would take long.
        guard source.count <= 1 << 16 else {
            throw UNetError.noNetwork(file: file.path, reason: "there are \(source.count) tensors")
        }
        parameters = UNetParameters(source)
        configuration = try parameters.configuration(
            given: given, carried: file.carried, unknownHeadChannels: unknownHeadChannels, file: file.path)
        expected = Dictionary(
            uniqueKeysWithValues: UNetArchitecture(configuration).parameters.map { ($0.name, $0) })
        try checkStorage(fileSize: file.size)
    }

    /// Checks that the parameters are stored as floating-point numbers, each as its own: parameters that share
    /// theirs could together be of any size.
    private func checkStorage(fileSize: Int?) throws {
        var size = 0
        for parameter in expected.values {
            size += try source.storedBytes(of: parameters.storedName(parameter.name), file: file)
        }
        if let fileSize, size > fileSize {
            throw ParameterError.sharedNumbers(file: file, size: size, fileSize: fileSize)
        }
    }

    /// What a safetensors file says of itself to be a whole model: the configuration, which weights it holds, and
    /// what they were trained for.
    public var metadata: [String: String] {
        get throws {
            try configuration.metadata(of: selection).merging(translation?.metadata ?? [:]) { $1 }
        }
    }
}

extension UNetConfiguration {
    /// What a safetensors file of such weights says of itself to be a whole model.
    package func metadata(of selection: UNetWeights.Selection) throws -> [String: String] {
        [
            WeightsFile.configurationField: String(decoding: try sortedJSON(), as: UTF8.self),
            WeightsFile.selectionField: selection.rawValue,
        ]
    }
}

/// The parameters, by their names without prefix.
extension UNetWeights {
    /// How many parameters there are. O(1).
    public var count: Int { expected.count }

    /// The names of the parameters, sorted.
    public var names: [String] { expected.keys.sorted() }

    /// The shape of a parameter, or nil if it does not exist.
    public func shape(of name: String) -> [Int]? { expected[name]?.shape }

    /// The type as which a parameter is stored, or nil if it does not exist.
    public func type(of name: String) -> TensorType? {
        expected[name].flatMap { source.type(of: parameters.storedName($0.name)) }
    }

    /// Reads a parameter.
    ///
    /// - Throws: `ParameterError.notFinite` where it holds NaN or an infinity; `MissingTensor` if there is none of
    ///   that name.
    public func tensor(_ name: String) throws -> Tensor {
        guard expected[name] != nil else { throw MissingTensor(name: name) }
        return try source.parameter(parameters.storedName(name), file: file)
    }
}

extension UNetParameters {
    /// The configuration of which these are the parameters.
    fileprivate func configuration(
        given: PartialConfiguration?, carried: PartialConfiguration?, unknownHeadChannels: Int?, file: String
    ) throws -> UNetConfiguration {
        var mismatch: ParameterError?
        if let stated = given ?? carried, let whole = stated.whole {
            try stated.validate(whole)
            mismatch = difference(from: UNetArchitecture(whole), file: file)
            if mismatch == nil {
                try carried?.check(against: whole, reason: "as the configuration given says")
                return whole
            }
        }
        let heads = try given?.headChannels ?? carried?.headChannels
        var shown: UNetConfiguration
        do throws(UninferableSize) {
            shown = try UNetConfiguration(inferredFrom: shape(of:), headChannels: heads ?? 1)
        } catch {
            throw mismatch
                ?? .unknownSizes(file: file, missing: storedName(error.parameter), network: "a U-Net")
        }
        // Heads that do not divide the channels are reported below; they change no shape.
        shown.headChannels = 1
        do { try shown.validate() } catch {
            if let mismatch { throw mismatch }
            throw UNetError.noNetwork(file: file, reason: error.explanation)
        }
        if let difference = difference(from: UNetArchitecture(shown), file: file) {
            throw mismatch ?? difference
        }

        guard let heads = heads ?? unknownHeadChannels else { throw UNetError.unknownHeadChannels(file: file) }
        shown.headChannels = heads
        let reason = "as the parameters in \(file) show"
        try carried?.check(against: shown, reason: reason)
        try given?.check(against: shown, reason: reason)
        let configuration = try (given ?? carried)?.complete(shown) ?? shown
        try (given ?? carried)?.validate(configuration)
        return configuration
    }
}
