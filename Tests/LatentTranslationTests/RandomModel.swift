import LatentTranslation
import TestSupport

extension SeededGenerator {
    /// The weights of a small model of a configuration, drawn at random.
    mutating func latentParameters(_ configuration: LatentModelConfiguration) -> [String: Tensor] {
        var parameters: [String: Tensor] = [:]
        for parameter in configuration.parameters {
            let isScale = parameter.shape.count == 1 && parameter.name.hasSuffix("weight")
            let fan = Float(parameter.shape.dropFirst().reduce(1, *))
            let spread = parameter.shape.count > 1 ? (3 / fan).squareRoot() : 0.1
            let center: Float = isScale ? 1 : 0
            parameters[parameter.name] = randomTensor(
                parameter.shape, in: center - spread...center + spread, &self)
        }
        return parameters
    }

    mutating func latentModel(options: ComputeOptions = ComputeOptions()) throws -> LatentModel {
        let configuration = LatentModelConfiguration.small
        return try LatentModel(
            LatentWeights(parameters: latentParameters(configuration), configuration: configuration),
            options: options)
    }
}

extension LatentModelConfiguration {
    /// Two levels each, three channels in a latent, for volumes of any size.
    static var small: LatentModelConfiguration {
        var configuration = LatentModelConfiguration()
        (configuration.firstStage.channels, configuration.firstStage.channelMultipliers) = (8, [1, 2])
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
}
