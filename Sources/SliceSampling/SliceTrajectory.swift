import Foundation

/// One run of a sampler: the state x_t of all slices, and how a step moves it. Steps are made one at a time.
final class SliceTrajectory<Denoiser: SliceDenoiser> {
    let sampler: SliceSampler<Denoiser>
    let conditioning: Denoiser.Conditioning
    /// The source on its own grid.
    let volume: Volume
    var onProgress: (@Sendable (SamplingProgress) -> Void)?

    /// Whether estimates are wanted beyond their step: for steps of second order, and where states are asked for.
    var keepsEstimate: Bool

    /// How many steps have been made.
    private(set) var stepsMade = 0
    /// x_t; see ``SliceLayout``. After the last step it is the result.
    private(set) var state: [Float] = []
    /// The estimate of x_0 from which the last step was made, laid out as the state.
    private(set) var estimate: [Float] = []

    private(set) var layout: SliceLayout
    /// y, extended by N background slices at both ends.
    private(set) var source: [Float] = []
    var progress: SamplingProgress

    /// A run at its start, where x_t is the source, or noise.
    init(sampler: SliceSampler<Denoiser>, source volume: Volume, conditioning: Denoiser.Conditioning) {
        sampler.checkInvariants()
        self.sampler = sampler
        self.conditioning = conditioning
        self.volume = volume
        keepsEstimate = sampler.order == .second
        layout = Self.layout(ofStep: 0, sampler, volume.grid)
        let timesteps = sampler.scheduler.timesteps
        progress = SamplingProgress(windowsEvaluated: 0, windowsInAll: 0, step: 1, steps: timesteps.count)
        source = layout.extended(volume, by: sampler.background)
        switch sampler.scheduler.start {
        case .source: state = layout.state(from: source)
        case .noise:
            state = [Float](repeating: 0, count: layout.stateSlices * layout.voxelsPerSlice)
            addNoise(
                weight: 1, timestep: sampler.scheduler.trainingTimesteps, slices: 0..<layout.stateSlices)
        }
        progress.windowsInAll = windowsFromHere
    }

    /// A run where a saved state of the same run left it.
    convenience init(
        sampler: SliceSampler<Denoiser>, source volume: Volume, conditioning: Denoiser.Conditioning,
        resuming saved: SamplingState
    ) {
        self.init(sampler: sampler, source: volume, conditioning: conditioning)
        arrange(forStep: saved.stepsMade - 1)
        (state, estimate, stepsMade) = (saved.noisyStack, saved.estimateStack, saved.stepsMade)
        progress.windowsEvaluated = progress.windowsInAll - windowsFromHere
    }

    /// The plane and the denoiser of the step that is made next.
    var view: PlaneDenoiser<Denoiser> { sampler.views[stepsMade % sampler.views.count] }

    /// The state after the last step made.
    func savedState(of run: SamplingRun) -> SamplingState {
        SamplingState(
            stepsMade: stepsMade, run: run, layout: layout,
            grid: volume.grid, noisyStack: state, estimateStack: estimate)
    }

    /// Whether the last step has been made.
    var isComplete: Bool { stepsMade == sampler.scheduler.timesteps.count }

    /// The middle slices of a stack that is laid out as the state, as a volume on the source's grid.
    func volume(of stack: [Float]) -> Volume { layout.volume(of: stack, on: volume.grid) }

    /// Makes the step from one visited timestep to the next, and the corrections there; after the last
    /// timestep the state is the estimate of x_0.
    func advance() async throws {
        arrange(forStep: stepsMade)
        progress.step = stepsMade + 1
        let (scheduler, timesteps) = (sampler.scheduler, sampler.scheduler.timesteps)
        let t = timesteps[stepsMade]
        let before = keepsEstimate ? estimate : []
        estimate = []
        estimate = try await predictEstimate(at: t, aggregation: sampler.aggregation)
        guard stepsMade + 1 < timesteps.count else {
            state = estimate
            stepsMade += 1
            return
        }
        let s = timesteps[stepsMade + 1]
        let weights = scheduler.reverseStep(from: t, to: s, eta: sampler.eta)
        let lead = extrapolation(from: t, to: s)
        layout.blend(&state, weights.noisy, estimate, weights.target * (1 + lead), source, weights.source)
        if lead != 0 { layout.blend(&state, 1, before, -weights.target * lead, source, 0) }
        if weights.noise > 0 {
            addNoise(weight: Float(weights.noise), timestep: t, slices: 0..<layout.stateSlices)
        }
        if !keepsEstimate { estimate = [] }
        if let corrector = sampler.corrector {
            for _ in 0..<max(0, corrector.corrections(at: s)) { try await correct(by: corrector, at: s) }
        }
        stepsMade += 1
    }

