import Foundation
internal import VoxelSupport

/// The sizes of a conditional 2-D U-Net, as its configuration file gives them.
///
/// ```json
/// { "in_channels": 6, "out_channels": 3, "model_channels": 128, "num_res_blocks": 2,
///   "channel_mult": [1, 4, 8], "attention_resolutions": [32, 16, 8], "num_head_channels": 64,
///   "use_scale_shift_norm": true, "resblock_updown": true, "use_spatial_transformer": true,
///   "context_dim": 128 }
/// ```
///
/// Values are not checked on creation; `validate()` checks that a network can be built from it.
public struct UNetConfiguration: Codable, Equatable, Sendable {
    /// Noisy and source slices together: twice `outputChannels`.
    public var inputChannels = 6
    /// Slices of one window, 2N + 1.
    public var outputChannels = 3
    /// Channels at full resolution, before multiplication.
    public var modelChannels = 128
    /// Residual blocks on each level of the encoder; the decoder has one more.
    public var residualBlocks = 2
    /// Channels of each level, in multiples of `modelChannels`, from full resolution down.
    public var channelMultipliers = [1, 4, 8]
    /// The down-sampling factors whose levels have attention. The middle always has.
    public var attentionResolutions = [32, 16, 8]
    /// Channels of one attention head.
    public var headChannels = 64
    /// Whether the time embedding scales and shifts (true) or is added (false).
    public var usesScaleShiftNorm = true
    /// Whether levels are joined by residual blocks (true) or by convolutions (false).
    public var usesResidualResampling = true
    /// Whether attention is a transformer that attends to the style key (true) or self-attention alone (false).
    public var usesSpatialTransformer = true
    /// Numbers in one token of the style key (its histogram bins); nil without a spatial transformer.
    public var contextWidth: Int? = 128

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case inputChannels = "in_channels"
        case outputChannels = "out_channels"
        case modelChannels = "model_channels"
        case residualBlocks = "num_res_blocks"
        case channelMultipliers = "channel_mult"
        case attentionResolutions = "attention_resolutions"
        case headChannels = "num_head_channels"
        case usesScaleShiftNorm = "use_scale_shift_norm"
        case usesResidualResampling = "resblock_updown"
        case usesSpatialTransformer = "use_spatial_transformer"
        case contextWidth = "context_dim"
    }

    /// The published CT-to-MRI network: 254.1 M parameters. Change what differs.
    public init() {}

    /// The published CT-to-MRI network: windows of 3 slices, 128 channels, multipliers 1, 4, 8, one spatial
    /// transformer in the middle, style keys of 128 bins; 254.1 M parameters.
    public static let ct2mri = UNetConfiguration()

    /// Tokens of a style key: histogram, cumulative and differential.
    public static let keyTokens = 3

    /// Slices on either side of a window's middle, N.
    public var radius: Int { (outputChannels - 1) / 2 }

    /// What the rows and columns of a slice must be multiples of: 2^(levels - 1).
    public var sizeMultiple: Int { 1 << (channelMultipliers.count - 1) }
}

extension UNetConfiguration {
    /// Reads a configuration from a JSON file and validates it.
    ///
    /// - Throws: `NetworkConfigurationError` naming the file and the field that is wrong.
    public init(contentsOf url: URL) throws {
        do {
            self = try JSONValue(contentsOf: url).decode(Self.self, allowsUnknownFields: true)
            try validate()
        } catch let error as JSONFieldError {
            throw NetworkConfigurationError(error, file: url.path)
        } catch var error as NetworkConfigurationError {
            error.file = url.path
            throw error
        }
    }

    /// Reads a configuration from a JSON file at a path and validates it.
    ///
    /// - Throws: as `init(contentsOf:)` of a URL does.
    public init(contentsOf path: String) throws { try self.init(contentsOf: URL(filePath: path)) }

    /// Checks that a network can be built from this configuration, within bounds far beyond any network in use,
    /// so that sizes derived from it can be counted.
    ///
    /// - Throws: `NetworkConfigurationError` naming the field that is wrong.
    public func validate() throws(NetworkConfigurationError) {
        try require(
            CodingKeys.outputChannels, outputChannels,
            (1...255).contains(outputChannels) && outputChannels % 2 == 1,
            "an odd number from 1 to 255: the 2N + 1 slices of a window")
        try require(
            CodingKeys.inputChannels, inputChannels, inputChannels == 2 * outputChannels,
            "\(2 * outputChannels), twice out_channels: noisy and source slices")
        try require(
            CodingKeys.modelChannels, modelChannels,
            (1...4096).contains(modelChannels) && modelChannels % GroupNorm.publishedGroups == 0,
            "a multiple of \(GroupNorm.publishedGroups), the groups of a normalisation, up to 4096")
        try validateLevels()
        try validateContext()
    }

    /// Checks the levels and their attention, after the numbers of channels.
    func validateLevels() throws(NetworkConfigurationError) {
        try require(CodingKeys.residualBlocks, residualBlocks, (1...16).contains(residualBlocks), "1 to 16")
        try require(
            CodingKeys.channelMultipliers, channelMultipliers,
            (1...8).contains(channelMultipliers.count)
                && channelMultipliers.allSatisfy { (1...64).contains($0) }, "1 to 8 numbers from 1 to 64")
        try require(
            CodingKeys.attentionResolutions, attentionResolutions,
            attentionResolutions.count <= 32 && attentionResolutions.allSatisfy { (1...1 << 16).contains($0) },
            "at most 32 down-sampling factors from 1 to \(1 << 16)")
        for channels in attendedChannels {
            try require(
                CodingKeys.headChannels, headChannels, headChannels > 0 && channels % headChannels == 0,
                "a divisor of \(channels), the channels of a level with attention")
        }
    }

    private func validateContext() throws(NetworkConfigurationError) {
        if usesSpatialTransformer {
            try require(
                CodingKeys.contextWidth, contextWidth as Any? ?? "null",
                contextWidth.map((1...1 << 16).contains) ?? false,
                "1 to \(1 << 16), the bins of a style key, since use_spatial_transformer is true")
        } else {
            try require(
                CodingKeys.contextWidth, contextWidth as Any? ?? "null", contextWidth == nil,
                "null, since use_spatial_transformer is false")
        }
    }

    /// The channels wherever there is attention: the levels named, and the middle, which is as the last level.
    private var attendedChannels: [Int] {
        channelMultipliers.indices
            .filter { attentionResolutions.contains(1 << $0) || $0 == channelMultipliers.count - 1 }
            .map { channelMultipliers[$0] * modelChannels }
    }
}
