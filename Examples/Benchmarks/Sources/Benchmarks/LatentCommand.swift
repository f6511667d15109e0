import ArgumentParser
import Foundation
import NetworkEngine
import Networks
import TensorFiles

/// Times the parts of the 3-D latent translator.
struct LatentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latent", abstract: "Times the parts of the published 3-D latent translator on a volume.")

    @Option(help: "Planes, rows and columns of the volume: multiples of 4, or of 16 for the denoiser.")
    var shape = "48x48x32"
    @Option(
        parsing: .upToNextOption,
        help: "The parts: \(LatentNetwork.allCases.map(\.rawValue).joined(separator: ", ")). (default: all)")
    var parts: [LatentNetwork] = LatentNetwork.allCases
    @OptionGroup var options: MeasuringOptions

    private var extents: [Int] { shape.split(separator: "x").compactMap { Int($0) } }

    func validate() throws {
        let multiple = parts.contains(.denoiser) ? 16 : 4
        guard extents.count == 3, extents.allSatisfy({ $0 > 0 && $0 % multiple == 0 }) else {
            throw ValidationError(
                "--shape is three multiples of \(multiple), such as 48x48x32; found '\(shape)'.")
        }
    }

    func run() async throws {
        var measurements: [Measurement] = []
        for part in parts {
            let size = part.size(ofVolume: extents)
            let network = try CompiledNetwork(
                part, planned: size, options: ComputeOptions(threads: options.threads)
            ) {
                Tensor(random: $0)
            }
            let graph = part.graph(batch: 1, size: size)
            let images = graph.imageShapes.map { Tensor(shape: $0, randomFrom: "image") }
            let shared = graph.sharedShapes.map { Tensor(shape: $0, randomFrom: "shared") }
            let seconds = try await shortest(of: options.repeats) {
                let result = try network(images: images, shared: shared)
                precondition(result.values.allSatisfy { $0.isFinite }, "the result is not finite")
            }
            measurements.append(
                Measurement(
                    what: "\(part.rawValue), \(shape)", threads: options.threads, seconds: seconds,
                    operations: OperationCount.work(of: part, size: size).operations, peakMemory: peakMemory()))
        }
        try options.print(measurements) { $0.table() }
    }
}

extension LatentNetwork: ExpressibleByArgument {}
