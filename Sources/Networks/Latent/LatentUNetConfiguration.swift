/// The sizes of a 3-D denoiser of latents, as its configuration file gives them.
///
/// ```json
/// { "in_channels": 12, "out_channels": 4, "model_channels": 128, "num_res_blocks": 1, "channel_mult": [1, 1, 2],
///   "attention_resolutions": [4, 2], "num_head_channels": 32, "num_classes": 4, "conditioning": "class",
///   "num_groups": 32 }
/// ```
///
/// Values are not checked on creation; `validate()` checks that a network can be built from it.
public struct LatentUNetConfiguration: Codable, Equatable, Sendable {
    /// How the network takes the target modality.
    public enum Conditioning: String, Codable, CaseIterable, Sendable {
        /// An embedding of the class, added to the timestep's: the public code.
        case embedding = "class"
        /// Attention to the one-hot vector of the class as a single token: the paper.
        case crossAttention = "cross-attention"
    }

    /// The noisy latent, the source's and the translated one, each of `outputChannels`; without the source's in the paper.
    public var inputChannels = 12
    /// Channels of a latent.
    public var outputChannels = 4
    /// Channels at full resolution, before multiplication.
    public var modelChannels = 128
    /// Residual blocks on each level of the encoder; the decoder has one more.
    public var residualBlocks = 1
    /// Channels of each level, in multiples of `modelChannels`, from full resolution down.
    public var channelMultipliers = [1, 1, 2]
    /// The down-sampling factors whose levels have attention. The middle always has.
    public var attentionResolutions = [4, 2]
    /// Channels of one attention head.
    public var headChannels = 32
    /// Target modalities.
    public var classes = 4
    /// How the network takes the target modality.
    public var conditioning = Conditioning.embedding
    /// Groups of each normalisation.
    public var groups = 32

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case inputChannels = "in_channels"
        case outputChannels = "out_channels"
        case modelChannels = "model_channels"
        case residualBlocks = "num_res_blocks"
        case channelMultipliers = "channel_mult"
        case attentionResolutions = "attention_resolutions"
        case headChannels = "num_head_channels"
        case classes = "num_classes"
        case conditioning
        case groups = "num_groups"
    }

    /// The public code's configuration: 33.2 M parameters. Change what differs.
    public init() {}

    /// The public code's configuration: 33.2 M parameters.
    public static let published = LatentUNetConfiguration()

    /// The paper's text and Table C: 136 M parameters. (No reading of the table gives the 658 M that it states.)
    public static let paper = {
        var paper = LatentUNetConfiguration()
        (paper.inputChannels, paper.outputChannels, paper.channelMultipliers) = (6, 3, [1, 2, 4])
        paper.conditioning = .crossAttention
        return paper
    }()

    /// What the extents of a latent must be multiples of: 2^(levels - 1).
    public var sizeMultiple: Int { 1 << (channelMultipliers.count - 1) }

    /// Whether the network sees the source's latent beside the translated one.
    public var takesSource: Bool { inputChannels == 3 * outputChannels }

    /// The same network but for its inputs, axes and groups, as a U-Net of slices has them.
    package var body: UNetConfiguration {
        var body = UNetConfiguration()
        (body.inputChannels, body.outputChannels) = (inputChannels, outputChannels)
        (body.modelChannels, body.residualBlocks) = (modelChannels, residualBlocks)
        (body.channelMultipliers, body.attentionResolutions) = (channelMultipliers, attentionResolutions)
        (body.headChannels, body.usesScaleShiftNorm) = (headChannels, false)
        (body.usesResidualResampling, body.usesSpatialTransformer) = (false, conditioning == .crossAttention)
        body.contextWidth = conditioning == .crossAttention ? classes : nil
        return body
    }
}

extension LatentUNetConfiguration {
    /// Checks that a network can be built from this configuration, within bounds far beyond any in use.
    ///
    /// - Throws: `NetworkConfigurationError` naming the field that is wrong.
    public func validate() throws(NetworkConfigurationError) {
        try require(CodingKeys.outputChannels, outputChannels, (1...256).contains(outputChannels), "1 to 256")
        try require(
            CodingKeys.inputChannels, inputChannels,
            inputChannels == 2 * outputChannels || inputChannels == 3 * outputChannels,
            "\(3 * outputChannels), the noisy latent, the source's and the translated one, or "
                + "\(2 * outputChannels), without the source's")
        try require(CodingKeys.groups, groups, (1...4096).contains(groups), "1 to 4096")
        try require(
            CodingKeys.modelChannels, modelChannels,
            (2...4096).contains(modelChannels) && modelChannels % groups == 0 && modelChannels % 2 == 0,
            "an even multiple of \(groups), the groups of a normalisation, up to 4096")
        try body.validateLevels()
        try require(CodingKeys.classes, classes, (1...1024).contains(classes), "1 to 1024")
    }
}
