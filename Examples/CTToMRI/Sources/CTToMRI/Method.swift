import VolumeTranslation

/// One way to translate: each adds one thing to the one before.
enum Method: String, CaseIterable {
    /// The Brownian bridge alone: no key, each window by itself.
    case bridge = "Bridge alone"
    /// Style key conditioning, with the average key of the training targets.
    case styleKey = "+ SKC"
    /// Overlapping windows are averaged at each step.
    case coPrediction = "+ SKC + co-prediction"
    /// Inter-slice trajectory alignment: the score corrects each step.
    case alignment = "+ SKC + ISTA"
    /// The key of the very target, which nobody has who has not the target.
    case exactKey = "+ SKC + ISTA, exact key"

    /// Whether the network is the one that takes a key.
    var takesKey: Bool { self != .bridge }

    /// A sampler that evaluates the network so often on each window: once a step, and once a correction.
    func sampler(_ network: UNet, evaluations: Int, stepSize: Double, eta: Double) -> SliceSampler<UNetDenoiser>
    {
        let corrects = self == .alignment || self == .exactKey
        return SliceSampler(
            scheduler: BrownianBridge(steps: corrects ? (evaluations + 1) / 2 : evaluations),
            denoiser: UNetDenoiser(network),
            aggregation: self == .bridge || self == .styleKey ? nil : .mean,
            corrector: corrects ? ScoreCorrector(steps: 1, stepSize: stepSize) : nil,
            eta: eta)
    }
}
