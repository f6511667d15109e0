public import BridgeDiffusion

/// Samples x_0 with a denoiser, on any ``SampleStorage``: stacks of slices, latents, a device's buffers.
///
/// ```swift
/// let sampler = Sampler(
///     scheduler: Scheduler(GaussianDiffusion(schedule: .scaledLinear()), steps: 50),
///     denoiser: LatentDenoiser())
/// let latent = try await sampler.sample(from: source, conditioning: target)
/// ```
///
/// The denoiser is evaluated S + (S - 1) M times, for S steps with M corrections after each but the last.
///
/// For slices use `SliceSampler` of the module `SliceSampling`, which sets this one up.
public struct Sampler<Model: Denoiser>: Sendable {
    /// The process, the timesteps visited, and the solver.
    public var scheduler: Scheduler

    /// Predicts at each step.
    public var denoiser: Model

    /// What is done after each step but the last.
    public var corrector: (any Corrector)?

    /// Predicts for the corrections; `nil` for ``denoiser``.
    public var correctionDenoiser: Model?

    /// The range that estimates of x_0 are clamped to, at each step and in corrections; `nil` for none.
    public var clip: ClosedRange<Float>?

    /// The noise: where sampling starts for a diffusion, and what steps with fresh noise add.
    public var noise: NoiseField

    /// The noise of each step, in order, in place of ``noise``, to compare with other software; `nil` for ``noise``. A run
    /// starts at noise of its own with `startingAt`.
    public var stepNoises: [Model.Storage]?

    /// A sampler.
    public init(
        scheduler: Scheduler, denoiser: Model, corrector: (any Corrector)? = nil,
        correctionDenoiser: Model? = nil, clip: ClosedRange<Float>? = nil, noise: NoiseField = NoiseField()
    ) {
        (self.scheduler, self.denoiser, self.corrector) = (scheduler, denoiser, corrector)
        (self.correctionDenoiser, self.clip, self.noise) = (correctionDenoiser, clip, noise)
    }

    /// The sample for a source.
    ///
    /// - Parameters:
    ///   - source: y. Where the path does not use it, it gives the shape, and the denoiser may use it.
    ///   - conditioning: handed to the denoiser with every evaluation.
    ///   - noisy: x_t at the scheduler's first timestep, for a run that begins in the middle of a path (see
    ///     `Scheduler.starting(at:)` and ``forwardSample(of:source:at:)``); `nil` for the path's own start.
    ///   - progress: called several times per step, in order.
    /// - Returns: the estimate of x_0 at the last timestep, or x_t where the scheduler arrives.
    /// - Throws: what the denoiser throws; ``SamplingError`` where it predicts NaN or infinity;
    ///   `CancellationError`.
    /// - Complexity: memory for x_t and one estimate beside the source, one more in corrections and for each earlier
    ///   estimate that the solver uses.
    public func sample(
        from source: Model.Storage, conditioning: Model.Conditioning, startingAt noisy: Model.Storage? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Model.Storage {
        let run = SamplingRun(self, source: source, conditioning: conditioning, startingAt: noisy)
        run.onProgress = progress
        while !run.isComplete { try await run.advance() }
        return run.noisy
    }

    /// A run step by step: the sequence has one state for each timestep visited, the last with the result.
    ///
    /// A step is made when its state is asked for; nothing runs in between. Where a step throws, for example because
    /// a server is away, asking again repeats what failed and nothing else: the result has the same bits.
    ///
    /// - Parameters:
    ///   - source: y, as for ``sample(from:conditioning:startingAt:progress:)``.
    ///   - conditioning: handed to the denoiser with every evaluation.
    ///   - noisy: x_t at the scheduler's first timestep; `nil` for the path's own start.
    ///   - saved: a state of the same run to resume; the sequence begins after it. The result is that of the
    ///     uninterrupted run, bit for bit.
    ///   - settings: what else decides the result, by name, for example fingerprints of the denoiser's weights and of
    ///     the conditioning: a saved state is resumed only where they are equal.
    ///   - progress: called several times per step, in order.
    /// - Throws: ``SamplingStateError`` where the saved state belongs to another run.
    public func states(
        from source: Model.Storage, conditioning: Model.Conditioning, startingAt noisy: Model.Storage? = nil,
        resuming saved: SamplingState<Model.Storage>? = nil, settings: [RunSetting] = [],
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) throws -> SamplingStates<Model> {
        let identity = RunIdentity(self, source: source, startingAt: noisy, settings: settings)
        if let saved {
            try saved.check(
                against: identity, shape: denoiser.initialState(for: source).shape,
                history: scheduler.solver.history)
        }
        return SamplingStates(
            sampler: self, source: source, conditioning: conditioning, noisy: noisy, saved: saved,
            identity: identity, onProgress: progress)
    }

    /// The forward sample x_t of an image x_0 on the path: where a run can begin in the middle of it.
    public func forwardSample(
        of target: Model.Storage, source: Model.Storage, at t: Int
    ) -> Model.Storage {
        let weights = scheduler.path.forwardSample(at: t)
        var sample = target
        sample.combine(weights.target, adding: [WeightedSample(weights.source, source)])
        sample.addNoise(noise, timestep: scheduler.path.trainingTimesteps, weight: weights.noise)
        return sample
    }
}

/// One run of a sampler: x_t, and how a step moves it.
///
/// A step consists of units: the prediction of a step or correction, which may throw and changes nothing, and then the
/// move, which cannot throw. The run remembers which unit is next, so that one that threw can be asked again.
final class SamplingRun<Model: Denoiser> {
    typealias Storage = Model.Storage

