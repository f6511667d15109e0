/// Where a run stands after a step: what there is to show of it, and all that is needed to go on from there.
///
/// ```swift
/// for try await state in sampler.states(from: ct, conditioning: style) {
///     preview(state.estimate)
///     try state.write(to: checkpoint)
/// }
/// ```
///
/// A state holds about two volumes.
public struct SamplingState: Sendable {
    /// How many steps have been made.
    public let stepsMade: Int

    let run: SamplingRun
    let layout: SliceLayout
    let grid: VoxelGrid
    /// x_t, laid out as `layout` says.
    let noisyStack: [Float]
    /// The estimate of x_0 from which the last step was made, laid out likewise.
    let estimateStack: [Float]

    /// Number of steps of the run.
    public var steps: Int { run.timesteps.count }

    /// Whether the run is at its end. ``estimate`` is then its result.
    public var isComplete: Bool { stepsMade == steps }

    /// The timestep that the run has arrived at, or `nil` at its end.
    public var timestep: Int? { isComplete ? nil : run.timesteps[stepsMade] }

    /// The estimate of x_0 from which the last step was made, on the source's grid. O(n).
    public var estimate: Volume { layout.volume(of: estimateStack, on: grid) }

    /// The noisy volume x_t that the run has arrived at, on the source's grid. O(n).
    public var noisy: Volume { layout.volume(of: noisyStack, on: grid) }
}

extension SliceSampler {
    /// A run step by step: the sequence has one state for each timestep visited, the last with the result.
    ///
    /// A step is made when its state is asked for. Nothing runs in between, and a run that is not followed to its
    /// end costs nothing more.
    ///
    /// - Parameters:
    ///   - source: y, as for `sample(from:conditioning:progress:)`.
    ///   - conditioning: handed to the denoiser with every batch.
    ///   - saved: a state of the same run to go on from; the sequence begins after it. The result is that of the
    ///     uninterrupted run, bit for bit.
    ///   - progress: called after every batch, in order.
    /// - Throws: ``SamplingStateError`` where the saved state belongs to another run.
    public func states(
        from source: Volume, conditioning: Denoiser.Conditioning, resuming saved: SamplingState? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) throws -> SamplingStates<Denoiser> {
        let run = SamplingRun(sampler: self, source: source)
        try saved?.run.check(against: run)
        return SamplingStates(
            sampler: self, source: source, conditioning: conditioning, saved: saved, onProgress: progress,
            run: run)
    }
}

extension SliceSampler where Denoiser.Conditioning == Void {
    /// A run step by step, with a denoiser that is conditioned on nothing else.
    public func states(
        from source: Volume, resuming saved: SamplingState? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) throws -> SamplingStates<Denoiser> {
        try states(from: source, conditioning: (), resuming: saved, progress: progress)
    }
}

/// The states of a run, one after each step.
public struct SamplingStates<Denoiser: SliceDenoiser>: AsyncSequence, Sendable {
    let sampler: SliceSampler<Denoiser>
    let source: Volume
    let conditioning: Denoiser.Conditioning
    let saved: SamplingState?
    let onProgress: (@Sendable (SamplingProgress) -> Void)?
    let run: SamplingRun

    /// A run from its start, or from the state that it resumes.
    public func makeAsyncIterator() -> Iterator {
        let trajectory =
            saved.map {
                SliceTrajectory(sampler: sampler, source: source, conditioning: conditioning, resuming: $0)
            } ?? SliceTrajectory(sampler: sampler, source: source, conditioning: conditioning)
        trajectory.onProgress = onProgress
        trajectory.keepsEstimate = true
        return Iterator(trajectory: trajectory, run: run)
    }

    /// Makes a step for each state that is asked for.
    public struct Iterator: AsyncIteratorProtocol {
        let trajectory: SliceTrajectory<Denoiser>
        let run: SamplingRun

        /// The state after the next step, or `nil` after the last.
        public mutating func next() async throws -> SamplingState? {
            guard !trajectory.isComplete else { return nil }
            try await trajectory.advance()
            return trajectory.savedState(of: run)
        }
    }
}
