import Foundation

/// Trains a network in memory, one step at a time.
///
/// ```swift
/// var trainer = try Trainer(network, configuration: configuration, dataset: data)
/// while trainer.state.step < configuration.steps {
///     let report = try trainer.step()
///     print(report.loss)
/// }
/// ```
///
/// A step depends on the state, the configuration and the data alone, to the bit: at any number of threads, and
/// whether the run was interrupted before or not. `TrainingRun` does the same with a folder, a log, validation and
/// checkpoints.
public struct Trainer<Network: TrainableNetwork>: Sendable {
    /// The network.
    public let network: Network

    /// Every setting.
    public let configuration: TrainingConfiguration

    /// What has been learned.
    public internal(set) var state: TrainingState

    private var batches: BatchMaker
    private var gradients: ParameterSet

    /// A trainer at the beginning of a run, or where a state of the same run was left.
    ///
    /// - Throws: `StoredPathError` where the configuration names a path that it does not hold.
    public init(
        _ network: Network, configuration: TrainingConfiguration, dataset: any TrainingDataset,
        state: TrainingState? = nil
    ) throws {
        precondition(dataset.count > 0, "there is nothing to train on")
        precondition(
            dataset.radius == configuration.network.radius, "the data's windows are not of the network's size")
        self.network = network
        self.configuration = configuration
        batches = try BatchMaker(dataset: dataset, configuration: configuration)
        gradients = ParameterSet(network.parameters)
        self.state =
            state
            ?? TrainingState(
                network.initialParameters(seed: configuration.seed), configuration: configuration)
    }

    /// What a step did.
    public struct StepReport: Sendable {
        /// The mean loss of the step's batches, before the step.
        public let loss: Double
        /// The learning rate of the step.
        public let learningRate: Double
        /// The norm of the gradient, before it was scaled down.
        public let gradientNorm: Double
    }

    /// Makes a step.
    ///
    /// - Throws: `TrainingError.diverged` where the loss or the gradient is not finite; what the data set or the
    ///   network throws. The state is then as it was before the step.
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

    /// The mean gradient of the step's batches, in `gradients`.
    ///
    /// - Returns: their mean loss.
    private mutating func accumulateGradients() throws -> Double {
        let (batch, accumulation) = (configuration.batch, configuration.accumulation)
        let parameters = state.parameters.tensors
        gradients.clear()
        var loss = 0.0
        for part in 0..<accumulation {
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

/// Why training cannot go on.
public enum TrainingError: LocalizedError, Equatable, CustomStringConvertible {
    /// The loss or its gradient is NaN or infinite.
    case diverged(step: Int, rate: Double)
    /// The folder holds a run already.
    case runExists(folder: String)
    /// Another run is at work in the folder.
    case locked(folder: String)
    /// The run in the folder has another configuration than the one given.
    case otherConfiguration(folder: String)
    /// The run in the folder was made of other data.
    case otherData(folder: String)
    /// A checkpoint is not one of the run.
    case badCheckpoint(file: String, reason: String)

    /// The description.
    public var errorDescription: String? { description }

    /// What was found, and what to do.
    public var description: String {
        switch self {
        case .diverged(let step, let rate):
            "the loss or its gradient is no finite number at step \(step), with a learning rate of \(rate); begin "
                + "anew with a smaller optimizer.learning_rate, or with an optimizer.gradient_clip of 1"
        case .runExists(let folder):
            "\(folder) holds a run already; go on with it by --resume, or choose another folder"
        case .locked(let folder):
            "another process is training in \(folder); wait for its end, or choose another folder"
        case .otherConfiguration(let folder):
            "the configuration given is not that of the run in \(folder); resume without one, or choose another "
                + "folder"
        case .otherData(let folder):
            "the data are not those of the run in \(folder): subjects, volumes or the way they are prepared have "
                + "changed; restore them, or choose another folder"
        case .badCheckpoint(let file, let reason):
            "\(file) is no checkpoint of this run: \(reason); remove it to go on from the one before"
        }
    }
}