    let sampler: Sampler<Model>
    let source: Storage
    let conditioning: Model.Conditioning
    var onProgress: (@Sendable (SamplingProgress) -> Void)?

    /// How many estimates are kept, the latest first: as many as the solver uses, and one where states are asked for.
    let kept: Int

    /// How many steps have been made, each with its corrections.
    private(set) var stepsMade = 0
    /// Corrections made after a step that has been made and is not yet counted, or `nil` before that step.
    private var correctionsMade: Int?
    /// x_t. After the last step it is the result.
    private(set) var noisy: Storage
    /// The estimates of x_0 from which the last steps were made, the latest first.
    private(set) var estimates: [Storage] = []

    init(
        _ sampler: Sampler<Model>, source: Storage, conditioning: Model.Conditioning,
        startingAt noisy: Storage?,
        keepsEstimate: Bool = false
    ) {
        (self.sampler, self.source, self.conditioning) = (sampler, source, conditioning)
        kept = max(sampler.scheduler.solver.history, keepsEstimate ? 1 : 0)
        self.noisy = noisy ?? sampler.denoiser.initialState(for: source)
        if noisy == nil, sampler.scheduler.path.start == .noise {
            self.noisy.combine(0, adding: [])
            self.noisy.addNoise(
                sampler.noise, timestep: sampler.scheduler.path.trainingTimesteps, weight: 1)
        }
    }

    /// A run where a saved state of the same run left it.
    convenience init(
        _ sampler: Sampler<Model>, source: Storage, conditioning: Model.Conditioning,
        resuming saved: SamplingState<Storage>
    ) {
        self.init(
            sampler, source: source, conditioning: conditioning, startingAt: saved.noisy, keepsEstimate: true)
        (stepsMade, estimates) = (saved.stepsMade, saved.estimates)
    }

    /// Whether the last step has been made.
    var isComplete: Bool { stepsMade == sampler.scheduler.timesteps.count }

