import ArgumentParser
import BridgeTraining
import Foundation
import NetworkEngine
import Networks
import TensorFiles

/// Times a complete training step of a `Trainer`.
struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Times a training step.",
        discussion: """
            A step of the trainer with the published settings: noise, inputs and targets of a batch, the L1 loss, \
            gradients and their norm, Adam, and the moving average. Windows are random and prepared in advance; \
            weights are initial ones. The peer's step also has its inputs prepared in advance, and neither norm \
            nor average.
            """)

    @Option(help: "The network: published or small.") var config = NamedConfiguration.small
    @Option(help: "Rows and columns of a window, a multiple of 4.") var size = 64
    @Option(help: "Number of windows per step.") var batch = 8
    @Flag(help: "Evaluate layers twice instead of storing their results.") var saveMemory = false
    @OptionGroup var options: MeasuringOptions
    @OptionGroup var comparison: PeerComparison

    func validate() throws {
        guard size > 0, size % config.configuration.sizeMultiple == 0, batch > 0 else {
            throw ValidationError(
                "--batch must be at least 1, but is \(batch); --size must be a multiple of "
                    + "\(config.configuration.sizeMultiple), but is \(size)")
        }
    }

    func run() async throws {
        let measurements = comparison.peer == nil ? [try await measure()] : try comparedWithPeer()
        try options.print(measurements) { $0.table(comparesMemory: true) }
    }

    private func measure() async throws -> Measurement {
        var configuration = TrainingConfiguration.published
        configuration.network = config.configuration
        configuration.batch = batch
        let network = TrainableUNet(
            configuration.network, options: ComputeOptions(threads: options.threads),
            recomputesActivations: saveMemory)
        var trainer = try Trainer(
            network, configuration: configuration,
            dataset: try RandomWindows(
                count: batch, radius: configuration.network.radius, size: size,
                bins: configuration.network.contextWidth ?? 0))
        let seconds = try await shortest(of: options.repeats) { try trainer.step() }
        let window = OperationCount.trainingOperations(
            of: UNetArchitecture(configuration.network), size: size)
        return Measurement(
            what: "step, \(config), \(batch) x \(size) x \(size)\(saveMemory ? ", saving memory" : "")",
            threads: options.threads, seconds: seconds, operations: window * Double(batch),
            peakMemory: peakMemory())
    }

    private func comparedWithPeer() throws -> [Measurement] {
        let job = ["train", "--config", config.rawValue, "--size", "\(size)", "--batch", "\(batch)"]
        return try comparison.inTurn(
            own: [job + (saveMemory ? ["--save-memory"] : [])], peers: [job],
            options: ["--threads", "\(options.threads)", "--repeat", "\(options.repeats)"])
    }
}

/// Pairs of windows with random intensities.
private struct RandomWindows: TrainingDataset {
    let radius, rows, columns: Int
    private let examples: [TrainingExample]

    init(count: Int, radius: Int, size: Int, bins: Int) throws {
        (self.radius, rows, columns) = (radius, size, size)
        let slices = 2 * radius + 1
        examples = try (0..<count).map { index in
            let source = Tensor(shape: [slices, size, size], randomFrom: "source \(index)")
            let target = Tensor(shape: [slices, size, size], randomFrom: "target \(index)")
            let volume = Volume(grid: VoxelGrid(shape: [size, size, slices]), voxels: target.values)
            return TrainingExample(
                source: source.values, target: target.values, style: try StyleKey(of: volume, bins: bins))
        }
    }

    var count: Int { examples.count }
    var fingerprint: String { "random windows" }

    func example(at index: Int) -> TrainingExample { examples[index] }
}
