public import BridgeDiffusion
public import ReferenceUNet
public import VolumeTranslation

/// Every setting of a training run. What a run computes follows from it and from the data alone.
///
/// ```swift
/// var configuration = TrainingConfiguration.published
/// configuration.network.modelChannels = 32
/// configuration.steps = 20_000
/// ```
///
/// As JSON, fields that are missing have the published value, and fields that are unknown are an error:
///
/// ```json
/// { "network": { "model_channels": 32, "num_head_channels": 32 }, "steps": 20000, "batch": 4 }
/// ```
public struct TrainingConfiguration: Equatable, Sendable, Codable {
    /// The sizes of the network.
    public var network = UNetConfiguration.ct2mri
    /// The process that the network is trained to reverse.
    public var process = StoredPath()
    /// What the network learns to predict.
    public var predictionType = PredictionType.gradient
    /// How far a prediction is from that.
    public var loss = TrainingLoss.l1
    /// Adam or AdamW.
    public var optimizer = OptimizerSettings()
    /// How the learning rate changes.
    public var rateSchedule = RateSchedule()
    /// The moving average of the weights.
    public var movingAverage = MovingAverageSettings()
    /// How volumes become slices.
    public var data = DataSettings()
    /// How often, in steps, what is done beside training.
    public var intervals = IntervalSettings()
    /// What is validated, and how.
    public var validation = ValidationSettings()
    /// Windows in a batch: those whose mean gradient is computed at once.
    public var batch = 16
    /// Batches whose mean gradient makes one step.
    public var accumulation = 1
    /// Steps of the optimiser in the whole run.
    public var steps = 400_000
    /// Whether every other window, on average, is turned left to right.
    public var flips = true
    /// Which of 2^64 runs.
    public var seed: UInt64 = 0

    enum CodingKeys: String, CodingKey {
        case network, process, loss, optimizer
        // The name in files written so far.
        case predictionType = "objective"
        case rateSchedule = "learning_rate_schedule"
        case movingAverage = "moving_average"
        case data, intervals, validation, batch, accumulation, steps, flips, seed
    }

    /// The published settings. Change what differs.
    public init() {}

    /// The published settings (arXiv 2407.05059 and its public implementation): the CT-to-MRI network, L1 on the
    /// gradient target, Adam at 1e-4 with a plateau schedule, a moving average of 0.995 every 8 steps after step
    /// 30,000, left-right flips, batches of 16 windows, T = 1000.
    public static let published = TrainingConfiguration()

    /// What a network that is trained so must be translated with: its weights file carries it.
    public var translation: TranslationSettings {
        var settings = TranslationSettings()
        (settings.process, settings.predictionType) = (process, predictionType)
        (settings.spacing, settings.plane) = (data.spacing, data.plane)
        return settings
    }
}
