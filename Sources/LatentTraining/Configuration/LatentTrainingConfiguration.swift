public import BridgeTraining
public import LatentTranslation

/// All settings of the training of a latent translator, of its three stages one after another.
///
/// ```swift
/// var configuration = LatentTrainingConfiguration.published
/// configuration.model.preparation.spacing = 2
/// configuration.autoencoder.steps = 20_000
/// ```
///
/// In a JSON file, missing fields have their published values, and unknown fields are an error:
///
/// ```json
/// { "model": { "first_stage": { "ch": 16, "num_groups": 8 }, "preparation": { "shape": [64, 80, 64], "spacing": 3 } },
///   "autoencoder": { "steps": 5000, "batch": 1 } }
/// ```
public struct LatentTrainingConfiguration: Codable, Equatable, Sendable {
    /// The networks, the targets, the process and the preparation of volumes.
    public var model = LatentModelConfiguration()
    /// The modality that volumes are cropped by, and flips.
    public var data = ModalitySettings()
    /// The first stage: encoder, codebook and decoder.
    public var autoencoder = LatentStageSettings(losses: AutoencoderLosses(), rate: 4e-5)
    /// The second stage: the translator between latents.
    public var translator = LatentStageSettings(losses: TranslatorLosses(), rate: 8e-5)
    /// The third stage: the denoiser of latents.
    public var denoiser = LatentStageSettings(losses: DenoiserLosses(), rate: 4e-5)
    /// The seed of all random numbers.
    public var seed: UInt64 = 0

    /// The published settings.
    public init() {
        model.denoiser = .published
        (denoiser.optimizer.kind, denoiser.optimizer.weightDecay) = (.adamW, 0.01)
        (denoiser.optimizer.beta1, denoiser.optimizer.beta2) = (0.9, 0.999)
        denoiser.movingAverage = .ofDenoiser
    }

    /// The settings of the public code of Kim and Park, WACV 2024: Adam at 1e-5 for each volume of a batch, (0.5, 0.9), and
    /// twice that for the translator; AdamW with a decay of 0.01 and a moving average of 0.9999 with a warm-up for the
    /// denoiser; batches of 4; flips of each axis with a probability of 0.1. The weights of the codebook and of the
    /// adversarial loss, which that code leaves at 0, are 1, the latter from step 10,000.
    public static let published = LatentTrainingConfiguration()
}

/// A stage of training. Each starts from the networks that the stages before it have trained.
public enum LatentStage: String, CaseIterable, Codable, Sendable {
    /// Encoder, codebook and decoder.
    case autoencoder
    /// The translator between the latents of modalities.
    case translator
    /// The denoiser of latents.
    case denoiser
}

/// The choice of examples.
public struct ModalitySettings: Codable, Equatable, Sendable {
    /// The modality whose positive voxels give the crop of a subject's volumes; nil for the first target. Of a subject
    /// without it, the first that it has.
    public var reference: String?
    /// The modalities that the translator and the denoiser take as sources; nil for all. Limiting the sources reduces the
    /// number of steps needed.
    public var sources: [String]?
    /// The probability with which an example is flipped along each axis.
    public var flips = 0.1

    /// The published choice.
    public init() {}

    /// Encodes all fields.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(reference, forKey: .reference)
        try fields.encode(sources, forKey: .sources)
        try fields.encode(flips, forKey: .flips)
    }
}

/// The settings of one stage.
public struct LatentStageSettings<Losses: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
    /// Number of optimiser steps.
    public var steps = 100_000
    /// Number of examples whose mean gradient makes one step.
    public var batch = 4
    /// The loss.
    public var losses: Losses
    /// The optimiser, of the discriminator too.
    public var optimizer = OptimizerSettings()
    /// The learning rate schedule.
    public var rateSchedule = RateSchedule()
    /// The moving average of the weights; nil for none.
    public var movingAverage: MovingAverageSettings?
    /// The intervals of logs, validations, samples and checkpoints, in steps.
    public var intervals = IntervalSettings()
    /// The validation.
    public var validation = LatentValidationSettings()

    enum CodingKeys: String, CodingKey {
        case steps, batch, losses, optimizer
        case rateSchedule = "learning_rate_schedule"
        case movingAverage = "moving_average"
        case intervals, validation
    }

    init(losses: Losses, rate: Double) {
        self.losses = losses
        optimizer.learningRate = rate
        (optimizer.beta1, optimizer.beta2) = (0.5, 0.9)
        rateSchedule.kind = .constant
    }

    /// Encodes all fields.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(steps, forKey: .steps)
        try fields.encode(batch, forKey: .batch)
        try fields.encode(losses, forKey: .losses)
        try fields.encode(optimizer, forKey: .optimizer)
        try fields.encode(rateSchedule, forKey: .rateSchedule)
        try fields.encode(movingAverage, forKey: .movingAverage)
        try fields.encode(intervals, forKey: .intervals)
        try fields.encode(validation, forKey: .validation)
    }
}

