/// Samples a volume with a denoiser that sees a few neighbouring slices at a time.
///
/// ```swift
/// let sampler = SliceSampler(
///     scheduler: BrownianBridge(steps: 50),
///     denoiser: MyDenoiser(),
///     corrector: ScoreCorrector(steps: 1, stepSize: 0.5))
/// let mri = try await sampler.sample(from: ct)
/// ```
///
/// At each timestep every window of 2N+1 slices is predicted. How the windows act on one another is the
/// ``aggregation`` and the ``corrector``; the four modes of the published method are
///
/// | mode | aggregation | corrector |
/// |---|---|---|
/// | independent windows | `nil` | `nil` |
/// | co-prediction | `.mean` | `nil` |
/// | inter-slice trajectory alignment (ISTA) | `.mean` | `ScoreCorrector()` |
/// | ISTA, score of the middle slice | `.mean` | `ScoreCorrector(aggregation: .middleSlice)` |
///
/// The denoiser is evaluated S + (S - 1) M times on each window, for S steps with M corrections.
///
/// The result is the same, bit for bit, at any ``batchSize``, any number of ``batchesInFlight`` and on every
/// run: predictions are added up in the order of the windows, whatever order they arrive in, and noise is a
/// function of its place alone.
public struct SliceSampler<Denoiser: SliceDenoiser>: Sendable {
    /// The process that is sampled, and the timesteps visited.
    public var scheduler: any GaussianPathScheduler

    /// Predicts each window.
    public var denoiser: Denoiser

    /// The plane of the slices.
    public var plane: SlicePlane

    /// Further planes, each with a denoiser of its own: steps go through ``plane`` and these in turn, so that
    /// what slices leave behind has no favoured direction. Needs an ``aggregation``.
    public var alternatingPlanes: [PlaneDenoiser<Denoiser>]

    /// How the windows' predictions for a slice become one; `nil` lets every window follow a trajectory of its
    /// own and keeps its middle slice.
    public var aggregation: (any SliceAggregation)?

    /// What is done to the slices after each step but the last.
    public var corrector: (any SliceCorrector)?

    /// The order of the steps.
    public var order: StepOrder

    /// How much of the posterior variance each step brings back as fresh noise: 0, a deterministic run, to 1,
    /// ancestral sampling.
    public var eta: Double

    /// The noise: where sampling starts for a diffusion, and what is added at each step where ``eta`` is above 0.
    public var noise: NoiseField

    /// The value of voxels beyond the ends of the volume: N slices of it are sampled too, and dropped.
    public var background: Float

    /// Whether windows are passed over whose source holds nothing but background, and background is taken for
    /// their prediction; `nil` goes by what the denoiser says.
    public var skipsBackground: Bool?

    /// Number of windows handed to the denoiser in one call.
    public var batchSize: Int

    /// Number of calls to the denoiser that may run at the same time.
    public var batchesInFlight: Int

    /// A sampler.
    ///
    /// - Precondition: a corrector and alternating planes need an aggregation; eta lies between 0 and 1;
    ///   `batchSize` and `batchesInFlight` are at least one.
    public init(
        scheduler: any GaussianPathScheduler, denoiser: Denoiser, plane: SlicePlane = .axial,
        alternatingPlanes: [PlaneDenoiser<Denoiser>] = [], aggregation: (any SliceAggregation)? = .mean,
        corrector: (any SliceCorrector)? = nil, order: StepOrder = .first, eta: Double = 0,
        noise: NoiseField = NoiseField(), background: Float = -1, skipsBackground: Bool? = nil,
        batchSize: Int = 4, batchesInFlight: Int = 2
    ) {
        self.scheduler = scheduler
        self.denoiser = denoiser
        self.plane = plane
        self.alternatingPlanes = alternatingPlanes
        self.aggregation = aggregation
        self.corrector = corrector
        self.order = order
        self.eta = eta
        self.noise = noise
        self.background = background
        self.skipsBackground = skipsBackground
        self.batchSize = batchSize
        self.batchesInFlight = batchesInFlight
        checkInvariants()
    }

    /// Stops the program where the properties contradict one another; they may be changed one by one.
    func checkInvariants() {
        precondition(corrector == nil || aggregation != nil, "a corrector needs an aggregation")
        precondition(alternatingPlanes.isEmpty || aggregation != nil, "alternating planes need an aggregation")
        precondition((0...1).contains(eta), "eta must lie between 0 and 1")
        precondition(batchSize > 0 && batchesInFlight > 0, "at least one window in one batch is needed")
    }

    /// The volume sampled for a source.
    ///
    /// - Parameters:
    ///   - source: y, with intensities in the denoiser's range (-1 to 1 for the published networks).
    ///   - conditioning: handed to the denoiser with every batch.
    ///   - progress: called after every batch, in order.
    /// - Returns: the estimate of x_0 at the last timestep, on the source's grid.
    /// - Throws: ``SamplingError`` where the denoiser throws or predicts what it must not; `CancellationError`
    ///   within one batch of the task's cancellation.
    /// - Complexity: memory for three volumes beside the source, for independent windows 2 (2N+1) + 1; one more
    ///   each where steps are of second order and where slices are not stacked along the source's last axis; up to
    ///   one more for corrections, and eight while planes change; and the batches in flight.
    public func sample(
        from source: Volume, conditioning: Denoiser.Conditioning,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        let trajectory = SliceTrajectory(sampler: self, source: source, conditioning: conditioning)
        trajectory.onProgress = progress
        while !trajectory.isComplete { try await trajectory.advance() }
        return trajectory.volume(of: trajectory.state)
    }

    /// The planes that the steps go through in turn.
    var views: [PlaneDenoiser<Denoiser>] {
        [PlaneDenoiser(plane: plane, denoiser: denoiser)] + alternatingPlanes
    }
}

extension SliceSampler where Denoiser.Conditioning == Void {
    /// The volume sampled for a source, with a denoiser that is conditioned on nothing else.
    public func sample(
        from source: Volume, progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        try await sample(from: source, conditioning: (), progress: progress)
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

/// The order of a sampler's steps: how their error falls with their number.
public enum StepOrder: Int, CaseIterable, Codable, Sendable {
    /// Each step takes the estimate of x_0 for constant.
    case first = 1

    /// Each step takes the estimate to go on changing as it did since the step before: a two-point formula, as in
    /// DPM-Solver++ (arXiv 2211.01095, algorithm 2), but linear in s_t² / (a_t² + s_t²) where that is linear in the
    /// logarithm of a_t / s_t. The estimate stands still at both ends of this, so that the long last steps of
    /// evenly spaced timesteps, in the logarithm, do not lead it too far. It costs no further evaluation. Meant for
    /// eta = 0 and `StepRule.marginalPreserving`.
    case second = 2
}
