/// All that a run has learned and must keep to go on: the rest follows from the configuration and the data.
public struct TrainingState: Equatable, Sendable {
    /// Steps of the optimiser made so far.
    public internal(set) var step = 0

    /// The network's parameters.
    public internal(set) var parameters: ParameterSet

    /// The optimiser's moments.
    var optimizer: AdamOptimizer

    /// The moving average of the parameters.
    var average: MovingAverage

    /// The learning rate.
    var rate: LearningRate

    /// The sum of the losses, and their number, since the last line of the log.
    var lossSum = 0.0
    var lossCount = 0

    /// The least validation loss so far; nil before the first validation.
    public internal(set) var bestValidationLoss: Double?

    /// The moving average of the parameters; before its first update, the parameters themselves.
    public var averagedParameters: ParameterSet {
        average.isUnderWay(after: step) ? average.values : parameters
    }

    /// The learning rate of the next step.
    public var learningRate: Double { rate.value }

    /// The state before the first step.
    init(_ parameters: ParameterSet, configuration: TrainingConfiguration) {
        self.parameters = parameters
        optimizer = AdamOptimizer(configuration.optimizer, for: parameters)
        average = MovingAverage(settings: configuration.movingAverage, values: parameters)
        rate = LearningRate(configuration.rateSchedule, initial: configuration.optimizer.learningRate)
    }
}
