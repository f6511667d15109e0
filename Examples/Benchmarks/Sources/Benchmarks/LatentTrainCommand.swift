import ArgumentParser
import BridgeTraining
import Foundation
import NetworkEngine
import Networks
import TensorFiles

/// Times a training step of a part of the 3-D latent translator.
struct LatentTrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latent-train",
        abstract: "Times a training step of the denoiser or the autoencoder of the 3-D latent translator.",
        discussion: """
            One step on one volume: the loss, gradients and AdamW. The denoiser's loss is the mean square, on a latent \
            of a quarter of the volume's extents; the autoencoder's is the sum of L1 and that of the codebook. Inputs \
            are random, and weights are.
            """)

    /// The networks that are trained.
    enum Part: String, CaseIterable, ExpressibleByArgument {
        case denoiser, autoencoder
    }

    /// How large the networks are.
    enum Size: String, CaseIterable, ExpressibleByArgument {
        case published, small
    }

    @Option(help: "The part: denoiser or autoencoder.") var part = Part.denoiser
    @Option(help: "The channels: published or small.") var config = Size.small
    @Option(help: "Planes, rows and columns of the volume: multiples of 16.") var shape = "48x48x32"
    @Flag(help: "Evaluate layers twice instead of storing their results.") var saveMemory = false
    @OptionGroup var options: MeasuringOptions
    @OptionGroup var comparison: PeerComparison

    private var extents: [Int] { shape.split(separator: "x").compactMap { Int($0) } }

    func validate() throws {
        guard extents.count == 3, extents.allSatisfy({ $0 > 0 && $0 % 16 == 0 }) else {
            throw ValidationError("--shape is three multiples of 16, such as 48x48x32; found '\(shape)'.")
        }
    }

    func run() async throws {
        let measurements = comparison.peer == nil ? [try await measure()] : try comparedWithPeer()
        try options.print(measurements) { $0.table(comparesMemory: true) }
    }

    private func measure() async throws -> Measurement {
        let gradients = NetworkGradients(
            options: ComputeOptions(threads: options.threads), recomputesActivations: saveMemory)
        let step: TimedStep =
            part == .denoiser
            ? DenoiserStep(config, latent: extents.map { $0 / 4 }) : AutoencoderStep(config, volume: extents)
        var settings = OptimizerSettings()
        settings.kind = .adamW
        let initial = Dictionary(
            uniqueKeysWithValues: step.parameters.map { ($0.name, Tensor(random: $0)) })
        var parameters = try ParameterSet(step.parameters) { initial[$0] }
        var optimizer = AdamOptimizer(settings, for: parameters)
        // The tape and what it shares with the parameters are gone when these are updated in place.
        func slopes(at parameters: [String: Tensor]) throws -> ParameterSet {
            let tape = gradients.tape(parameters)
            try step.differentiate(tape)
            let slopes = tape.gradients
            return try ParameterSet(step.parameters) { slopes[$0] }
        }
        let seconds = try await shortest(of: options.repeats) {
            optimizer.step(&parameters, against: try slopes(at: parameters.tensors), rate: 1e-4)
        }
        return Measurement(
            what: "step, \(config) \(part), \(shape)\(saveMemory ? ", saving memory" : "")",
            threads: options.threads, seconds: seconds, operations: 3 * step.operations,
            peakMemory: peakMemory())
    }

    private func comparedWithPeer() throws -> [Measurement] {
        let job = ["--config", config.rawValue, "--shape", shape]
        let own = ["latent-train", "--part", part.rawValue] + job + (saveMemory ? ["--save-memory"] : [])
        let options = ["--threads", "\(options.threads)", "--repeat", "\(options.repeats)"]
        guard part == .autoencoder, let peer = comparison.peer else {
            return try comparison.inTurn(own: [own], peers: [["aldm-train"] + job], options: options)
        }
        var comparison = comparison
        comparison.peer =
            URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../peer_autoencoder.py").standardizedFileURL.path
        let models = URL(filePath: peer).deletingLastPathComponent().path
        return try comparison.inTurn(own: [own], peers: [["--models", models] + job], options: options)
    }
}

/// What is timed.
private protocol TimedStep {
    var parameters: [Parameter] { get }
    /// The operations of the forward pass.
    var operations: Double { get }
    /// Evaluates the networks and the loss on the tape, and differentiates.
    func differentiate(_ tape: GradientTape) throws
}

extension TimedStep {
    /// The gradient of the mean of squares, times a weight.
    fileprivate func meanSquareSlope(_ x: Tensor, _ y: Tensor, weight: Float = 1) -> Tensor {
        Tensor(
            shape: x.shape,
            values: zip(x.values, y.values).map { 2 * weight * ($0 - $1) / Float(x.values.count) })
    }
}

/// The denoiser of latents.
private struct DenoiserStep: TimedStep {
    private let network: LatentUNet3D
    private let images, shared: [Tensor]
    private let noise: Tensor
    let operations: Double
    var parameters: [Parameter] { network.parameters }

    init(_ size: LatentTrainCommand.Size, latent: [Int]) {
        var configuration = LatentUNetConfiguration.published
        if size == .small { (configuration.modelChannels, configuration.groups) = (32, 16) }
        network = LatentUNet3D(configuration)
        let graph = network.graph(batch: 1, size: latent)
        images = graph.imageShapes.enumerated().map { Tensor(shape: $1, randomFrom: "image \($0)") }
        noise = Tensor(shape: graph.imageShapes[0], randomFrom: "noise")
        shared = network.sharedInputs(timesteps: [500], targets: [1])
        operations = OperationCount.work(of: network, size: latent).operations
    }

    func differentiate(_ tape: GradientTape) throws {
        let output = try tape.evaluate(network, images: images.map { tape.input($0) }, shared: shared)
        try tape.differentiate([(output, meanSquareSlope(tape.tensor(output), noise))])
    }
}

/// Encoder, codebook and decoder.
private struct AutoencoderStep: TimedStep {
    private let encoder: LatentEncoder
    private let decoder: LatentDecoder
    private let codebook: Codebook
    private let volume: Tensor
    let operations: Double
    var parameters: [Parameter] { encoder.parameters + decoder.parameters + codebook.parameters }

    init(_ size: LatentTrainCommand.Size, volume extents: [Int]) {
        var configuration = AutoencoderConfiguration.published
        if size == .small { (configuration.channels, configuration.groups, configuration.codes) = (16, 8, 512) }
        (encoder, decoder) = (LatentEncoder(configuration), LatentDecoder(configuration))
        codebook = Codebook(configuration)
        volume = Tensor(shape: [1, 1] + extents, randomFrom: "volume")
        let latent = extents.map { $0 / configuration.factor }
        operations =
            OperationCount.work(of: encoder, size: extents).operations
            + OperationCount.work(of: decoder, size: latent).operations
    }

    func differentiate(_ tape: GradientTape) throws {
        let features = try tape.evaluate(encoder, images: [tape.input(volume)])
        let (latent, entries, _) = tape.quantised(features, by: codebook)
        let decoded = try tape.evaluate(decoder, images: [latent])
        let result = tape.tensor(decoded)
        let slope = zip(result.values, volume.values).map { a, b -> Float in
            (a > b ? 1 : a < b ? -1 : 0) / Float(result.values.count)
        }
        let (z, codes) = (tape.tensor(features), tape.tensor(entries))
        try tape.differentiate([
            (decoded, Tensor(shape: result.shape, values: slope)), (features, meanSquareSlope(z, codes)),
            (entries, meanSquareSlope(codes, z, weight: 0.25)),
        ])
    }
}
