public import BridgeDiffusion
public import DiffusionSampling
public import Volumes

/// Samples a volume with a denoiser that sees a few neighbouring slices at a time.
///
/// ```swift
/// let sampler = SliceSampler(
///     scheduler: Scheduler(BrownianBridge(), steps: 50), denoiser: MyDenoiser(), corrector: ScoreCorrector())
/// let mri = try await sampler.sample(from: ct)
/// ```
///
/// At each timestep every window of 2N+1 slices is predicted. How the windows act on one another is the
/// ``aggregation`` and the ``corrector``; the four modes of the published method are
///
/// | mode | aggregation | corrector | score aggregation |
/// |---|---|---|---|
/// | independent windows | `nil` | `nil` | |
/// | co-prediction | `.mean` | `nil` | |
/// | inter-slice trajectory alignment (ISTA) | `.mean` | `ScoreCorrector()` | `nil` |
/// | ISTA, score of the middle slice | `.mean` | `ScoreCorrector()` | `.middleSlice` |
///
/// The denoiser is evaluated S + (S - 1) M times on each window, for S steps with M corrections.
///
/// The result has the same bits at any ``batchSize``, any number of ``batchesInFlight`` and on every run: predictions
/// are added up in the order of the windows, and noise is a function of its place alone.
public struct SliceSampler<Denoiser: SliceDenoiser>: Sendable {
    /// The process, the timesteps visited, and the solver.
    public var scheduler: Scheduler

    /// Predicts each window.
    public var denoiser: Denoiser

    /// The plane of the slices.
    public var plane: SlicePlane

    /// Further planes, each with a denoiser of its own: the timesteps go through ``plane`` and these in turn, so that
    /// slice artefacts are not aligned with one axis. Needs an ``aggregation``.
    public var alternatingPlanes: [PlaneDenoiser<Denoiser>]

    /// How the windows' estimates for a slice become one; `nil` lets every window follow a trajectory of its own and
    /// keeps its middle slice.
    public var aggregation: (any SliceAggregation)?

    /// What is done to the slices after each step but the last.
    public var corrector: (any Corrector)?

    /// How the windows' estimates become one in corrections; `nil` for ``aggregation``.
    public var scoreAggregation: (any SliceAggregation)?

    /// The range that each window's estimate of x_0 is clamped to, before anything is done with it; `nil` for none.
    /// The public implementation clamps to -1 ... 1 when it tests. `VolumeTranslator`, which owns the scale, does too.
    public var clip: ClosedRange<Float>?

    /// The noise: where sampling starts for a diffusion, and what steps with fresh noise add.
    public var noise: NoiseField

    /// The value of voxels beyond the ends of the volume: N slices of it are sampled too, and dropped.
    public var background: Float

    /// Whether windows whose source holds nothing but background are skipped, and background taken for their estimate;
    /// `nil` for what the denoiser says.
    public var skipsBackground: Bool?

    /// Number of windows handed to the denoiser in one call, at most: the last calls of an evaluation have fewer where several
    /// run at the same time.
    public var batchSize: Int

    /// Number of calls to the denoiser that may run at the same time.
    public var batchesInFlight: Int

    /// A sampler.
    ///
    /// - Precondition: a corrector and alternating planes need an aggregation; `batchSize` and `batchesInFlight` are at
    ///   least one.
    public init(
        scheduler: Scheduler, denoiser: Denoiser, plane: SlicePlane = .axial,
        alternatingPlanes: [PlaneDenoiser<Denoiser>] = [], aggregation: (any SliceAggregation)? = .mean,
        corrector: (any Corrector)? = nil, scoreAggregation: (any SliceAggregation)? = nil,
        clip: ClosedRange<Float>? = nil, noise: NoiseField = NoiseField(), background: Float = -1,
        skipsBackground: Bool? = nil, batchSize: Int = 4, batchesInFlight: Int = 2
    ) {
        self.scheduler = scheduler
        self.denoiser = denoiser
        self.plane = plane
        self.alternatingPlanes = alternatingPlanes
        self.aggregation = aggregation
        self.corrector = corrector
        self.scoreAggregation = scoreAggregation
        self.clip = clip
        self.noise = noise
        self.background = background
        self.skipsBackground = skipsBackground
        self.batchSize = batchSize
        self.batchesInFlight = batchesInFlight
        checkInvariants()
    }

