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
/// run: predictions are added up in the order of the windows, whatever order they arrive in.
public struct SliceSampler<Denoiser: SliceDenoiser>: Sendable {
    /// The process that is sampled, and the timesteps visited.
    public var scheduler: any GaussianPathScheduler

    /// Predicts each window.
    public var denoiser: Denoiser

    /// The plane of the slices.
    public var plane: SlicePlane

    /// How the windows' predictions for a slice become one; `nil` lets every window follow a trajectory of its
    /// own and keeps its middle slice.
    public var aggregation: (any SliceAggregation)?

    /// What is done to the slices after each step but the last.
    public var corrector: (any SliceCorrector)?

    /// The value of voxels beyond the ends of the volume: N slices of it are sampled too, and dropped.
    public var background: Float

    /// Number of windows handed to the denoiser in one call.
    public var batchSize: Int

    /// Number of calls to the denoiser that may run at the same time.
    public var batchesInFlight: Int

    /// A sampler.
    ///
    /// - Precondition: a corrector needs an aggregation; `batchSize` and `batchesInFlight` are at least one.
    public init(
        scheduler: any GaussianPathScheduler, denoiser: Denoiser, plane: SlicePlane = .axial,
        aggregation: (any SliceAggregation)? = .mean, corrector: (any SliceCorrector)? = nil,
        background: Float = -1, batchSize: Int = 4, batchesInFlight: Int = 2
    ) {
        self.scheduler = scheduler
        self.denoiser = denoiser
        self.plane = plane
        self.aggregation = aggregation
        self.corrector = corrector
        self.background = background
        self.batchSize = batchSize
        self.batchesInFlight = batchesInFlight
        checkInvariants()
    }

    private func checkInvariants() {
        precondition(corrector == nil || aggregation != nil, "a corrector needs an aggregation")
        precondition(batchSize > 0 && batchesInFlight > 0, "at least one window in one batch is needed")
    }

    /// The volume sampled for a source.
    ///
    /// - Parameters:
    ///   - source: y, with intensities in the denoiser's range (-1 to 1 for the published networks).
    ///   - conditioning: handed to the denoiser with every batch.
    ///   - progress: called after every batch, in order.
    /// - Returns: the estimate of x_0 at the last timestep, on the source's grid.
    /// - Throws: ``SamplingError``, whatever the denoiser throws, or `CancellationError` within one batch of
    ///   the task's cancellation.
    /// - Complexity: memory for four volumes beside the source, for independent windows 3 (2N+1) + 1; one more
    ///   where the slices are not stacked along the source's last axis; and the batches in flight.
    public func sample(
        from source: Volume, conditioning: Denoiser.Conditioning,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        // The properties may have been changed one by one.
        checkInvariants()
        let permutation = plane.permutation(for: source.grid)
        let stack = source.permuted(permutation)
        var trajectory = SliceTrajectory(sampler: self, source: stack, conditioning: conditioning)
        trajectory.onProgress = progress
        for index in scheduler.timesteps.indices { try await trajectory.advance(step: index) }
        return Volume(grid: stack.grid, voxels: trajectory.middleSlices()).permuted(permutation.inverse)
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
