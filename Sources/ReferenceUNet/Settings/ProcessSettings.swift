import Networks
public import SliceSampling

/// The process between target and source.
public struct ProcessSettings: Codable, Equatable, Sendable {
    /// Which family of processes.
    public enum Kind: String, CaseIterable, Codable, Sendable {
        /// `BrownianBridge`, as published.
        case brownianBridge = "brownian_bridge"
        /// `SymmetricBridge` (I2SB).
        case symmetricBridge = "symmetric_bridge"
        /// `GaussianDiffusion`, with the source as a condition.
        case diffusion
        /// `RectifiedFlow`, with the source as a condition.
        case rectifiedFlow = "rectified_flow"
    }

    /// Which family.
    public var kind = Kind.brownianBridge
    /// T, 3 to 10000.
    public var timesteps = 1000
    /// m_t of a Brownian bridge; other processes have none.
    public var schedule = BrownianBridge.Schedule.linear
    /// s, the scale of a Brownian bridge's variance, from 1e-6 to 1e6; other processes have none.
    public var varianceScale = 1.0

    enum CodingKeys: String, CodingKey, CaseIterable {
        case kind, timesteps, schedule
        case varianceScale = "variance_scale"
    }

    /// The published bridge.
    public init() {}

    /// Decodes the settings, without validating them. Fields that are missing have the published value.
    ///
    /// - Throws: `DecodingError` naming the field that is unknown or wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.knownFields(CodingKeys.self)
        try fields.read(.kind, into: &kind)
        try fields.read(.timesteps, into: &timesteps)
        try fields.read(.schedule, into: &schedule)
        try fields.read(.varianceScale, into: &varianceScale)
    }

    /// The process, visiting `steps` timesteps when it is sampled.
    ///
    /// - Parameters:
    ///   - steps: from 3 to `timesteps`.
    ///   - stepRule: how a reverse step treats the posterior variance; nil for that of the process's publication.
    /// - Precondition: the settings are valid.
    public func scheduler(steps: Int, stepRule: StepRule? = nil) -> any GaussianPathScheduler {
        switch kind {
        case .brownianBridge:
            BrownianBridge(
                steps: steps, trainingTimesteps: timesteps, schedule: schedule, varianceScale: varianceScale,
                stepRule: stepRule ?? .reference)
        case .symmetricBridge:
            SymmetricBridge(
                steps: steps, trainingTimesteps: timesteps, stepRule: stepRule ?? .marginalPreserving)
        case .diffusion:
            GaussianDiffusion(
                steps: steps, trainingTimesteps: timesteps, stepRule: stepRule ?? .marginalPreserving)
        case .rectifiedFlow:
            RectifiedFlow(
                steps: steps, trainingTimesteps: timesteps, stepRule: stepRule ?? .marginalPreserving)
        }
    }

    /// Checks that there is such a process.
    func validate() throws(UNetConfigurationError) {
        // Far beyond these, coefficients would be too large or too small for numbers.
        try UNetConfigurationError.require(
            "process.timesteps", timesteps, (3...10_000).contains(timesteps), "3 to 10000")
        try UNetConfigurationError.require(
            "process.variance_scale", varianceScale, (1e-6...1e6).contains(varianceScale), "1e-6 to 1e6")
        guard kind != .brownianBridge else { return }
        let expected = "the default, since process.kind is not brownian_bridge"
        try UNetConfigurationError.require("process.schedule", schedule.rawValue, schedule == .linear, expected)
        try UNetConfigurationError.require(
            "process.variance_scale", varianceScale, varianceScale == 1, expected)
    }
}
