import ArgumentParser
import Foundation
import NetworkEngine
import Networks
import ReferenceUNet
import TensorFiles

/// The measured networks.
enum NamedConfiguration: String, CaseIterable, ExpressibleByArgument {
    /// The published network for CT to MRI.
    case published
    /// A network with 6 million parameters.
    case small

    /// The network's dimensions.
    var configuration: UNetConfiguration {
        var configuration = UNetConfiguration.ct2mri
        if self == .small {
            configuration.modelChannels = 32
            configuration.channelMultipliers = [1, 2, 4]
            configuration.headChannels = 32
        }
        return configuration
    }

    /// A network with random weights from a file.
    ///
    /// Another process writes the file, so that it does not affect the peak memory of this one.
    func network(options: ComputeOptions) throws -> UNet {
        let weights = FileManager.default.temporaryDirectory
            .appending(path: "benchmarks-\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: weights) }
        _ = try ChildProcess.ourselves(["write-weights", rawValue, weights.path])
        return try UNet(weights: weights, configuration: configuration, options: options)
    }
}

/// Writes random weights; measurements run it as a child process.
struct WriteWeightsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "write-weights", abstract: "Writes random weights.", shouldDisplay: false)

    @Argument var config: NamedConfiguration
    @Argument var path: String

    func run() throws {
        let parameters = UNetArchitecture(config.configuration).parameters
        let tensors = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, Tensor(random: $0)) })
        try Safetensors.write(tensors, to: URL(filePath: path))
    }
}
