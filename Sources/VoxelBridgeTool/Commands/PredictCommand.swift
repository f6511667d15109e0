import ArgumentParser
import Foundation
import TensorFiles
import VoxelBridge

struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Evaluate a network once, on tensors from a file.",
        discussion: """
            For comparing implementations or weights. Reads the tensors x and y (batch, 2N+1, rows, columns), t \
            (batch) and, for a network with style keys, key (batch, 3, bins). Writes the tensor out (batch, 2N+1, \
            rows, columns).
            """)

    @Option(help: "The network's weights (.safetensors or .pth).")
    var model: String

    @OptionGroup
    var options: WeightsOptions

    @OptionGroup
    var network: NetworkOptions

    @OptionGroup
    var threads: ThreadOptions

    @Argument(help: "The file with x, y, t and key (.safetensors).")
    var input: String

    @Argument(help: "The file to write (.safetensors).")
    var output: String

    func run() throws {
        try checkOutput(output, extensions: [".safetensors"], inputs: [input, model])
        let network = try UNet(options.find(in: model), options: network.compute(threads: threads.count))
        let tensors = try Safetensors(contentsOf: URL(filePath: input))
        let prediction = try network(
            x: tensors.tensor("x"), y: tensors.tensor("y"), timesteps: tensors.tensor("t").values,
            key: network.configuration.contextWidth == nil ? nil : tensors.tensor("key"))
        try Safetensors.write(["out": prediction], to: URL(filePath: output))
    }
}
