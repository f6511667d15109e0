public import BridgeDiffusion
public import DiffusionSampling
import Volumes

/// A denoiser of whole stacks of slices made from a denoiser of windows: every window is predicted, and the
/// predictions for each slice become one (co-prediction, arXiv 2407.05059, eq. 5).
///
/// Its predictions are estimates of x_0. Each window's is clamped, where that is asked for, before it is averaged.
///
/// Up to `batchesInFlight` batches run at the same time. They are added up in the order of the windows: a batch that is
/// done before its turn waits, and at most as many wait as may run. So the result has the same bits at any batch size and
/// in any order of completion, and a denoiser on several servers keeps all of them busy.
public struct CoPrediction<Windows: SliceDenoiser>: Denoiser {
    let sampler: SliceSampler<Windows>
    /// `nil` where every window follows a trajectory of its own.
    let aggregation: (any SliceAggregation)?

    /// Estimates of x_0.
    public var predictionType: PredictionType { .sample }

    /// Every window's prediction is checked before it is averaged.
    public var checksPredictions: Bool { true }

    /// A state of the source's slices, or of 2N+1 slices for each window.
    public func initialState(for source: SliceStack) -> SliceStack {
        guard aggregation == nil else { return source }
        return source.expanded(
            to: SliceLayout(
                plane: source.shape.plane, radius: source.shape.radius, of: source.shape.grid,
                windowsShareSlices: false))
    }

    /// The settings of windows, planes and aggregation.
    public var runSettings: [RunSetting] {
        let views = sampler.views
        return [
            RunSetting("list of planes", views.map(\.plane.rawValue)),
            RunSetting("list of window radii", views.map(\.denoiser.radius)),
            RunSetting("list of prediction types", views.map(\.denoiser.predictionType.rawValue)),
            RunSetting(
                "aggregation",
                aggregation.map { aggregation in
                    "\(views.map { aggregation.weights(radius: $0.denoiser.radius) })"
                } ?? "none: independent windows"),
            RunSetting("background", sampler.background),
            RunSetting("skipping of background", views.map { sampler.skips($0.denoiser) }),
            RunSetting("clipping of windows", sampler.clip.map { "\($0)" } ?? "none"),
        ]
    }

    /// The estimate of x_0 for every slice.
    ///
    /// - Throws: ``SliceSamplingError`` where the denoiser throws or predicts what it must not; `CancellationError`
    ///   within one batch of the task's cancellation.
    public func predict(
        _ noisy: SliceStack, source: SliceStack, at timestep: Int, conditioning: Windows.Conditioning,
        progress: (Double) -> Void
    ) async throws -> SliceStack {
        let view = sampler.view(at: timestep)
        let own = sampler.views[0]
        guard view.plane != own.plane || view.denoiser.radius != own.denoiser.radius else {
            return try await predict(
                noisy, source, by: view.denoiser, at: timestep, conditioning, progress)
        }
        let (noisyView, sourceView) = turned(noisy, source, to: view, at: timestep)
        let estimate = try await predict(
            noisyView, sourceView, by: view.denoiser, at: timestep, conditioning, progress)
        // Slices beyond the ends of the volume are background in every plane.
        return SliceStack(
            estimate.volume, plane: own.plane, radius: own.denoiser.radius, background: sampler.background)
    }

    /// x_t and the source in the slices of another plane. Slices beyond its ends begin there: background all along a
    /// bridge, and on a diffusion as far on the way from noise to background as the others are.
    private func turned(
        _ noisy: SliceStack, _ source: SliceStack, to view: PlaneDenoiser<Windows>, at t: Int
    ) -> (noisy: SliceStack, source: SliceStack) {
        func turned(_ stack: SliceStack) -> SliceStack {
            SliceStack(
                stack.volume, plane: view.plane, radius: view.denoiser.radius, background: sampler.background)
        }
        var turnedNoisy = turned(noisy)
        let path = sampler.scheduler.path
        if path.start == .noise {
            let (weights, radius) = (path.forwardSample(at: t), turnedNoisy.shape.radius)
            for slices in [0..<radius, turnedNoisy.shape.slices - radius..<turnedNoisy.shape.slices] {
                for slice in slices {
                    for voxel in turnedNoisy.shape.voxels(ofSlice: slice) {
                        turnedNoisy.values[voxel] *= Float(weights.target)
                    }
                }
                turnedNoisy.addNoise(
                    sampler.noise, timestep: path.trainingTimesteps, weight: weights.noise, to: slices)
            }
        }
        return (turnedNoisy, turned(source))
    }

