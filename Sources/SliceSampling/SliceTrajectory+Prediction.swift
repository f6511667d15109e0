extension SliceTrajectory {
    /// The estimate of x_0 for every slice of the state.
    ///
    /// All windows that hold a slice share its x_t and y, in which an estimate is linear, so the estimate from
    /// the mean of the outputs is the mean of the estimates.
    func predictEstimate(
        at t: Int, aggregation: (any SliceAggregation)?
    ) async throws -> [Float] {
        let weights = sampler.scheduler.estimate(from: view.denoiser.parameterization, at: t)
        var outputs = try await predictWindows(at: t, aggregation: aggregation, estimating: weights)
        layout.blend(&outputs, weights.target, state, weights.noisy, source, weights.source)
        return outputs
    }

    /// The outputs of the denoiser for every slice of the state, the windows' weighted into one.
    ///
    /// Up to ``SliceSampler/batchesInFlight`` batches run at the same time. They are added up in the order of
    /// the windows: a batch that is done before its turn waits, and no further one starts until it is added.
    private func predictWindows(
        at t: Int, aggregation: (any SliceAggregation)?, estimating estimate: PathCombination
    ) async throws -> [Float] {
        var means = WeightedSlices(layout: layout, aggregation: aggregation)
        let batches = layout.batches(of: sampler.batchSize, skipping: backgroundWindows)
        let (denoiser, conditioning, step) = (view.denoiser, conditioning, progress.step)
        let windows = windows(in:)
        try await withThrowingTaskGroup(of: (batch: Int, prediction: [Float]).self) { group in
            func start(_ batch: Int) {
                guard batch < batches.count else { return }
                let batchWindows = windows(batches[batch].windows)
                let isBackground = batches[batch].isBackground
                group.addTask {
                    try Task.checkCancellation()
                    if isBackground { return (batch, batchWindows.outputs(estimating: estimate)) }
                    do {
                        return (
                            batch,
                            try await denoiser.predict(batchWindows, at: t, conditioning: conditioning)
                        )
                    } catch let error as CancellationError {
                        throw error
                    } catch {
                        throw SamplingError(
                            step: step, timestep: t, windows: batchWindows.indices, reason: .denoiser(error))
                    }
                }
            }
            for batch in 0..<sampler.batchesInFlight { start(batch) }
            var waiting: [Int: [Float]] = [:]
            var turn = 0
            while let (batch, prediction) = try await group.next() {
                waiting[batch] = prediction
                while let next = waiting.removeValue(forKey: turn) {
                    try add(next, of: batches[turn].windows, to: &means, at: t)
                    start(turn + sampler.batchesInFlight)
                    turn += 1
                }
            }
        }
        return means.voxels
    }

    /// Whether each window's source holds nothing but background, where such windows are to be passed over.
    private var backgroundWindows: [Bool] {
        guard sampler.skipsBackground ?? view.denoiser.maySkipBackground else {
            return [Bool](repeating: false, count: layout.windows)
        }
        let isBackground = (0..<layout.sourceSlices).map { slice in
            source[layout.voxels(ofSlice: slice)].allSatisfy { $0 == sampler.background }
        }
        return (0..<layout.windows).map { window in
            isBackground[window..<window + layout.slicesPerWindow].allSatisfy { $0 }
        }
    }

    private func windows(in indices: Range<Int>) -> SliceWindows {
        SliceWindows(
            indices: indices, radius: layout.radius, rows: layout.rows, columns: layout.columns,
            noisyStorage: state, sourceStorage: source, noisyStride: layout.stateStride)
    }

    private func add(
        _ prediction: [Float], of windows: Range<Int>, to means: inout WeightedSlices, at t: Int
    ) throws {
        func failure(_ reason: SamplingError.Reason) -> SamplingError {
            SamplingError(step: progress.step, timestep: t, windows: windows, reason: reason)
        }
        let length = layout.slicesPerWindow * layout.voxelsPerSlice
        guard prediction.count == windows.count * length else {
            throw failure(.predictionSize(found: prediction.count, expected: windows.count * length))
        }
        for (index, window) in windows.enumerated() {
            let values = prediction[index * length..<(index + 1) * length]
            if let position = means.add(values, window: window) {
                throw failure(
                    .predictionNotFinite(window: window, slice: window + position - layout.radius))
            }
        }
        progress.windowsEvaluated += windows.count
        onProgress?(progress)
    }
}

extension SliceLayout {
    /// All windows, in order, in batches of at most `size`; windows to be skipped stand in batches of their own.
    fileprivate func batches(
        of size: Int, skipping skipped: [Bool]
    ) -> [(windows: Range<Int>, isBackground: Bool)] {
        var batches: [(windows: Range<Int>, isBackground: Bool)] = []
        for window in 0..<windows {
            if let last = batches.last, last.windows.count < size, last.isBackground == skipped[window] {
                batches[batches.count - 1].windows = last.windows.lowerBound..<window + 1
            } else {
                batches.append((window..<window + 1, skipped[window]))
            }
        }
        return batches
    }
}

extension SliceWindows {
    /// The outputs from which the estimate of x_0 is the source, as it is where there is only background.
    fileprivate func outputs(estimating estimate: PathCombination) -> [Float] {
        let (noisyWeight, sourceWeight) = (
            Float(-estimate.noisy / estimate.target), Float((1 - estimate.source) / estimate.target)
        )
        return (0..<count).flatMap { window in
            zip(noisy(window), source(window)).map { noisyWeight * $0 + sourceWeight * $1 }
        }
    }
}
