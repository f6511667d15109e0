/// A discriminator that a network is trained against, beside its loss: a conditional generative adversarial network.
///
/// The discriminator sees windows of the source with those of the target or of the network's estimate of x_0 beside them,
/// and tells one from the other patch by patch. Isola et al.: *Image-to-Image Translation with Conditional Adversarial
/// Networks* (Pix2Pix), arXiv 1611.07004. With the process `DirectMapping` and the prediction type `sample` it is the
/// paper's model, without dropout.
public struct AdversarialSettings: Equatable, Sendable {
    /// The weight of the adversarial loss beside the other, which has the weight 1. 0.01 by default: the paper's 100 to 1,
    /// divided by 100.
    public var weight = 0.01
    /// The adversarial loss.
    public var loss = AdversarialLoss.crossEntropy
    /// Number of steps before the discriminator is used and trained.
    public var start = 0
    /// Channels after the first layer of the discriminator; doubled by each further one up to eight times.
    public var width = 64
    /// Number of layers that halve the resolution; 3 for patches of 70 x 70 voxels.
    public var layers = 3
    /// Groups of the normalisations; they divide twice the width.
    public var groups = 32

    /// The published settings.
    public init() {}
}

extension AdversarialSettings: Codable {
    private enum CodingKeys: String, CodingKey {
        case weight, loss, start, width, layers
        case groups = "num_groups"
    }

    /// Decodes the settings; fields that are missing have the published value.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        weight = try fields.decodeIfPresent(Double.self, forKey: .weight) ?? weight
        loss = try fields.decodeIfPresent(AdversarialLoss.self, forKey: .loss) ?? loss
        start = try fields.decodeIfPresent(Int.self, forKey: .start) ?? start
        width = try fields.decodeIfPresent(Int.self, forKey: .width) ?? width
        layers = try fields.decodeIfPresent(Int.self, forKey: .layers) ?? layers
        groups = try fields.decodeIfPresent(Int.self, forKey: .groups) ?? groups
    }
}
