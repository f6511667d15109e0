/// One run of a sampler: the state x_t of all slices, and how a step moves it.
struct SliceTrajectory<Denoiser: SliceDenoiser> {
    let sampler: SliceSampler<Denoiser>
    let conditioning: Denoiser.Conditioning
    let layout: SliceLayout
    var onProgress: (@Sendable (SamplingProgress) -> Void)?

    /// y, extended by N background slices at both ends.
    private let source: [Float]
    /// x_t; see ``SliceLayout``.
    private var state: [Float]
    private var progress: SamplingProgress

    /// A run at its start, where x_t is the source.
    ///
    /// - Parameter volume: the source with its slices last among the axes.
    init(sampler: SliceSampler<Denoiser>, source volume: Volume, conditioning: Denoiser.Conditioning) {
        self.sampler = sampler
        self.conditioning = conditioning
        layout = SliceLayout(
            rows: volume.shape.y, columns: volume.shape.x, radius: sampler.denoiser.radius,
            windows: volume.shape.z, windowsShareSlices: sampler.aggregation != nil)
        let end = [Float](repeating: sampler.background, count: layout.radius * layout.voxelsPerSlice)
        source = end + volume.voxels + end
        state = source
        if !layout.windowsShareSlices {
            state = []
            state.reserveCapacity(layout.stateSlices * layout.voxelsPerSlice)
            for slice in 0..<layout.stateSlices {
                state += source[layout.voxels(ofSlice: layout.sourceSlice(ofState: slice))]
            }
        }
        let timesteps = sampler.scheduler.timesteps
        let evaluations = timesteps.dropFirst().reduce(timesteps.count) {
            $0 + (sampler.corrector?.corrections(at: $1) ?? 0)
        }
        progress = SamplingProgress(
            windowsEvaluated: 0, windowsInAll: evaluations * layout.windows, step: 1, steps: timesteps.count)
    }

    /// Makes the step from one visited timestep to the next, and the corrections there; after the last
    /// timestep the state is the estimate of x_0.
    mutating func advance(step index: Int) async throws {
        progress.step = index + 1
        let timesteps = sampler.scheduler.timesteps
        let t = timesteps[index]
        let estimate = try await estimate(at: t, aggregation: sampler.aggregation)
        guard index + 1 < timesteps.count else {
            state = estimate
            return
        }
        let s = timesteps[index + 1]
        let weights = sampler.scheduler.reverseStep(from: t, to: s)
        blend(&state, weights.noisy, with: estimate, weights.target, sourceWeight: weights.source)
        guard let corrector = sampler.corrector else { return }
        for _ in 0..<corrector.corrections(at: s) { try await correct(by: corrector, at: s) }
    }

    /// The middle slice of every window.
    func middleSlices() -> [Float] {
        if layout.windowsShareSlices {
            let start = layout.radius * layout.voxelsPerSlice
            return Array(state[start..<start + layout.windows * layout.voxelsPerSlice])
        }
        return (0..<layout.windows).flatMap {
            state[layout.voxels(ofSlice: layout.stateSlice(window: $0, position: layout.radius))]
        }
    }

    private mutating func correct(by corrector: any SliceCorrector, at t: Int) async throws {
        let estimate = try await estimate(at: t, aggregation: corrector.aggregation)
        for slice in 0..<layout.stateSlices {
            let voxels = layout.voxels(ofSlice: slice)
            let corrected = corrector.correct(
                state[voxels], estimate: estimate[voxels],
                source: source[layout.voxels(ofSlice: layout.sourceSlice(ofState: slice))],
                at: t, scheduler: sampler.scheduler)
            precondition(corrected.count == voxels.count, "a corrector must return as many voxels as it got")
            state.withUnsafeMutableBufferPointer { state in
                _ = UnsafeMutableBufferPointer(rebasing: state[voxels]).update(fromContentsOf: corrected)
            }
        }
    }

