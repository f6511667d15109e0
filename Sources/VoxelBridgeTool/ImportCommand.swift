import ArgumentParser
import Foundation
import Logging
import TensorFiles
import VoxelBridge

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Convert a network's PyTorch checkpoint to a file that is a whole model.",
        discussion: """
            Nothing in the checkpoint is executed: it is read as tensors, numbers and text, and anything else in \
            it is refused by its name. Of a checkpoint that holds 'model' and 'ema', the averaged weights, ema, \
            are taken unless --weights says otherwise.

              voxelbridge import ct2mri.pth ct2mri.safetensors --config ct2mri.json
              voxelbridge import ct2mri.pth half.safetensors --config ct2mri.json --type f16

            The configuration goes into the new file, which is then all that 'translate' needs as a model. The \
            weights show all of it but num_head_channels: a --config with that alone, \
            {"num_head_channels": 64}, is enough.
            """)

    @Argument(help: "The checkpoint (.pth), or weights in another file (.safetensors).")
    var checkpoint: String

    @Argument(help: "The file to write (.safetensors).")
    var output: String

    @OptionGroup
    var options: WeightsOptions

    @Option(help: "The type to store numbers as; f16 and bf16 halve the file and round to nearest.")
    var type = StoredType.f32

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    /// The types that are written.
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
            output, extensions: [".safetensors"], inputs: [checkpoint] + [options.config].compactMap(\.self))
        let weights = try options.find(in: checkpoint)
        try Safetensors.write(
            weights, metadata: weights.metadata, as: type.tensorType, to: URL(filePath: output))
        logging.logger.info("Wrote \(output): the \(weights.selection.rawValue) weights of \(checkpoint)")
    }
}