    /// The windows that remain to be evaluated.
    private var windowsFromHere: Int {
        let timesteps = sampler.scheduler.timesteps
        return (stepsMade..<timesteps.count).reduce(0) { sum, step in
            let windows = Self.layout(ofStep: step, sampler, volume.grid).windows
            let arrival = step + 1 < timesteps.count ? timesteps[step + 1] : nil
            return sum + windows * (1 + (arrival.flatMap { sampler.corrector?.corrections(at: $0) } ?? 0))
        }
    }

    private func correct(by corrector: any SliceCorrector, at t: Int) async throws {
        let estimate = try await predictEstimate(at: t, aggregation: corrector.aggregation)
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

    /// How far a second-order step leads the estimate on, as a share of its change since the step before.
    ///
    /// A deterministic step integrates the estimate over q = a / s (DPM-Solver++, arXiv 2211.01095, with q for the
    /// exponential of its time). The estimate is taken to be linear in 1 / (1 + q²), whose integral is the arc
    /// tangent.
    private func extrapolation(from t: Int, to s: Int) -> Double {
        guard sampler.order == .second, stepsMade > 0 else { return 0 }
        let q = [sampler.scheduler.timesteps[stepsMade - 1], t, s].map { t in
            let path = sampler.scheduler.coefficients(at: t)
            return path.target / path.variance.squareRoot()
        }
        guard q[0] < q[1], q[1] < q[2] else { return 0 }
        let (before, now) = (1 / (1 + q[0] * q[0]), 1 / (1 + q[1] * q[1]))
        let onTheWay = (atan(q[2]) - atan(q[1])) / (q[2] - q[1])
        return (now - onTheWay) / (before - now)
    }

    private func addNoise(weight: Float, timestep: Int, slices: Range<Int>) {
        for slice in slices {
            let noise = sampler.noise.slice(
                layout.sourceSlice(ofState: slice) - layout.radius, rows: layout.rows, columns: layout.columns,
                timestep: timestep)
            let start = layout.voxels(ofSlice: slice).lowerBound
            state.withUnsafeMutableBufferPointer { state in
                for (index, value) in noise.enumerated() { state[start + index] += weight * value }
            }
        }
    }
}

extension SliceTrajectory {
    private static func layout(
        ofStep step: Int, _ sampler: SliceSampler<Denoiser>, _ grid: VoxelGrid
    ) -> SliceLayout {
        let view = sampler.views[step % sampler.views.count]
        return SliceLayout(
            plane: view.plane, radius: view.denoiser.radius, of: grid,
            windowsShareSlices: sampler.aggregation != nil)
    }

    /// Lays the slices out in the plane of a step. Slices beyond the ends of the volume begin anew there: background
    /// all along a bridge, and as far on its way from noise to background as the others are for a diffusion.
    private func arrange(forStep step: Int) {
        let next = Self.layout(ofStep: step, sampler, volume.grid)
        guard next != layout else { return }
        let (stateVolume, estimateVolume) = (volume(of: state), estimate.isEmpty ? nil : volume(of: estimate))
        layout = next
        source = next.extended(volume, by: sampler.background)
        state = next.extended(stateVolume, by: sampler.background)
        estimate = estimateVolume.map { next.extended($0, by: sampler.background) } ?? []
        guard sampler.scheduler.start == .noise else { return }
        let path = sampler.scheduler.coefficients(at: sampler.scheduler.timesteps[step])
        let (before, after) = (0..<layout.radius, layout.stateSlices - layout.radius..<layout.stateSlices)
        for slices in [before, after] {
            for slice in slices {
                for index in layout.voxels(ofSlice: slice) { state[index] *= Float(path.target) }
            }
            addNoise(
                weight: Float(path.variance.squareRoot()), timestep: sampler.scheduler.trainingTimesteps,
                slices: slices)
        }
    }
}
