public import Preprocessing
public import Volumes

/// The optimiser.
public struct OptimizerSettings: Equatable, Sendable, Codable {
    /// The form of weight decay.
    public enum Kind: String, CaseIterable, Codable, Sendable {
        /// Adam: weight decay is added to the gradient.
        case adam
        /// AdamW: weight decay is decoupled from the gradient.
        case adamW = "adamw"
    }

    /// Adam, or AdamW.
    public var kind = Kind.adam
    /// The initial learning rate.
    public var learningRate = 1e-4
    /// The decay rate of the first moment.
    public var beta1 = 0.9
    /// The decay rate of the second moment.
    public var beta2 = 0.999
    /// The constant added to the denominator for numerical stability.
    public var epsilon = 1e-8
    /// The weight decay.
    public var weightDecay = 0.0
    /// The largest norm of the gradient of a step, to which larger ones are scaled; `nil` for no limit.
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

/// The learning rate schedule.
public struct RateSchedule: Equatable, Sendable, Codable {
    /// The shape of the schedule.
    public enum Kind: String, CaseIterable, Codable, Sendable {
        /// The rate is constant.
        case constant
        /// The rate is reduced when the training loss stops decreasing.
        case plateau
        /// The rate follows half a cosine, after a warm-up.
        case cosine
    }

    /// The shape.
    public var kind = Kind.plateau
    /// `plateau`: the factor of a reduction.
    public var factor = 0.5
    /// `plateau`: number of consecutive steps without improvement before a reduction.
    public var patience = 3000
    /// `plateau`: number of steps after a reduction that are not counted.
    public var cooldown = 3000
    /// `plateau`: the relative decrease of the loss that counts as an improvement.
    public var threshold = 1e-4
    /// `plateau`, `cosine`: the smallest rate.
    public var minimum = 5e-7
    /// `cosine`: number of warm-up steps.
    public var warmup = 0
    /// `cosine`: number of steps to the smallest rate, including the warm-up.
    public var period = 400_000

    /// The published schedule.
    public init() {}
}

/// The exponential moving average of the weights.
public struct MovingAverageSettings: Equatable, Sendable, Codable {
    /// The decay of the average.
    public var decay = 0.995
    /// Number of steps between updates.
    public var interval = 8
    /// The step up to which the average equals the weights.
    public var start = 30_000

    /// The published average.
    public init() {}
}

/// The preparation of volumes and slices.
public struct DataSettings: Equatable, Sendable, Codable {
    /// Distance between the voxels that the network sees, in millimetres.
    public var spacing = 1.0
    /// What is done first to volumes with finer voxels.
    public var antialiasing = Antialiasing.gaussian
    /// The plane of the slices.
    public var plane = SlicePlane.axial
    /// Slices whose target has at most this number of foreground voxels are skipped.
    public var minimumForeground = 50
    /// How the intensities of sources are scaled.
    public var source = IntensityRule.percentiles()
    /// How the intensities of targets are scaled.
    public var target = IntensityRule.percentiles()
    /// Whether each target is first aligned with its source by a rigid motion. Their grids may then differ; the source's
    /// stays, as in translation.
    public var align = false

    enum CodingKeys: String, CodingKey {
        case spacing, antialiasing, plane, source, target, align
        case minimumForeground = "minimum_foreground"
    }

    /// The published preparation.
    public init() {}
}

/// The intervals of logs, validations, samples and checkpoints, in steps.
public struct IntervalSettings: Equatable, Sendable, Codable {
    /// Between lines of the log.
    public var log = 50
    /// Between validations.
    public var validation = 1000
    /// Between images of sampled slices.
    public var samples = 5000
    /// Between checkpoints.
    public var checkpoint = 1000

    /// Intervals for a run of hundreds of thousands of steps.
    public init() {}
}

/// Settings of the validation.
public struct ValidationSettings: Equatable, Sendable, Codable {
    /// The largest number of windows for the loss, evenly spaced over the slices of the validation subjects.
    public var windows = 64
    /// Number of slices that are sampled for the image, at most one per subject.
    public var samples = 3
    /// Number of timesteps visited when a slice is sampled.
    public var samplingSteps = 50

    enum CodingKeys: String, CodingKey {
        case windows, samples
        case samplingSteps = "sampling_steps"
    }

    /// 64 windows, 3 slices, 50 steps.
    public init() {}
}
