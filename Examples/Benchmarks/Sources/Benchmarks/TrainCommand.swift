import ArgumentParser
import BridgeTraining
import Foundation
import Tensors

/// Times a step of training, all that a `Trainer` does in it.
struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Times a step of training.",
        discussion: """
            A step is the trainer's own, with the published settings: noise for a batch, which makes the network's \
            inputs and its target; the loss, L1; its gradients; their norm; Adam; the moving average. Windows are \
            random and made beforehand, as a run has prepared its own. Weights are those that training begins \
            with. The peer's step is less: its inputs are made beforehand too, and it takes no norm and keeps no \
            average.
            """)

    @Option(help: "The network: published or small.") var config = NamedConfiguration.small
    @Option(help: "Rows and columns of a window, a multiple of 4.") var size = 64
    @Option(help: "Windows of a step.") var batch = 8
    @Flag(help: "Evaluate layers twice rather than remember what they computed.") var saveMemory = false
    @OptionGroup var options: MeasuringOptions
    @OptionGroup var comparison: PeerComparison

    func validate() throws {
        guard size > 0, size % config.configuration.sizeMultiple == 0, batch > 0 else {
            throw ValidationError(
                "A batch of \(batch) windows of \(size) x \(size): expected at least one window, and a multiple of "
                    + "\(config.configuration.sizeMultiple).")
        }
    }

    func run() async throws {
        let measurements = comparison.peer == nil ? [try await measure()] : try besidePeer()
        try options.print(measurements) { $0.table(comparesMemory: true) }
    }

    private func measure() async throws -> Measurement {
        var configuration = TrainingConfiguration.published
        configuration.network = config.configuration
        configuration.batch = batch
        let network = TrainableUNet(
            configuration.network, options: ComputeOptions(threads: options.threads),
            recomputesActivations: saveMemory)
        var trainer = Trainer(
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

    private func besidePeer() throws -> [Measurement] {
        let job = ["train", "--config", config.rawValue, "--size", "\(size)", "--batch", "\(batch)"]
        return try comparison.inTurn(
            own: [job + (saveMemory ? ["--save-memory"] : [])], peers: [job],
            options: ["--threads", "\(options.threads)", "--repeat", "\(options.repeats)"])
    }
}

/// Pairs of windows of random intensities.
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
