/// The sizes of a 3-D vector-quantised autoencoder with its latent translator, as its configuration file gives them.
///
/// ```json
/// { "ch": 64, "ch_mult": [1, 1, 2], "num_res_blocks": 1, "z_channels": 4, "embed_dim": 4, "n_embed": 8192,
///   "num_groups": 32, "num_classes": 4, "translator": "residual", "translator_width": 128,
///   "translator_hidden": 64, "one_plus_gamma": true }
/// ```
///
/// Kim and Park: *Adaptive Latent Diffusion Model for 3D Medical Image to Image Translation*, WACV 2024. A value may
/// hold anything; `validate()` checks that networks can be built from it.
public struct AutoencoderConfiguration: Codable, Equatable, Sendable {
    /// The form of the translator between latents.
    public enum Translator: String, Codable, CaseIterable, Sendable {
        /// Four residual blocks that begin with MS-SPADE: the public code.
        case residual
        /// Table B of the paper: convolution, ReLU and norm, MS-SPADE in four of six blocks.
        case table
    }

    /// Channels of a volume.
    public var inputChannels = 1
    /// Channels of a decoded volume.
    public var outputChannels = 1
    /// Channels at full resolution, before multiplication.
    public var channels = 64
    /// Channels of each level, in multiples of `channels`, from full resolution down.
    public var channelMultipliers = [1, 1, 2]
    /// Residual blocks on each level of the encoder; the decoder has one more.
    public var residualBlocks = 1
    /// The levels with attention, each by its nominal edge length, `resolution` / 2^level.
    public var attentionResolutions: [Int] = []
    /// The nominal edge length at full resolution. It only names levels: volumes may have any size.
    public var resolution = 192
    /// Residual blocks in the middle, 1 or 2.
    public var middleBlocks = 1
    /// Whether there is attention after the first block of the middle.
    public var hasMiddleAttention = false
    /// Channels of a latent.
    public var latentChannels = 4
    /// Numbers in a code; as many as `latentChannels`.
    public var codeWidth = 4
    /// Codes of the codebook.
    public var codes = 8192
    /// beta: the weight of one of the codebook's two losses, in training.
    public var commitment = 0.25
    /// Whether beta weighs the codebook's own term, as the public code does, or that of the encoder.
    public var weighsCodebookTerm = true
    /// Groups of each normalisation.
    public var groups = 32
    /// Target modalities: the translator has a set of norms for each.
    public var classes = 4
    /// The form of the translator.
    public var translator = Translator.residual
    /// w: channels of the translator at its ends.
    public var translatorWidth = 128
    /// Channels between a norm's input and its scale and shift.
    public var translatorHidden = 64
    /// Whether the norm is (1 + gamma) n + beta, as in the public code, or gamma n + beta, equation 1 of the paper.
    public var usesOnePlusGamma = true

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case inputChannels = "in_channels"
        case outputChannels = "out_channels"
        case channels = "ch"
        case channelMultipliers = "ch_mult"
        case residualBlocks = "num_res_blocks"
        case attentionResolutions = "attn_resolutions"
        case resolution
        case middleBlocks = "mid_blocks"
        case hasMiddleAttention = "mid_attention"
        case latentChannels = "z_channels"
        case codeWidth = "embed_dim"
        case codes = "n_embed"
        case commitment = "beta"
        case weighsCodebookTerm = "legacy_beta"
        case groups = "num_groups"
        case classes = "num_classes"
        case translator
        case translatorWidth = "translator_width"
        case translatorHidden = "translator_hidden"
        case usesOnePlusGamma = "one_plus_gamma"
    }

    /// The public code's configuration. Change what differs.
    public init() {}

    /// The public code's configuration: 6.5 M parameters beside the translator's 18.9 M.
    public static let published = AutoencoderConfiguration()

    /// The paper's tables: 237.5 M parameters beside the translator's.
    public static let paper = {
        var paper = AutoencoderConfiguration()
        (paper.channels, paper.channelMultipliers, paper.residualBlocks) = (256, [1, 2, 2], 2)
        (paper.middleBlocks, paper.latentChannels, paper.codeWidth) = (2, 3, 3)
        (paper.translator, paper.usesOnePlusGamma) = (.table, false)
        return paper
    }()

    /// How many voxels along each axis become one element of the latent: 2^(levels - 1).
    public var factor: Int { 1 << (channelMultipliers.count - 1) }

    /// The levels with attention, from full resolution (0) down.
    package var attentionLevels: [Int] {
        channelMultipliers.indices.filter { attentionResolutions.contains(resolution >> $0) }
    }
}

extension AutoencoderConfiguration {
    /// Checks that networks can be built from this configuration, within bounds far beyond any in use.
    ///
    /// - Throws: `NetworkConfigurationError` naming the field that is wrong.
    public func validate() throws(NetworkConfigurationError) {
        try require(CodingKeys.inputChannels, inputChannels, (1...64).contains(inputChannels), "1 to 64")
        try require(CodingKeys.outputChannels, outputChannels, (1...64).contains(outputChannels), "1 to 64")
        try require(CodingKeys.groups, groups, (1...4096).contains(groups), "1 to 4096")
        try require(
            CodingKeys.channels, channels, (1...4096).contains(channels) && channels % groups == 0,
            "a multiple of \(groups), the groups of a normalisation, up to 4096")
        try require(
            CodingKeys.channelMultipliers, channelMultipliers,
            (1...8).contains(channelMultipliers.count)
                && channelMultipliers.allSatisfy { (1...64).contains($0) }, "1 to 8 numbers from 1 to 64")
        try require(CodingKeys.residualBlocks, residualBlocks, (1...16).contains(residualBlocks), "1 to 16")
        try require(CodingKeys.resolution, resolution, (1...1 << 16).contains(resolution), "1 to \(1 << 16)")
        try require(
            CodingKeys.attentionResolutions, attentionResolutions, attentionResolutions.count <= 32,
            "at most 32 edge lengths")
        try require(CodingKeys.middleBlocks, middleBlocks, (1...2).contains(middleBlocks), "1 or 2")
        try require(CodingKeys.latentChannels, latentChannels, (1...256).contains(latentChannels), "1 to 256")
        try require(
            CodingKeys.codeWidth, codeWidth, codeWidth == latentChannels,
            "\(latentChannels), as z_channels: the translator takes the quantised latent")
        try require(CodingKeys.codes, codes, (1...1 << 20).contains(codes), "1 to \(1 << 20)")
        try require(CodingKeys.commitment, commitment, commitment >= 0 && commitment.isFinite, "0 or more")
        try require(CodingKeys.classes, classes, (1...1024).contains(classes), "1 to 1024")
        try require(
            CodingKeys.translatorWidth, translatorWidth, (1...4096).contains(translatorWidth), "1 to 4096")
        try require(
            CodingKeys.translatorHidden, translatorHidden, (1...4096).contains(translatorHidden), "1 to 4096")
    }
}

extension AutoencoderConfiguration {
    /// The parameters of encoder, decoder and codebook.
    package var autoencoderParameters: [Parameter] {
        LatentEncoder(self).parameters + LatentDecoder(self).parameters + Codebook(self).parameters
    }

    /// The parameters of the translator, of all targets; those that targets share occur once.
    package var translatorParameters: [Parameter] {
        var seen: Set<String> = []
        return (0..<classes).flatMap { SpadeTranslator(self, target: $0).parameters }
            .filter { seen.insert($0.name).inserted }
    }

    /// All parameters of the first stage.
    package var parameters: [Parameter] { autoencoderParameters + translatorParameters }
}