    /// Makes the step from one visited timestep to the next, and the corrections there; after the last timestep x_t is
    /// the estimate of x_0. After an error it continues with the unit that failed.
    func advance() async throws {
        let (scheduler, timesteps) = (sampler.scheduler, sampler.scheduler.timesteps)
        let isLast = stepsMade + 1 == timesteps.count
        if correctionsMade == nil {
            let estimate = try await predict(with: sampler.denoiser, at: timesteps[stepsMade])
            if stepsMade < scheduler.stepCount {
                move(by: scheduler.step(stepsMade), estimate)
            } else {
                noisy = estimate
            }
            estimates = Array(([estimate] + estimates).prefix(kept))
            correctionsMade = 0
        }
        if !isLast, let corrector = sampler.corrector {
            let s = timesteps[stepsMade + 1]
            while correctionsMade! < corrector.iterations(at: s) {
                correct(
                    by: corrector,
                    try await predict(with: sampler.correctionDenoiser ?? sampler.denoiser, at: s),
                    at: s)
                correctionsMade! += 1
            }
        }
        stepsMade += 1
        correctionsMade = nil
    }

    private func move(by weights: StepWeights, _ estimate: Storage) {
        var terms = [
            WeightedSample(weights.estimates[0], estimate), WeightedSample(weights.source, source),
        ]
        terms += zip(weights.estimates.dropFirst(), estimates).map { WeightedSample($0, $1) }
        noisy.combine(weights.noisy, adding: terms)
        if weights.noise > 0, let given = sampler.stepNoises {
            noisy.combine(1, adding: [WeightedSample(weights.noise, given[stepsMade])])
        } else if weights.noise > 0 {
            noisy.addNoise(
                sampler.noise, timestep: sampler.scheduler.timesteps[stepsMade], weight: weights.noise)
        }
    }

    private func correct(by corrector: any Corrector, _ estimate: consuming Storage, at t: Int) {
        let path = sampler.scheduler.path
        let weights = path.residual(at: t)
        var residual = estimate
        residual.combine(
            weights.target,
            adding: [WeightedSample(weights.noisy, noisy), WeightedSample(weights.source, source)])
        let count = residual.groupSize
        noisy.add(
            residual,
            gains: residual.squaredNorms().map { norm in
                norm > 0 ? -corrector.gain(squaredResidual: norm, count: count, at: t, on: path) : 0
            })
    }

    /// The estimate of x_0.
    private func predict(with denoiser: Model, at t: Int) async throws -> Storage {
        var progress = SamplingProgress(
            step: stepsMade + 1, steps: sampler.scheduler.timesteps.count, evaluationsDone: evaluationsDone,
            evaluations: evaluations(in: 0..<sampler.scheduler.timesteps.count), fractionOfEvaluation: 0)
        let report = onProgress
        var estimate = try await denoiser.predict(
            noisy, source: source, at: t, conditioning: conditioning
        ) { fraction in
            guard fraction < 1 else { return }
            progress.fractionOfEvaluation = fraction
            report?(progress)
        }
        guard denoiser.checksPredictions || estimate.isFinite else {
            throw SamplingError.notFinite(timestep: t)
        }
        if denoiser.predictionType != .sample {
            let weights = sampler.scheduler.path.estimate(from: denoiser.predictionType, at: t)
            estimate.combine(
                weights.target,
                adding: [WeightedSample(weights.noisy, noisy), WeightedSample(weights.source, source)])
        }
        if let clip = sampler.clip { estimate.clamp(to: clip) }
        (progress.evaluationsDone, progress.fractionOfEvaluation) = (progress.evaluationsDone + 1, 0)
        report?(progress)
        return estimate
    }

    private var evaluationsDone: Int {
        evaluations(in: 0..<stepsMade) + (correctionsMade.map { 1 + $0 } ?? 0)
    }

    /// Evaluations that steps and their corrections take.
    private func evaluations(in steps: Range<Int>) -> Int {
        let timesteps = sampler.scheduler.timesteps
        return steps.reduce(0) { sum, step in
            let corrections =
                step + 1 < timesteps.count ? sampler.corrector?.iterations(at: timesteps[step + 1]) ?? 0 : 0
            return sum + 1 + max(0, corrections)
        }
    }
}