    /// The estimate for every slice, in the plane of the stacks.
    private func predict(
        _ noisy: SliceStack, _ source: SliceStack, by denoiser: Windows, at t: Int,
        _ conditioning: Windows.Conditioning, _ progress: (Double) -> Void
    ) async throws -> SliceStack {
        var mean = WindowMean(
            noisy: noisy, source: source, aggregation: aggregation,
            weights: sampler.scheduler.path.estimate(from: denoiser.predictionType, at: t), clip: sampler.clip)
        let batches = source.shape.batches(
            of: sampler.batchSize, inFlight: sampler.batchesInFlight,
            skipping: backgroundWindows(source, denoiser))
        try await withThrowingTaskGroup(of: (batch: Int, prediction: [Float]?).self) { group in
            var (started, running, turn) = (0, 0, 0)
            func start(_ batch: Int) {
                guard !batches[batch].isBackground else {
                    group.addTask { (batch, nil) }
                    return
                }
                let windows = SliceWindows(batches[batch].windows, noisy: noisy, source: source)
                group.addTask {
                    try Task.checkCancellation()
                    do {
                        return (batch, try await denoiser.predict(windows, at: t, conditioning: conditioning))
                    } catch let error as CancellationError {
                        throw error
                    } catch {
                        throw SliceSamplingError(
                            timestep: t, windows: windows.indices, reason: .denoiser(error))
                    }
                }
            }
            func startBatches() {
                let inFlight = sampler.batchesInFlight
                while running < inFlight, started < min(batches.count, turn + 2 * inFlight) {
                    start(started)
                    (started, running) = (started + 1, running + 1)
                }
            }
            startBatches()
            var waiting: [Int: [Float]?] = [:]
            while let (batch, prediction) = try await group.next() {
                running -= 1
                waiting[batch] = .some(prediction)
                while let next = waiting.removeValue(forKey: turn) {
                    try add(next, of: batches[turn].windows, to: &mean, at: t)
                    progress(Double(batches[turn].windows.upperBound) / Double(source.shape.windows))
                    turn += 1
                }
                startBatches()
            }
        }
        return mean.estimate
    }

    private func add(
        _ prediction: [Float]?, of windows: Range<Int>, to mean: inout WindowMean, at t: Int
    ) throws {
        func failure(_ reason: SliceSamplingError.Reason) -> SliceSamplingError {
            SliceSamplingError(timestep: t, windows: windows, reason: reason)
        }
        guard let prediction else {
            for window in windows { mean.addBackground(window: window) }
            return
        }
        let length = mean.shape.slicesPerWindow * mean.shape.voxelsPerSlice
        guard prediction.count == windows.count * length else {
            throw failure(.predictionSize(found: prediction.count, expected: windows.count * length))
        }
        for (index, window) in windows.enumerated() {
            let values = prediction[index * length..<(index + 1) * length]
            if let position = mean.add(values, window: window) {
                throw failure(
                    .predictionNotFinite(window: window, slice: window + position - mean.shape.radius))
            }
        }
    }

    /// Whether each window's source holds nothing but background, where such windows are to be skipped.
    private func backgroundWindows(_ source: SliceStack, _ denoiser: Windows) -> [Bool] {
        guard sampler.skips(denoiser) else { return [Bool](repeating: false, count: source.shape.windows) }
        let background = sampler.background
        let isBackground = (0..<source.shape.slices).map { slice in
            source.values[source.shape.voxels(ofSlice: slice)].allSatisfy { $0 == background }
        }
        return (0..<source.shape.windows).map { window in
            isBackground[window..<window + source.shape.slicesPerWindow].allSatisfy { $0 }
        }
    }
}

extension SliceLayout {
    /// All windows, in order, in batches of at most `size`; windows to be skipped are in batches of their own. Where several
    /// are in flight, the last ones are smaller, down to an eighth, so that all of them end at about the same time.
    fileprivate func batches(
        of size: Int, inFlight: Int, skipping skipped: [Bool]
    ) -> [(windows: Range<Int>, isBackground: Bool)] {
        var batches: [(windows: Range<Int>, isBackground: Bool)] = []
        var limit = 0
        for window in 0..<windows {
            if let last = batches.last, last.windows.count < limit, last.isBackground == skipped[window] {
                batches[batches.count - 1].windows = last.windows.lowerBound..<window + 1
            } else {
                let left = windows - window
                limit = min(size, max((left + inFlight - 1) / inFlight, (size + 7) / 8))
                batches.append((window..<window + 1, skipped[window]))
            }
        }
        return batches
    }
}