    /// The volume sampled for a source.
    ///
    /// - Parameters:
    ///   - source: y, with intensities in the denoiser's range (-1 to 1 for the published networks).
    ///   - conditioning: handed to the denoiser with every batch.
    ///   - noisy: x_t at the scheduler's first timestep, for a run that begins in the middle of a path; `nil` for the
    ///     path's own start.
    ///   - progress: called after every batch, in order.
    /// - Returns: the estimate of x_0 at the last timestep, on the source's grid.
    /// - Throws: ``SliceSamplingError`` where the denoiser throws or predicts what it must not; `CancellationError`
    ///   within one batch of the task's cancellation.
    /// - Complexity: memory for three volumes beside the source, for independent windows 2 (2N+1) + 1; one more each where
    ///   the solver uses an earlier estimate and where slices are not stacked along the source's last axis; up to one
    ///   more for corrections, and five while planes change; and the batches in flight.
    public func sample(
        from source: Volume, conditioning: Denoiser.Conditioning, startingAt noisy: Volume? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        try await stackSampler.sample(
            from: stack(source), conditioning: conditioning, startingAt: state(noisy), progress: progress
        ).volume
    }

    /// A run step by step: the sequence has one state for each timestep visited, the last with the result.
    ///
    /// ```swift
    /// for try await state in try sampler.states(from: ct, conditioning: style) {
    ///     preview(state.estimate.volume)
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - source: y, as for ``sample(from:conditioning:startingAt:progress:)``.
    ///   - conditioning: handed to the denoiser with every batch.
    ///   - noisy: x_t at the scheduler's first timestep; `nil` for the path's own start.
    ///   - saved: a state of the same run to resume; the sequence begins after it. The result is that of the
    ///     uninterrupted run, bit for bit.
    ///   - settings: what else decides the result, by name: a saved state is resumed only where they are equal.
    ///   - progress: called after every batch, in order.
    /// - Throws: `SamplingStateError` where the saved state belongs to another run.
    public func states(
        from source: Volume, conditioning: Denoiser.Conditioning, startingAt noisy: Volume? = nil,
        resuming saved: SamplingState<SliceStack>? = nil, settings: [RunSetting] = [],
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) throws -> SamplingStates<CoPrediction<Denoiser>> {
        try stackSampler.states(
            from: stack(source), conditioning: conditioning, startingAt: state(noisy), resuming: saved,
            settings: settings, progress: progress)
    }

    /// The sampler of the whole stack of slices that this one sets up.
    public var stackSampler: Sampler<CoPrediction<Denoiser>> {
        checkInvariants()
        return Sampler(
            scheduler: scheduler, denoiser: CoPrediction(sampler: self, aggregation: aggregation),
            corrector: corrector,
            correctionDenoiser: scoreAggregation.map { CoPrediction(sampler: self, aggregation: $0) },
            noise: noise)
    }

    private func stack(_ volume: Volume) -> SliceStack {
        SliceStack(volume, plane: plane, radius: denoiser.radius, background: background)
    }

    private func state(_ noisy: Volume?) -> SliceStack? {
        noisy.map { CoPrediction(sampler: self, aggregation: aggregation).initialState(for: stack($0)) }
    }

    /// Stops the program where the properties contradict one another; they may be changed one by one.
    private func checkInvariants() {
        precondition(corrector == nil || aggregation != nil, "a corrector needs an aggregation")
        precondition(alternatingPlanes.isEmpty || aggregation != nil, "alternating planes need an aggregation")
        precondition(batchSize > 0 && batchesInFlight > 0, "at least one window in one batch is needed")
    }

    /// The planes that the timesteps go through in turn.
    var views: [PlaneDenoiser<Denoiser>] {
        [PlaneDenoiser(plane: plane, denoiser: denoiser)] + alternatingPlanes
    }

    /// The plane and the denoiser of a timestep.
    func view(at timestep: Int) -> PlaneDenoiser<Denoiser> {
        let views = views
        return views[(scheduler.timesteps.firstIndex(of: timestep) ?? 0) % views.count]
    }

    /// Whether a denoiser's windows of nothing but background are skipped.
    func skips(_ denoiser: Denoiser) -> Bool { skipsBackground ?? denoiser.maySkipBackground }
}

extension SliceSampler where Denoiser.Conditioning == Void {
    /// The volume sampled for a source, with a denoiser that is conditioned on nothing else.
    public func sample(
        from source: Volume, startingAt noisy: Volume? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        try await sample(from: source, conditioning: (), startingAt: noisy, progress: progress)
    }

    /// A run step by step, with a denoiser that is conditioned on nothing else.
    public func states(
        from source: Volume, startingAt noisy: Volume? = nil, resuming saved: SamplingState<SliceStack>? = nil,
        settings: [RunSetting] = [], progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) throws -> SamplingStates<CoPrediction<Denoiser>> {
        try states(
            from: source, conditioning: (), startingAt: noisy, resuming: saved, settings: settings,
            progress: progress)
    }
}

/// A plane and the denoiser of its slices.
public struct PlaneDenoiser<Denoiser: SliceDenoiser>: Sendable {
    /// The plane of the slices.
    public var plane: SlicePlane

    /// Predicts each window.
    public var denoiser: Denoiser

    /// A plane and the denoiser of its slices.
    public init(plane: SlicePlane, denoiser: Denoiser) { (self.plane, self.denoiser) = (plane, denoiser) }
}