    /// The estimate of x_0 for every slice of the state.
    ///
    /// All windows that hold a slice share its x_t and y, in which an estimate is linear, so the estimate from
    /// the mean of the outputs is the mean of the estimates.
    private mutating func estimate(
        at t: Int, aggregation: (any SliceAggregation)?
    ) async throws -> [Float] {
        var outputs = try await predictWindows(at: t, aggregation: aggregation)
        let weights = sampler.scheduler.estimate(from: sampler.denoiser.parameterization, at: t)
        blend(&outputs, weights.target, with: state, weights.noisy, sourceWeight: weights.source)
        return outputs
    }

    /// `values <- weight * values + otherWeight * other + sourceWeight * y`, slice by slice of the state.
    private func blend(
        _ values: inout [Float], _ weight: Double, with other: [Float], _ otherWeight: Double,
        sourceWeight: Double
    ) {
        let (weight, otherWeight, sourceWeight) = (Float(weight), Float(otherWeight), Float(sourceWeight))
        values.withUnsafeMutableBufferPointer { values in
            other.withUnsafeBufferPointer { other in
                source.withUnsafeBufferPointer { source in
                    for slice in 0..<layout.stateSlices {
                        let sourceStart = layout.voxels(ofSlice: layout.sourceSlice(ofState: slice)).lowerBound
                        let voxels = layout.voxels(ofSlice: slice)
                        let shift = sourceStart - voxels.lowerBound
                        for index in voxels {
                            values[index] =
                                weight * values[index] + otherWeight * other[index]
                                + sourceWeight * source[index + shift]
                        }
                    }
                }
            }
        }
    }
}

extension SliceTrajectory {
    /// The outputs of the denoiser for every slice of the state, the windows' weighted into one.
    ///
    /// Up to ``SliceSampler/batchesInFlight`` batches run at the same time. They are added up in the order of
    /// the windows: a batch that is done before its turn waits, and no further one starts until it is added.
    private mutating func predictWindows(
        at t: Int, aggregation: (any SliceAggregation)?
    ) async throws -> [Float] {
        var means = WeightedSlices(layout: layout, aggregation: aggregation)
        let batches = stride(from: 0, to: layout.windows, by: sampler.batchSize).map {
            $0..<min($0 + sampler.batchSize, layout.windows)
        }
        let (denoiser, conditioning) = (sampler.denoiser, conditioning)
        let windows = windows(in:)
        try await withThrowingTaskGroup(of: (batch: Int, prediction: [Float]).self) { group in
            func start(_ batch: Int) {
                guard batch < batches.count else { return }
                let batchWindows = windows(batches[batch])
                group.addTask {
                    try Task.checkCancellation()
                    return (
                        batch,
                        try await denoiser.predict(batchWindows, at: t, conditioning: conditioning)
                    )
                }
            }
            for batch in 0..<sampler.batchesInFlight { start(batch) }
            var waiting: [Int: [Float]] = [:]
            var turn = 0
            while let (batch, prediction) = try await group.next() {
                waiting[batch] = prediction
                while let next = waiting.removeValue(forKey: turn) {
                    try add(next, of: batches[turn], to: &means, at: t)
                    start(turn + sampler.batchesInFlight)
                    turn += 1
                }
            }
        }
        return means.voxels
    }

    private func windows(in indices: Range<Int>) -> SliceWindows {
        SliceWindows(
            indices: indices, radius: layout.radius, rows: layout.rows, columns: layout.columns,
            noisyStorage: state, sourceStorage: source, noisyStride: layout.stateStride)
    }

    private mutating func add(
        _ prediction: [Float], of windows: Range<Int>, to means: inout WeightedSlices, at t: Int
    ) throws {
        let length = layout.slicesPerWindow * layout.voxelsPerSlice
        guard prediction.count == windows.count * length else {
            throw SamplingError.predictionSize(
                found: prediction.count, expected: windows.count * length, windows: windows, timestep: t)
        }
        for (index, window) in windows.enumerated() {
            let values = prediction[index * length..<(index + 1) * length]
            if let position = means.add(values, window: window) {
                throw SamplingError.predictionNotFinite(
                    window: window, slice: window + position - layout.radius, timestep: t)
            }
        }
        progress.windowsEvaluated += windows.count
        onProgress?(progress)
    }
}
