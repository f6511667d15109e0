import VoxelBridge

/// One way to translate with a network.
struct Method {
    /// What the network is conditioned on.
    enum Key {
        /// Nothing: it is the network that takes no key.
        case none
        /// The average key of the training targets.
        case average
        /// The key of the very target, which is not known in practice.
        case exact
    }

    let name: String
    var key = Key.average
    /// How overlapping windows become one; `nil` for each by itself.
    var aggregation: (any SliceAggregation)? = .mean
    var corrector: (any Corrector)?
    /// Whether estimates are clamped to the range of intensities.
    var clips = true

    /// What the ablation compares: each adds one thing to the one before. ISTA is also measured as in the paper, whose
    /// step is larger, without a bound, and whose estimates are not clamped.
    static func ablation(stepSize: Double) -> [Method] {
        [
            Method(name: "Bridge alone", key: .none, aggregation: nil),
            Method(name: "+ SKC", aggregation: nil),
            Method(name: "+ SKC + co-prediction"),
            Method(name: "+ SKC + ISTA", corrector: ScoreCorrector(stepSize: stepSize)),
            Method(
                name: "+ SKC + ISTA, as in the paper",
                corrector: ScoreCorrector(stepSize: stepSize, scaling: .paper, isBounded: false), clips: false),
            Method(
                name: "+ SKC + ISTA, exact key", key: .exact, corrector: ScoreCorrector(stepSize: stepSize)),
        ]
    }

    /// S, where each window is evaluated so often: once a step, and once a correction after each but the last.
    func steps(evaluations: Int) -> Int { corrector == nil ? evaluations : (evaluations + 1) / 2 }

    /// A translator by what a network's file says.
    func translator(
        _ network: UNet, evaluations: Int, eta: Double = 0
    ) throws -> VolumeTranslator<UNetDenoiser> {
        var translator = try VolumeTranslator(
            network, steps: steps(evaluations: evaluations), corrector: corrector)
        translator.sampler.aggregation = aggregation
        translator.clipsEstimates = clips
        let scheduler = translator.sampler.scheduler
        translator.sampler.scheduler = Scheduler(
            scheduler.path, timesteps: scheduler.timesteps, solver: .published(eta: eta))
        return translator
    }
}
