import ReferenceUNet
import TestSupport

extension SeededGenerator {
    /// A small configuration of any kind.
    mutating func configuration() -> UNetConfiguration {
        var configuration = UNetConfiguration()
        let radius = Int.random(in: 0...2, using: &self)
        configuration.outputChannels = 2 * radius + 1
        configuration.inputChannels = 2 * configuration.outputChannels
        configuration.modelChannels = 32
        configuration.residualBlocks = Int.random(in: 1...2, using: &self)
        configuration.channelMultipliers = [[1], [1, 2], [2, 1], [1, 3], [1, 2, 2]].randomElement(using: &self)!
        configuration.attentionResolutions = [[], [1], [2], [1, 2], [1, 2, 4]].randomElement(using: &self)!
        configuration.headChannels = [8, 16, 32].randomElement(using: &self)!
        configuration.usesScaleShiftNorm = Bool.random(using: &self)
        configuration.usesResidualResampling = Bool.random(using: &self)
        configuration.usesSpatialTransformer = Bool.random(using: &self)
        configuration.contextWidth =
            configuration.usesSpatialTransformer ? Int.random(in: 1...20, using: &self) : nil
        return configuration
    }
}
