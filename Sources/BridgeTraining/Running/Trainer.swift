import Foundation
public import NetworkEngine
import VoxelSupport

/// Trains a network in memory, one step at a time.
///
/// ```swift
/// var trainer = try Trainer(network, configuration: configuration, dataset: data.training)
/// while trainer.state.step < configuration.steps {
///     let report = try trainer.step()
///     print(report.loss)
/// }
/// ```
///
/// A step depends only on the state, the configuration and the data, to the bit: not on threads or interruptions.
/// ``TrainingRun`` adds a folder, a log, validation and checkpoints.
public struct Trainer<Network: TrainableNetwork>: Sendable {
    /// The network.
    public let network: Network

    /// Every setting.
    public let configuration: TrainingConfiguration

    /// The state after the last step.
    public internal(set) var state: TrainingState

    private var batches: BatchMaker
    private var gradients: ParameterSet
    private let adversary: Adversary?

    /// A trainer before the first step, or at a saved state of the same run.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - configuration: every setting.
    ///   - dataset: the training data.
    ///   - state: a saved state of the same run; nil for the one before the first step.
    ///   - options: threads of the discriminator, if the configuration has one. Results do not depend on them.
    /// - Throws: `StoredPathError` if the configuration's path is unknown; `TrainingConfigurationError` if the slices
    ///   are too small for the discriminator.
    public init(
        _ network: Network, configuration: TrainingConfiguration, dataset: any TrainingDataset,
        state: TrainingState? = nil, options: ComputeOptions = ComputeOptions()
    ) throws {
        precondition(dataset.count > 0, "the data set is empty")
        precondition(
            dataset.radius == configuration.network.radius, "the data set and the network differ in radius")
        self.network = network
        self.configuration = configuration
        batches = try BatchMaker(dataset: dataset, configuration: configuration)
        gradients = ParameterSet(network.parameters)
        let adversary = try Adversary(configuration, path: batches.path, dataset: dataset, options: options)
        self.adversary = adversary
        self.state =
            state
            ?? TrainingState(
                network.initialParameters(seed: configuration.seed),
                discriminator: adversary?.initialParameters(seed: configuration.seed),
                settings: .init(configuration))
    }

    /// Takes a step.
    ///
    /// - Throws: `TrainingError.diverged` if the loss or the gradient is not finite; errors of the data set and the
    ///   network. The state is then unchanged.
    @discardableResult
    public mutating func step() throws -> TrainingStepReport {
        var judged = try accumulateGradients()
        if let opponent = judged.opponent, !opponent.gradients.norm.isFinite || !opponent.loss.isFinite {
            throw TrainingError.diverged(step: state.step + 1, rate: state.learningRate)
        }
        let report = try state.step(against: &gradients, loss: judged.loss)
        if judged.opponent != nil {
            try state.stepDiscriminator(
                against: &judged.opponent!.gradients, loss: judged.opponent!.loss, rate: report.learningRate)
            state.note(["adversarial": judged.adversarial, "discriminator": judged.opponent!.loss])
        }
        return report
    }

    /// The mean losses of a step's batches.
    private struct Losses {
        var loss = 0.0
        /// That of the network against the discriminator, without its weight.
        var adversarial = 0.0
        /// The discriminator's, with its gradients; nil where it is not used.
        var opponent: (loss: Double, gradients: ParameterSet)?
    }

    /// Stores the mean gradient of the step's batches in `gradients`, and returns their mean losses.
    private mutating func accumulateGradients() throws -> Losses {
        let (batch, accumulation) = (configuration.batch, configuration.accumulation)
        let parameters = state.parameters.tensors
        let opponent = (adversary?.settings.start).map { state.step >= $0 } == true ? state.discriminator : nil
        let opposed = opponent?.parameters.tensors
        gradients.clear()
        var losses = Losses(opponent: opponent.map { (0, ParameterSet($0.parameters.parameters)) })
        for part in 0..<accumulation {
            try TimeLimit.check()
            let first = (state.step * accumulation + part) * batch
            let (inputs, target) = try batches.batch(first..<first + batch)
            var judgement: Result<Adversary.Judgement, any Error>?
            let result = try network.gradients(of: parameters, on: inputs) { output in
                var (value, gradient) = configuration.loss(output, target: target)
                guard let adversary, let opposed else { return (value, gradient) }
                judgement = Result {
                    let judged = try adversary.judge(output, target: target, of: inputs, parameters: opposed)
                    gradient.add(judged.gradient, weight: Float(adversary.settings.weight))
                    return judged
                }
                return (value, gradient)
            }
            let share = 1 / Double(accumulation)
            losses.loss += share * result.loss
            try gradients.blend(1, Float(share), ParameterSet(network.parameters) { result.gradients[$0] })
            guard let judged = try judgement?.get() else { continue }
            losses.adversarial += share * judged.loss
            losses.opponent?.loss += share * judged.discriminatorLoss
            if let parameters = losses.opponent?.gradients.parameters {
                losses.opponent?.gradients.blend(
                    1, Float(share), try ParameterSet(parameters) { judged.discriminatorGradients[$0] })
            }
        }
        return losses
    }
}

/// The result of a step of training.
public struct TrainingStepReport: Sendable {
    /// The mean loss of the step's batches before the update.
    public let loss: Double
    /// The learning rate of the step.
    public let learningRate: Double
    /// The norm of the gradient before clipping.
    public let gradientNorm: Double
}

/// Why training cannot start or continue.
public enum TrainingError: LocalizedError, Equatable, CustomStringConvertible {
    /// The loss or its gradient is NaN or infinite.
    case diverged(step: Int, rate: Double)
    /// The folder already contains a run.
    case runExists(folder: String)
    /// Another run is active in the folder.
    case locked(folder: String)
    /// The run in the folder has another configuration.
    case otherConfiguration(folder: String)
    /// The run in the folder has other data.
    case otherData(folder: String)
    /// A checkpoint cannot be read.
    case badCheckpoint(file: String, reason: String)

    /// The same as ``description``.
    public var errorDescription: String? { description }

    /// The cause and a remedy.
    public var description: String {
        switch self {
        case .diverged(let step, let rate):
            "the loss or its gradient is not finite at step \(step), with a learning rate of \(rate); restart with "
                + "a smaller optimizer.learning_rate, or an optimizer.gradient_clip of 1"
        case .runExists(let folder):
            "\(folder) already contains a run; continue it with --resume, or choose another folder"
        case .locked(let folder):
            "another process is training in \(folder); wait until it ends, or choose another folder"
        case .otherConfiguration(let folder):
            "the run in \(folder) has a different configuration; resume it without --config, or choose another folder"
        case .otherData(let folder):
            "the run in \(folder) has other data: subjects, volumes or their preparation have changed; restore "
                + "them, or choose another folder"
        case .badCheckpoint(let file, let reason):
            "\(file) is not a checkpoint of this run: \(reason); remove it to continue from the previous one"
        }
    }
}
