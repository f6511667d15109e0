import VoxelBridge

/// A method of translation.
struct Method {
    /// The style key that conditions the network.
    enum Key {
        /// None, for the network without keys.
        case none
        /// The average key of the training targets.
        case average
        /// The key of the true target, which is unknown in practice.
        case exact
    }

    let name: String
    var key = Key.average
    /// The aggregation of overlapping windows; `nil` for independent windows.
    var aggregation: (any SliceAggregation)? = .mean
    var corrector: (any Corrector)?
    /// Whether estimates are clamped to the intensity range.
    var clips = true

    /// The methods of the ablation, each with one more part. ISTA is also measured as in the paper: with a larger,
    /// unbounded step and without clamping.
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

    /// S for a number of evaluations per window: one per step, and one per correction after each step but the last.
    func steps(evaluations: Int) -> Int { corrector == nil ? evaluations : (evaluations + 1) / 2 }

    /// A translator with the settings in the network's file.
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
