import Foundation
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

    /// A trainer before the first step, or at a saved state of the same run.
    ///
    /// - Throws: `StoredPathError` if the configuration's path is unknown.
    public init(
        _ network: Network, configuration: TrainingConfiguration, dataset: any TrainingDataset,
        state: TrainingState? = nil
    ) throws {
        precondition(dataset.count > 0, "the data set is empty")
        precondition(
            dataset.radius == configuration.network.radius, "the data set and the network differ in radius")
        self.network = network
        self.configuration = configuration
        batches = try BatchMaker(dataset: dataset, configuration: configuration)
        gradients = ParameterSet(network.parameters)
        self.state =
            state
            ?? TrainingState(
                network.initialParameters(seed: configuration.seed), configuration: configuration)
    }

    /// The result of a step.
    public struct StepReport: Sendable {
        /// The mean loss of the step's batches before the update.
        public let loss: Double
        /// The learning rate of the step.
        public let learningRate: Double
        /// The norm of the gradient before clipping.
        public let gradientNorm: Double
    }

    /// Takes a step.
    ///
    /// - Throws: `TrainingError.diverged` if the loss or the gradient is not finite; errors of the data set and the
    ///   network. The state is then unchanged.
    @discardableResult
    public mutating func step() throws -> StepReport {
        let loss = try accumulateGradients()
        let norm = gradients.norm
        guard loss.isFinite, norm.isFinite else {
            throw TrainingError.diverged(step: state.step + 1, rate: state.learningRate)
        }
        if let clip = configuration.optimizer.gradientClip, norm > clip {
            gradients.scale(by: Float(clip / norm))
        }
        let report = StepReport(loss: loss, learningRate: state.learningRate, gradientNorm: norm)
        state.optimizer.step(&state.parameters, against: gradients, rate: report.learningRate)
        state.step += 1
        state.average.update(with: state.parameters, step: state.step)
        state.rate.advance(after: loss)
        state.lossSum += loss
        state.lossCount += 1
        return report
    }

    /// Stores the mean gradient of the step's batches in `gradients`, and returns their mean loss.
    private mutating func accumulateGradients() throws -> Double {
        let (batch, accumulation) = (configuration.batch, configuration.accumulation)
        let parameters = state.parameters.tensors
        gradients.clear()
        var loss = 0.0
        for part in 0..<accumulation {
            try TimeLimit.check()
            let first = (state.step * accumulation + part) * batch
            let (inputs, target) = try batches.batch(first..<first + batch)
            let result = try network.gradients(of: parameters, on: inputs) {
                configuration.loss($0, target: target)
            }
            loss += result.loss / Double(accumulation)
            try gradients.blend(
                1, 1 / Float(accumulation),
                ParameterSet(network.parameters) { result.gradients[$0] })
        }
        return loss
    }
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
            "the run in \(folder) has another configuration; resume without one, or choose another folder"
        case .otherData(let folder):
            "the run in \(folder) has other data: subjects, volumes or their preparation have changed; restore "
                + "them, or choose another folder"
        case .badCheckpoint(let file, let reason):
            "\(file) is not a checkpoint of this run: \(reason); remove it to continue from the previous one"
        }
    }
}
