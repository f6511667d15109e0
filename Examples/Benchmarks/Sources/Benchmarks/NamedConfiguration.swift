import ArgumentParser
import Foundation
import NetworkEngine
import Networks
import ReferenceUNet
import TensorFiles

/// The networks that are measured.
enum NamedConfiguration: String, CaseIterable, ExpressibleByArgument {
    /// That of CT to MRI.
    case published
    /// One of 6 million parameters, for tests and trials.
    case small

    /// The network's sizes.
    var configuration: UNetConfiguration {
        var configuration = UNetConfiguration.ct2mri
        if self == .small {
            configuration.modelChannels = 32
            configuration.channelMultipliers = [1, 2, 4]
            configuration.headChannels = 32
        }
        return configuration
    }

    /// A network of random weights, read from a file as a user's are.
    ///
    /// Another process writes the file, so that this one's peak of memory is that of reading and evaluating.
    func network(options: ComputeOptions) throws -> UNet {
        let weights = FileManager.default.temporaryDirectory
            .appending(path: "benchmarks-\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: weights) }
        _ = try ChildProcess.ourselves(["write-weights", rawValue, weights.path])
        return try UNet(weights: weights, configuration: configuration, options: options)
    }
}

/// Writes random weights: run by measurements, as a process of its own.
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
