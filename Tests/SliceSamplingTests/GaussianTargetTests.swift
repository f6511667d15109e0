import SliceSampling
import TestSupport
import Testing

/// A target that is normal in every voxel, N(mu, sigma²), whose exact posterior mean is the denoiser. Every step is
/// then affine, and the result has a closed form.
struct GaussianTargetTests {
    private struct Setting {
        let mean: Double
        let variance: Double
        let source: Double
        let sampler: SliceSampler<PosteriorMeanDenoiser>
        let eta: Double
        /// Whether the solver is the published one.
        let isPublished: Bool
        var scheduler: Scheduler { sampler.scheduler }

        init(_ generator: inout SeededGenerator, eta: ClosedRange<Double>, variance: ClosedRange<Double>) {
            mean = Double.random(in: -1...1, using: &generator)
            let sigma = Double.random(in: variance, using: &generator)
            self.variance = sigma
            source = Double.random(in: -1...1, using: &generator)
            let eta = Double.random(in: eta, using: &generator)
            (self.eta, isPublished) = (eta, Bool.random(using: &generator))
            let scheduler = generator.scheduler(
                steps: 2...12, of: 200...1000, solver: isPublished ? .published(eta: eta) : .ddim(eta: eta))
            let denoiser = PosteriorMeanDenoiser(
                mean: mean, variance: sigma, scheduler: scheduler, radius: generator.size(in: 0...2))
            sampler = SliceSampler(
                scheduler: scheduler, denoiser: denoiser, plane: generator.plane(),
                aggregation: Bool.random(using: &generator) ? generator.aggregation() : nil,
                noise: NoiseField(seed: generator.next()))
        }

        /// What a voxel of value `x` is after the step from t to s: x * noisy + offset, and the noise added.
        func step(from t: Int, to s: Int) -> (noisy: Double, offset: Double, noise: Double) {
            let (now, next) = (scheduler.path.coefficients(at: t), scheduler.path.coefficients(at: s))
            let ratio = now.target / next.target
            let posterior = (now.variance - next.variance * ratio * ratio) * next.variance / now.variance
            let taken = isPublished ? posterior : eta * eta * posterior
            let direction = (max(0, next.variance - taken) / now.variance).squareRoot()
            let estimate = estimate(at: t)
            let target = next.target - direction * now.target
            return (
                direction + target * estimate.noisy,
                target * estimate.offset + (next.source - direction * now.source) * source,
                eta * max(0, posterior).squareRoot()
            )
        }

        /// E[x_0 | x_t, y] as x_t * noisy + offset.
        func estimate(at t: Int) -> (noisy: Double, offset: Double) {
            let path = scheduler.path.coefficients(at: t)
            let gain = path.target * variance / (path.target * path.target * variance + path.variance)
            return (gain, mean - gain * (path.source * source + path.target * mean))
        }

        /// Mean and variance of x_t at every timestep visited.
        var moments: [(mean: Double, variance: Double)] {
            var moments = [scheduler.path.start == .source ? (source, 0.0) : (0.0, 1.0)]
            for (t, s) in zip(scheduler.timesteps, scheduler.timesteps.dropFirst()) {
                let step = step(from: t, to: s)
                let (mean, variance) = moments.last!
                moments.append(
                    (
                        step.noisy * mean + step.offset,
                        step.noisy * step.noisy * variance + step.noise * step.noise
                    ))
            }
            return moments
        }

        func volume(_ shape: SIMD3<Int>) -> Volume {
            let grid = VoxelGrid(shape: shape)
            return Volume(grid: grid, voxels: [Float](repeating: Float(source), count: grid.count))
        }
    }

    @Test func aDeterministicRunIsItsClosedForm() async {
        await checkLaw(cases: 300) { generator in
            let setting = Setting(&generator, eta: 0...0, variance: 0.05...1)
            let source = setting.volume([3, 3, 3])
            // Noise that a diffusion starts from is given, and goes the way of its voxel.
            var x = source.voxels.map(Double.init)
            if setting.scheduler.path.start == .noise {
                let plane = setting.sampler.plane.permutation(for: source.grid)
                let stack = (0..<3).flatMap {
                    setting.sampler.noise.slice(
                        $0, rows: 3, columns: 3, timestep: setting.scheduler.path.trainingTimesteps)
                }
                x = Volume(grid: source.grid, voxels: stack).permuted(plane.inverse).voxels.map(Double.init)
            }
            var rounding = 1e-6
            for (t, s) in zip(setting.scheduler.timesteps, setting.scheduler.timesteps.dropFirst()) {
                let step = setting.step(from: t, to: s)
                rounding = abs(step.noisy) * rounding + 1e-6 * (1 + x.map(abs).max()!)
                x = x.map { step.noisy * $0 + step.offset }
            }
            let estimate = setting.estimate(at: setting.scheduler.timesteps.last!)
            let expected = x.map { Float(estimate.noisy * $0 + estimate.offset) }
            let result = try await setting.sampler.sample(from: source)
            let tolerance = abs(estimate.noisy) * rounding + 1e-6 * (1 + x.map(abs).max()!)
            try #require(Double(largestDifference(result.voxels, expected)) < tolerance)
        }
    }

