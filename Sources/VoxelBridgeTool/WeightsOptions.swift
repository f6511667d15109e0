import ArgumentParser
import Foundation
import NetworkEngine
import VoxelBridge

/// How a network's weights are read.
struct WeightsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The network's configuration, or what the weights do not show of it (.json).",
            discussion: """
                Without it: the file beside the weights with the same name and .json, or else what the weights \
                themselves carry and show.
                """))
    var config: String?

    @Option(help: "Which weights of a checkpoint. (default: ema where there are any, else model)")
    var weights: UNetWeights.Selection?

    /// Finds and checks the weights in a file.
    func find(in path: String) throws -> UNetWeights {
        let url = URL(filePath: path)
        let beside = url.deletingPathExtension().appendingPathExtension("json")
        let configuration =
            config.map { URL(filePath: $0) }
            ?? (FileManager.default.fileExists(atPath: beside.path) ? beside : nil)
        do {
            guard let configuration else { return try UNetWeights(contentsOf: url, selection: weights) }
            return try UNetWeights(contentsOf: url, configuration: configuration, selection: weights)
        } catch UNetError.unknownHeadChannels {
            throw FileFailure(
                path: path,
                reason: """
                    the weights show all of the network's configuration but num_head_channels; give it with --config \
                    FILE.json, where FILE.json holds {"num_head_channels": 64} if it is 64
                    """)
        }
    }
}

extension UNetWeights.Selection: ExpressibleByArgument {}

/// How much of the machine a network may take.
struct NetworkOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "MiB that weights may take in the form that is four times as large and fast. (default: what helps)",
            discussion: """
                Convolutions with weights in Winograd's form take two to four times less time. The published \
                network's take 3230 MiB, in place of 810; with 0, all keep their size.
                """))
    var winogradMemory: Int?

    func validate() throws {
        if let winogradMemory, !(0...1 << 20).contains(winogradMemory) {
            throw ValidationError("--winograd-memory must be from 0 to 1048576, and is \(winogradMemory)")
        }
    }

    /// The options of a network that keeps so many threads busy; nil for all processors.
    func compute(threads: Int?) -> ComputeOptions {
        ComputeOptions(
            threads: threads ?? ProcessInfo.processInfo.activeProcessorCount,
            winogradMemory: winogradMemory.map { $0 << 20 })
    }
}

/// What the names of weights files end in.
let weightsExtensions = [".safetensors", ".pth", ".pt", ".ckpt"]
