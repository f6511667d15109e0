import LatentTranslation

/// A tiny model of the public code's form, with weights drawn at random from a seed.
struct RandomModel {
    /// The state of the generator (SplitMix64).
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A first stage of two levels and a denoiser of two, for sources of any size.
    static var configuration: LatentModelConfiguration {
        var configuration = LatentModelConfiguration()
        configuration.firstStage.channels = 8
        configuration.firstStage.channelMultipliers = [1, 2]
        (configuration.firstStage.latentChannels, configuration.firstStage.codeWidth) = (3, 3)
        (configuration.firstStage.codes, configuration.firstStage.groups) = (64, 4)
        (configuration.firstStage.translatorWidth, configuration.firstStage.translatorHidden) = (8, 4)
        var denoiser = LatentUNetConfiguration.published
        (denoiser.inputChannels, denoiser.outputChannels, denoiser.modelChannels) = (9, 3, 8)
        (denoiser.channelMultipliers, denoiser.attentionResolutions) = ([1, 2], [2])
        (denoiser.headChannels, denoiser.groups) = (4, 4)
        configuration.denoiser = denoiser
        configuration.preparation.shape = nil
        return configuration
    }

    mutating func model() throws -> LatentModel {
        let configuration = Self.configuration
        var parameters: [String: Tensor] = [:]
        for parameter in configuration.parameters {
            let count = parameter.shape.reduce(1, *)
            // Scales of norms are about 1; kernels are small, the smaller the more inputs they sum over.
            let isScale = parameter.shape.count == 1 && parameter.name.hasSuffix("weight")
            let spread = parameter.shape.count > 1 ? (3 / Float(count / parameter.shape[0])).squareRoot() : 0.1
            let values = (0..<count).map { _ in (isScale ? 1 : 0) + spread * uniform() }
            parameters[parameter.name] = Tensor(shape: parameter.shape, values: values)
        }
        return try LatentModel(LatentWeights(parameters: parameters, configuration: configuration))
    }

    /// A number from -1 to 1.
    private mutating func uniform() -> Float {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Float((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1
    }
}
