import ArgumentParser
import Foundation
import LatentTranslation
import Logging
import TensorFiles
import VoxelBridge

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Convert a network's PyTorch checkpoint to a complete model.",
        discussion: """
            Nothing in the checkpoint is executed: only tensors, numbers and text are read, and anything else is \
            rejected. From a checkpoint with 'model' and 'ema' the averaged weights, ema, are used unless \
            --weights is given.

              voxelbridge import ct2mri.pth ct2mri.safetensors --config ct2mri.json
              voxelbridge import ct2mri.pth half.safetensors --config ct2mri.json --type f16

            A 3-D latent model (Lightning's .ckpt) becomes one file with first stage and denoiser; a denoiser without \
            first stage needs --first-stage:

              voxelbridge import ldm.ckpt aldm.safetensors

            The new file contains the configuration and is a complete model for 'translate'. The weights \
            determine all of it except num_head_channels: a --config with {"num_head_channels": 64} is sufficient.
            """)

    @Argument(help: "The checkpoint (.pth or .ckpt), or weights in another file (.safetensors).")
    var checkpoint: String

    @Argument(help: "The file to write (.safetensors).")
    var output: String

    @OptionGroup
    var options: WeightsOptions

    @OptionGroup
    var files: FirstStageOption

    @Option(help: "The type of stored numbers; f16 and bf16 halve the file and round to nearest.")
    var type = StoredType.f32

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    /// The supported types.
    enum StoredType: String, CaseIterable, ExpressibleByArgument {
        case f32, f16, bf16

        var tensorType: TensorType {
            switch self {
            case .f32: .f32
            case .f16: .f16
            case .bf16: .bf16
            }
        }
    }

    func run() throws {
        try checkOutput(
            output, extensions: [".safetensors"],
            inputs: [checkpoint] + options.config + [files.firstStage].compactMap(\.self))
        if LatentWeights.isLatentModel(checkpoint) { return try importLatent() }
        if files.firstStage != nil {
            throw ValidationError(
                "--first-stage applies only to 3-D latent models, and \(checkpoint) is not one; leave it out")
        }
        let weights = try options.find(in: checkpoint)
        try Safetensors.write(
            weights, metadata: weights.metadata, as: type.tensorType, to: URL(filePath: output))
        logging.logger.info("Wrote \(output): the \(weights.selection.rawValue) weights of \(checkpoint)")
    }

    /// First stage and denoiser of a 3-D latent model in one file.
    private func importLatent() throws {
        let weights = try options.findLatent(in: checkpoint, firstStage: files.firstStage)
        for assumption in weights.assumptions { logging.logger.warning("\(checkpoint): \(assumption)") }
        try Safetensors.write(
            weights, metadata: weights.metadata, as: type.tensorType, to: URL(filePath: output))
        let denoiser = weights.selection.map { "and the \($0.rawValue) weights of the denoiser" } ?? "alone"
        logging.logger.info("Wrote \(output): the first stage \(denoiser), of \(checkpoint)")
    }
}