    /// Whether many values have a mean and a variance, within five standard errors and rounding.
    private func have(_ values: [Float], _ mean: Double, _ variance: Double) -> Bool {
        let count = Double(values.count)
        let found = values.reduce(0.0) { $0 + Double($1) } / count
        let spread = values.reduce(0.0) { $0 + (Double($1) - found) * (Double($1) - found) } / (count - 1)
        return abs(found - mean) <= 5 * (variance / count).squareRoot() + 1e-5
            && abs(spread - variance) <= 5 * variance * (2 / count).squareRoot() + 1e-6
    }

    @Test func meanAndVarianceOfManySamplesAreTheirClosedForm() async {
        await checkLaw(cases: 150) { generator in
            let setting = Setting(&generator, eta: 0...1, variance: 0.05...1)
            var states: [SamplingState<SliceStack>] = []
            for try await state in try setting.sampler.states(from: setting.volume([16, 16, 16])) {
                states.append(state)
            }
            let moments = setting.moments
            for (state, (mean, variance)) in zip(states.dropLast(), moments.dropFirst()) {
                try #require(have(state.noisy.volume.voxels, mean, variance))
            }
            let estimate = setting.estimate(at: setting.scheduler.timesteps.last!)
            let (mean, variance) = moments.last!
            try #require(
                have(
                    states.last!.estimate.volume.voxels, estimate.noisy * mean + estimate.offset,
                    estimate.noisy * estimate.noisy * variance))
        }
    }

    @Test func theMarginalRuleKeepsThePathsMarginalsAndTheReferenceRuleFallsShort() async {
        // With sigma = 0 the denoiser knows x_0, and a step of the marginal rule leads from N(a_t x_0 + b_t y, s_t²)
        // to N(a_s x_0 + b_s y, s_s²). What the start misses of its marginal shrinks from step to step.
        await checkLaw(cases: 150) { generator in
            let setting = Setting(&generator, eta: 0...1, variance: 0...0)
            let (scheduler, eta) = (setting.scheduler, setting.eta)
            func marginal(_ t: Int) -> (mean: Double, variance: Double) {
                let path = scheduler.path.coefficients(at: t)
                return (path.target * setting.mean + path.source * setting.source, path.variance)
            }
            let first = marginal(scheduler.timesteps[0])
            let start =
                scheduler.path.start == .source ? (mean: setting.source, variance: 0.0) : (mean: 0, variance: 1)
            var (offset, missing) = (start.mean - first.mean, first.variance - start.variance)
            var step = 0
            for try await state in try setting.sampler.states(from: setting.volume([16, 16, 16]))
            where !state.isComplete {
                let (t, s) = (scheduler.timesteps[step], scheduler.timesteps[step + 1])
                let posterior = scheduler.path.posteriorVariance(of: s, from: t)
                let (now, next) = (marginal(t), marginal(s))
                let kept = setting.isPublished ? 1 : eta * eta
                let shrink = (next.variance - kept * posterior) / now.variance
                offset *= max(0, shrink).squareRoot()
                missing *= shrink
                if setting.isPublished { missing += (1 - eta * eta) * posterior }
                try #require(
                    have(state.noisy.volume.voxels, next.mean + offset, max(0, next.variance - missing)))
                step += 1
            }
        }
    }
}

/// The exact posterior mean of a target N(mean, variance) in every voxel.
private struct PosteriorMeanDenoiser: SliceDenoiser {
    let mean: Double
    let variance: Double
    let scheduler: Scheduler
    let radius: Int
    let predictionType = PredictionType.sample

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        let path = scheduler.path.coefficients(at: t)
        let gain = path.target * variance / (path.target * path.target * variance + path.variance)
        return (0..<windows.count).flatMap { index in
            zip(windows.noisy(index), windows.source(index)).map { x, y in
                Float(mean + gain * (Double(x) - path.source * Double(y) - path.target * mean))
            }
        }
    }
}
