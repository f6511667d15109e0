import Foundation
import TensorFiles
import VolumeTranslation

/// A weights file of either format, or weights in memory, with its metadata.
struct WeightsFile {
    /// The fields of a safetensors file's metadata that make it a whole model.
    static let configurationField = "unet_configuration"
    static let selectionField = "unet_weights"

    let path: String

    /// Bytes of the file; nil of weights in memory.
    let size: Int?

    /// The configuration that the file carries.
    let carried: PartialConfiguration?

    /// What the file says that the network was trained for.
    let translation: TranslationSettings?

    private let sources: [UNetWeights.Selection: any TensorSource]

    /// Opens a file.
    init(_ url: URL) throws {
        path = url.path
        // The extension identifies checkpoints from before zip archives, and those whose first bytes are corrupt.
        let isCheckpoint =
            ["pth", "pt", "ckpt"].contains(url.pathExtension.lowercased()) || PyTorchCheckpoint.canRead(url)
        if isCheckpoint {
            sources = try Self.sources(in: PyTorchCheckpoint(contentsOf: url), path: path)
            (carried, translation) = (nil, nil)
        } else {
            let file = try Safetensors(contentsOf: url)
            let selection = file.metadata[Self.selectionField].flatMap(UNetWeights.Selection.init(rawValue:))
            sources = [selection ?? .model: file.withoutWrappers]
            carried = try file.metadata[Self.configurationField].map { [path] in
                try PartialConfiguration(json: Data($0.utf8), file: path)
            }
            translation = try TranslationSettings(metadata: file.metadata, file: path)
        }
        size = try url.resourceValues(forKeys: [.fileSizeKey]).fileSize
    }

    /// Parameters in memory.
    init(_ parameters: [String: Tensor]) {
        (path, size, carried, translation) = ("the parameters given", nil, nil, nil)
        sources = [.model: parameters.withoutWrappers]
    }

    private static func sources(
        in checkpoint: PyTorchCheckpoint, path: String
    ) throws -> [UNetWeights.Selection: any TensorSource] {
        var sources: [UNetWeights.Selection: any TensorSource] = [:]
        for selection in UNetWeights.Selection.allCases {
            sources[selection] = checkpoint.tensors(at: selection.rawValue)?.withoutWrappers
        }
        if sources.isEmpty { sources[.model] = checkpoint.stateDictionary?.withoutWrappers }
        guard sources.isEmpty else { return sources }
        guard case .dictionary(let names) = checkpoint.value() else {
            throw UNetError.noNetwork(file: path, reason: "its value is not a dictionary")
        }
        throw UNetError.noNetwork(
            file: path,
            reason:
                "it holds \(names.isEmpty ? "nothing" : names.prefix(20).joined(separator: ", ")); expected "
                + "'model', 'ema', 'state_dict' or 'model_state_dict', or the parameters themselves")
    }

    /// Which weights there are.
    var available: [UNetWeights.Selection] { UNetWeights.Selection.allCases.filter { sources[$0] != nil } }

    /// The weights wanted, or else the averaged ones where there are any.
    func tensors(
        _ wanted: UNetWeights.Selection?
    ) throws -> (selection: UNetWeights.Selection, source: any TensorSource) {
        let selection = wanted ?? (sources[.ema] == nil ? .model : .ema)
        guard let source = sources[selection] else {
            throw ParameterError.noSelection(
                file: path, wanted: selection.rawValue, found: available.map(\.rawValue))
        }
        return (selection, source)
    }
}
