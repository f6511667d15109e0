import ArgumentParser
import Foundation
import NetworkEngine
import VoxelBridge

/// How a network's weights are read.
struct WeightsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The network's configuration, or the part that the weights do not determine (.json).",
            discussion: """
                Default: the .json file with the name of the weights' file, otherwise the configuration in the \
                weights' file. For a 3-D latent model it may be repeated, for its two networks.
                """))
    var config: [String] = []

    @Option(help: "The weights of a checkpoint to use. (default: ema if present, else model)")
    var weights: UNetWeights.Selection?

    /// Finds and checks the weights in a file.
    func find(in path: String) throws -> UNetWeights {
        let url = URL(filePath: path)
        let sibling = url.deletingPathExtension().appendingPathExtension("json")
        if config.count > 1 {
            throw ValidationError("\(path) is a network of slices and takes one --config, not \(config.count)")
        }
        let configuration =
            config.first.map { URL(filePath: $0) }
            ?? (FileManager.default.fileExists(atPath: sibling.path) ? sibling : nil)
        do {
            guard let configuration else { return try UNetWeights(contentsOf: url, selection: weights) }
            return try UNetWeights(contentsOf: url, configuration: configuration, selection: weights)
        } catch UNetError.unknownHeadChannels {
            throw FileFailure(
                path: path,
                reason: """
                    the weights do not determine num_head_channels; give it with --config FILE.json, where FILE.json \
                    contains {"num_head_channels": 64} if it is 64
                    """)
        }
    }
}

extension UNetWeights.Selection: ExpressibleByArgument {}

/// The memory of a network.
struct NetworkOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Memory for Winograd-transformed weights, in MiB. (default: as much as is useful)",
            discussion: """
                They make convolutions two to four times as fast and are four times as large: for the published \
                network 3230 MiB instead of 810. 0 disables them.
                """))
    var winogradMemory: Int?

    func validate() throws {
        if let winogradMemory, !(0...1 << 20).contains(winogradMemory) {
            throw ValidationError("--winograd-memory must be from 0 to 1048576, but is \(winogradMemory)")
        }
    }

    func compute(threads: Int) -> ComputeOptions {
        ComputeOptions(threads: threads, winogradMemory: winogradMemory.map { $0 << 20 })
    }
}

/// The file extensions of weights.
let weightsExtensions = [".safetensors", ".pth", ".pt", ".ckpt"]