extension MovingAverageSettings {
    /// The moving average of published denoisers: 0.9999 after every step, with a warm-up.
    static var ofDenoiser: MovingAverageSettings {
        var settings = MovingAverageSettings()
        (settings.decay, settings.interval, settings.start, settings.warmup) = (0.9999, 1, 0, true)
        return settings
    }
}

/// The loss of the autoencoder: the mean absolute difference, and weighted others.
public struct AutoencoderLosses: Codable, Equatable, Sendable {
    /// The weight of the codebook's loss.
    public var codebook = 1.0
    /// The number of steps before latents are quantised. A codebook that is there from the start keeps the encoder near the
    /// few directions that its first codes have, and decoders then learn little detail.
    public var quantizationStart = 0
    /// New values for codes that nothing uses.
    public var restarts = CodebookRestarts()
    /// A discriminator of volumes, with the hinge loss.
    public var adversarial = LatentAdversarialSettings()
    /// Whether the adversarial loss is weighted so that its gradient at the decoder's last weight is 0.8 times that of the
    /// mean absolute difference, before its own weight is applied (Esser et al., arXiv 2012.09841, equation 7).
    public var isAdaptive = false
    /// The weight of the squared distance of features, which needs a feature network.
    public var perceptual = 0.0
    /// The way to a target and back; above 0 it trains the translator too.
    public var cycle = CycleSettings()

    enum CodingKeys: String, CodingKey {
        case codebook
        case quantizationStart = "quantization_start"
        case restarts, adversarial
        case isAdaptive = "adaptive"
        case perceptual, cycle
    }

    /// A codebook loss, and an adversarial one from step 10,000.
    public init() {}
}

/// New values for codes that nothing uses.
///
/// Only codes that some element is nearest to have a gradient. A codebook that starts far from the encoder's outputs, or is
/// left behind by them, can keep all but a few codes unused, and the decoder then learns little more than the mean volume:
/// `unused_codes` in the log, the mean share of codes that a volume does not use, stays near 1. Restarts give unused codes the
/// values of encoder outputs (Dhariwal et al.: *Jukebox*, arXiv 2005.00341, section 3.1).
public struct CodebookRestarts: Codable, Equatable, Sendable {
    /// The number of steps from one restart to the next, the first where quantisation starts; 0 for none.
    public var interval = 0
    /// The number of steps after which there are none.
    public var end = 10_000

    /// None, as in the public code.
    public init() {}
}

/// The loss of the translator: the mean absolute difference of latents, and weighted others.
public struct TranslatorLosses: Codable, Equatable, Sendable {
    /// A discriminator of latents, which tells their modality, or that they are translated.
    public var adversarial = LatentAdversarialSettings()
    /// The discriminator's class of translated latents; nil for one of its own after the targets. The public code has 0,
    /// which is the first target's too.
    public var fakeClass: Int?
    /// The way to a target and back.
    public var cycle = CycleSettings()

    enum CodingKeys: String, CodingKey {
        case adversarial
        case fakeClass = "fake_class"
        case cycle
    }

    /// An adversarial loss from step 10,000.
    public init() {}

    /// Encodes all fields.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(adversarial, forKey: .adversarial)
        try fields.encode(fakeClass, forKey: .fakeClass)
        try fields.encode(cycle, forKey: .cycle)
    }
}

/// The loss of the denoiser.
public struct DenoiserLosses: Codable, Equatable, Sendable {
    /// The distance between what the denoiser is to predict, the noise as published, and its prediction.
    public var noise = TrainingLoss.l2

    /// The mean squared distance.
    public init() {}
}

/// A discriminator of patches, and when it takes part.
public struct LatentAdversarialSettings: Codable, Equatable, Sendable {
    /// The weight of the loss; 0 for no discriminator.
    public var weight = 1.0
    /// The number of steps without it.
    public var start = 10_000
    /// Channels after the first layer of the discriminator.
    public var width = 32
    /// Layers of the discriminator that halve the resolution.
    public var layers = 3
    /// Groups of its normalisations.
    public var groups = 32

    enum CodingKeys: String, CodingKey {
        case weight, start, width, layers
        case groups = "num_groups"
    }

    /// The published discriminator, from step 10,000.
    public init() {}
}

/// The loss of the way to a target's modality and back.
public struct CycleSettings: Codable, Equatable, Sendable {
    /// Where source and result are compared.
    public enum Space: String, Codable, CaseIterable, Sendable {
        /// As volumes: the translated latent is decoded and encoded before the way back.
        case volume
        /// As latents.
        case latent
    }

    /// The weight; 0 for none.
    public var weight = 0.0
    /// Where source and result are compared.
    public var space = Space.latent

    /// None.
    public init() {}
}

/// The validation of a stage.
public struct LatentValidationSettings: Codable, Equatable, Sendable {
    /// The largest number of examples for the loss, evenly spaced over those of the validation subjects.
    public var examples = 16
    /// Number of subjects whose first modality is translated to every target for the samples.
    public var samples = 1
    /// S, as the public code counts the steps of sampling.
    public var samplingSteps = 50

    enum CodingKeys: String, CodingKey {
        case examples, samples
        case samplingSteps = "sampling_steps"
    }

    /// 16 examples, one subject, 50 steps.
    public init() {}
}
