import ArgumentParser
import Foundation
import NetworkEngine
import Networks
import ReferenceUNet
import TensorFiles

/// Times evaluations of the network, one at a time and in parallel.
struct NetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "Times one window at a time on all threads, and one window per thread.")

    @Option(help: "The network: published or small.") var config = NamedConfiguration.small
    @Option(help: "Rows and columns of a window, a multiple of 4.") var size = 160
    @Option(help: "Maximum memory of Winograd-transformed weights in bytes. (default: as much as needed)")
    var winogradMemory: Int?
    @OptionGroup var options: MeasuringOptions

    func run() async throws {
        let measurements = try await measure()
        try options.print(measurements) { $0.table() }
    }

    private func measure() async throws -> [Measurement] {
        let compute = ComputeOptions(threads: options.threads, winogradMemory: winogradMemory)
        let network = try config.network(options: compute)
        let window = Window(size: size)
        // One at a time first: parallel evaluations use more memory.
        return [
            try await measurement("one window at a time") {
                try await shortest(of: options.repeats) { _ = try window.evaluated(by: network) }
            },
            try await measurement("one window a thread") {
                try await shortest(of: options.repeats) {
                    try await withThrowingTaskGroup { group in
                        for _ in 0..<options.threads {
                            group.addTask { _ = try window.evaluated(by: network) }
                        }
                        try await group.waitForAll()
                    }
                } / Double(options.threads)
            },
        ]
    }

    private func measurement(_ how: String, seconds: () async throws -> Double) async throws -> Measurement {
        let form = winogradMemory.map { $0 == 0 ? ", no Winograd" : ", \($0) bytes of Winograd" } ?? ""
        return Measurement(
            what: "\(config), \(size) x \(size)\(form), \(how)", threads: options.threads,
            seconds: try await seconds(),
            operations: OperationCount.work(of: UNetArchitecture(config.configuration), size: size).operations,
            peakMemory: peakMemory())
    }
}

/// The inputs of the network.
private struct Window {
    let x, y, key: Tensor

    init(size: Int) {
        let configuration = UNetConfiguration.ct2mri
        x = Tensor(shape: [1, configuration.outputChannels, size, size], randomFrom: "x")
        y = Tensor(shape: [1, configuration.outputChannels, size, size], randomFrom: "y")
        key = Tensor(
            shape: [1, UNetConfiguration.keyTokens, configuration.contextWidth ?? 0], randomFrom: "key")
    }

    func evaluated(by network: UNet) throws -> Tensor {
        let output = try network(x: x, y: y, timesteps: [500], key: key)
        precondition(output.values.allSatisfy { $0.isFinite }, "the network's output is not finite")
        return output
    }
}
