/// The state of a run after a step: the current estimate, and all that is needed to resume.
///
/// ```swift
/// for try await state in try sampler.states(from: source, conditioning: target) {
///     preview(state.estimate)
///     try state.write(to: checkpoint)
/// }
/// ```
///
/// A state holds x_t and one estimate, or as many as the solver uses.
public struct SamplingState<Storage: SampleStorage>: Sendable {
    /// How many steps have been made.
    public let stepsMade: Int

    /// x_t, at the timestep that the run has arrived at; at its end the result.
    public let noisy: Storage

    let identity: RunIdentity
    /// The estimates of x_0 from which the last steps were made, the latest first; at least one.
    let estimates: [Storage]

    /// The estimate of x_0 from which the last step was made.
    public var estimate: Storage { estimates[0] }

    /// S, the number of steps of the run.
    public var steps: Int { identity.timesteps.count }

    /// Whether the run is at its end. ``noisy`` is then its result, which is ``estimate`` unless the scheduler arrives at a
    /// timestep below the last.
    public var isComplete: Bool { stepsMade == steps }

    /// The timestep that the run has arrived at, or `nil` at its end.
    public var timestep: Int? { isComplete ? nil : identity.timesteps[stepsMade] }

    init(stepsMade: Int, noisy: Storage, estimates: [Storage], identity: RunIdentity) {
        (self.stepsMade, self.noisy, self.estimates, self.identity) = (stepsMade, noisy, estimates, identity)
    }

    /// - Throws: ``SamplingStateError`` where the run of this identity, storage and solver cannot resume the state.
    func check(against identity: RunIdentity, shape: Storage.Shape, history: Int) throws {
        try self.identity.check(against: identity)
        guard noisy.shape == shape else {
            throw SamplingStateError.belongsToAnotherRun(
                setting: "shape of x_t", found: "\(noisy.shape)", expected: "\(shape)")
        }
        let needed = min(stepsMade, max(1, history))
        guard estimates.count >= needed else {
            throw SamplingStateError.belongsToAnotherRun(
                setting: "number of estimates", found: "\(estimates.count)", expected: "\(needed) or more")
        }
    }
}

/// The states of a run, one after each step.
public struct SamplingStates<Model: Denoiser>: AsyncSequence, Sendable {
    let sampler: Sampler<Model>
    let source: Model.Storage
    let conditioning: Model.Conditioning
    let noisy: Model.Storage?
    let saved: SamplingState<Model.Storage>?
    let identity: RunIdentity
    let onProgress: (@Sendable (SamplingProgress) -> Void)?

    /// A run from its start, or from the state that it resumes.
    public func makeAsyncIterator() -> Iterator {
        let run =
            saved.map {
                SamplingRun(sampler, source: source, conditioning: conditioning, resuming: $0)
            }
            ?? SamplingRun(
                sampler, source: source, conditioning: conditioning, startingAt: noisy, keepsEstimate: true)
        run.onProgress = onProgress
        return Iterator(run: run, identity: identity)
    }

    /// Makes a step for each state that is asked for.
    public struct Iterator: AsyncIteratorProtocol {
        let run: SamplingRun<Model>
        let identity: RunIdentity

        /// The state after the next step, or `nil` after the last. After an error the next call repeats what failed.
        public mutating func next() async throws -> SamplingState<Model.Storage>? {
            guard !run.isComplete else { return nil }
            try await run.advance()
            return SamplingState(
                stepsMade: run.stepsMade, noisy: run.noisy, estimates: run.estimates, identity: identity)
        }
    }
}
