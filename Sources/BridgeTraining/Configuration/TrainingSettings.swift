public import Volumes

/// The optimiser.
public struct OptimizerSettings: Equatable, Sendable, Codable {
    /// What weight decay does.
    public enum Kind: String, CaseIterable, Codable, Sendable {
        /// It is added to the gradient.
        case adam
        /// It shrinks the parameters.
        case adamW = "adamw"
    }

    /// Adam, or AdamW.
    public var kind = Kind.adam
    /// The learning rate, or what its schedule begins with.
    public var learningRate = 1e-4
    /// The share of the mean gradient that is kept from step to step.
    public var beta1 = 0.9
    /// The share of the mean square that is kept from step to step.
    public var beta2 = 0.999
    /// Added to the deviation of gradients.
    public var epsilon = 1e-8
    /// The weight decay.
    public var weightDecay = 0.0
    /// The norm that a step's gradient is scaled down to where it is larger; nil for no limit.
    public var gradientClip: Double?

    enum CodingKeys: String, CodingKey {
        case kind
        case learningRate = "learning_rate"
        case beta1, beta2, epsilon
        case weightDecay = "weight_decay"
        case gradientClip = "gradient_clip"
    }

    /// The published optimiser.
    public init() {}
}

/// How the learning rate changes from step to step.
public struct RateSchedule: Equatable, Sendable, Codable {
    /// The shape of the schedule.
    public enum Kind: String, CaseIterable, Codable, Sendable {
        /// It stays.
        case constant
        /// It falls by a factor where the training loss has not fallen for long.
        case plateau
        /// It falls as half a cosine, after a warm-up.
        case cosine
    }

    /// The shape.
    public var kind = Kind.plateau
    /// `plateau`: what the rate is multiplied by.
    public var factor = 0.5
    /// `plateau`: steps in a row without a better loss that are waited.
    public var patience = 3000
    /// `plateau`: steps after a fall for which nothing is counted.
    public var cooldown = 3000
    /// `plateau`: the share by which a loss must be below the best to be better.
    public var threshold = 1e-4
    /// `plateau`, `cosine`: the least rate.
    public var minimum = 5e-7
    /// `cosine`: steps up to full rate.
    public var warmup = 0
    /// `cosine`: steps to the least rate, the warm-up among them.
    public var period = 400_000

    /// The published schedule.
    public init() {}
}

/// The exponential moving average of the weights.
public struct MovingAverageSettings: Equatable, Sendable, Codable {
    /// The share of the average that is kept.
    public var decay = 0.995
    /// Steps from one update to the next.
    public var interval = 8
    /// The step up to which the average is the weights themselves.
    public var start = 30_000

    /// The published average.
    public init() {}
}

/// How volumes become slices.
public struct DataSettings: Equatable, Sendable, Codable {
    /// Distance between the voxels that the network sees, in millimetres.
    public var spacing = 1.0
    /// The plane of the slices.
    public var plane = SlicePlane.axial
    /// Slices whose target has no more foreground voxels than this are not trained on.
    public var minimumForeground = 50

    enum CodingKeys: String, CodingKey {
        case spacing, plane
        case minimumForeground = "minimum_foreground"
    }

    /// The published preparation.
    public init() {}
}

/// How often, in steps, what is done beside training.
public struct IntervalSettings: Equatable, Sendable, Codable {
    /// Between lines of the log.
    public var log = 50
    /// Between validations.
    public var validation = 1000
    /// Between pictures of sampled slices.
    public var samples = 5000
    /// Between checkpoints.
    public var checkpoint = 1000

    /// Intervals for a run of hundreds of thousands of steps.
    public init() {}
}

/// What is validated, and how.
public struct ValidationSettings: Equatable, Sendable, Codable {
    /// Windows that the loss is measured on, at most, spread evenly over the validation subjects' slices.
    public var windows = 64
    /// Slices that are sampled for the picture, at most one a subject.
    public var samples = 3
    /// Timesteps visited when a slice is sampled.
    public var samplingSteps = 50

    enum CodingKeys: String, CodingKey {
        case windows, samples
        case samplingSteps = "sampling_steps"
    }

    /// 64 windows, 3 slices, 50 steps.
    public init() {}
}
