public import BridgeDiffusion
public import ReferenceUNet
public import VolumeTranslation

/// All settings of a training run. Its results are a function of the settings and of the data.
///
/// ```swift
/// var configuration = TrainingConfiguration.published
/// configuration.network.modelChannels = 32
/// configuration.steps = 20_000
/// ```
///
/// In a JSON file, missing fields have their published values, and unknown fields are an error:
///
/// ```json
/// { "network": { "model_channels": 32, "num_head_channels": 32 }, "steps": 20000, "batch": 4 }
/// ```
public struct TrainingConfiguration: Equatable, Sendable, Codable {
    /// The architecture of the network.
    public var network = UNetConfiguration.ct2mri
    /// The process that the network is trained to reverse.
    public var process = StoredPath()
    /// The quantity that the network predicts.
    public var predictionType = PredictionType.gradient
    /// The loss function.
    public var loss = TrainingLoss.l1
    /// The discriminator that the network is trained against; nil for none.
    public var adversarial: AdversarialSettings?
    /// The optimiser.
    public var optimizer = OptimizerSettings()
    /// The learning rate schedule.
    public var rateSchedule = RateSchedule()
    /// The moving average of the weights.
    public var movingAverage = MovingAverageSettings()
    /// The preparation of volumes and slices.
    public var data = DataSettings()
    /// The intervals of logs, validations, samples and checkpoints, in steps.
    public var intervals = IntervalSettings()
    /// Settings of the validation.
    public var validation = ValidationSettings()
    /// Number of windows in a batch.
    public var batch = 16
    /// Number of batches whose mean gradient makes one step (gradient accumulation).
    public var accumulation = 1
    /// Number of optimiser steps.
    public var steps = 400_000
    /// Whether windows are flipped left to right with probability 1/2.
    public var flips = true
    /// The seed of all random numbers.
    public var seed: UInt64 = 0

    enum CodingKeys: String, CodingKey {
        case network, process, loss, adversarial, optimizer
        // The name in files written so far.
        case predictionType = "objective"
        case rateSchedule = "learning_rate_schedule"
        case movingAverage = "moving_average"
        case data, intervals, validation, batch, accumulation, steps, flips, seed
    }

    /// The published settings.
    public init() {}

    /// The published settings (arXiv 2407.05059 and its public implementation): the CT-to-MRI network, L1 on the
    /// gradient target, Adam at 1e-4 with a plateau schedule, a moving average of 0.995 every 8 steps after step
    /// 30,000, left-right flips, batches of 16 windows, T = 1000.
    public static let published = TrainingConfiguration()

    /// The settings for translating with the trained network, which are stored in its weights file.
    public var translation: TranslationSettings {
        var settings = TranslationSettings()
        (settings.process, settings.predictionType) = (process, predictionType)
        (settings.spacing, settings.plane) = (data.spacing, data.plane)
        (settings.antialiasing, settings.source, settings.target) = (
            data.antialiasing, data.source, data.target
        )
        return settings
    }
}
