import ArgumentParser
import Foundation
import NetworkEngine
import Networks
import ReferenceUNet
import SliceSampling
import StyleKeys
import TensorFiles

/// Times a whole translation with ISTA: S + (S - 1) evaluations of each window.
struct TranslateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "translate", abstract: "Times the translation of a volume with one correction per step.")

    @Option(help: "The network: published or small.") var config = NamedConfiguration.small
    @Option(help: "Rows and columns of a slice, a multiple of 4.") var size = 96
    @Option(help: "Number of slices.") var slices = 24
    @Option(help: "Number of steps.") var steps = 10
    @OptionGroup var options: MeasuringOptions

    func run() async throws {
        let measurements = [try await measure()]
        try options.print(measurements) { $0.table() }
    }

    private func measure() async throws -> Measurement {
        let voxels = Tensor(shape: [slices, size, size], randomFrom: "source")
        let source = Volume(grid: VoxelGrid(shape: [size, size, slices]), voxels: voxels.values)
        let style = try StyleKey(of: source)
        let network = try config.network(options: ComputeOptions(threads: options.threads))
        let sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: steps), denoiser: UNetDenoiser(network),
            corrector: ScoreCorrector(), batchesInFlight: options.threads)
        let seconds = try await shortest(of: options.repeats) {
            _ = try await sampler.sample(from: source, conditioning: style)
        }
        let evaluations = slices * (2 * sampler.scheduler.timesteps.count - 1)
        let window = OperationCount.work(of: UNetArchitecture(config.configuration), size: size)
        return Measurement(
            what: "translation, \(config), \(slices) slices of \(size) x \(size), \(steps) steps, ISTA",
            threads: options.threads, seconds: seconds, operations: window.operations * Double(evaluations),
            peakMemory: peakMemory())
    }
}
