import SliceSampling
import TestSupport
import Testing

/// Windows of nothing but background may be skipped.
struct BackgroundTests {
    /// A volume of whose slices most are background.
    private func volume(_ generator: inout SeededGenerator) -> Volume {
        var volume = Volume.random(shape: generator.shape(), using: &generator)
        for z in 0..<volume.shape.z where Int.random(in: 0..<4, using: &generator) > 0 {
            for y in 0..<volume.shape.y { for x in 0..<volume.shape.x { volume[x, y, z] = -1 } }
        }
        return volume
    }

    @Test func theResultIsThatOfADenoiserThatPredictsBackgroundForBackground() async {
        await checkLaw(cases: 400) { generator in
            let source = volume(&generator)
            let scheduler = generator.scheduler()
            let calls = Counter()
            var sampler = generator.sampler(scheduler) { _, radius in
                BackgroundDenoiser(radius: radius, predictionType: .sample, calls: calls)
            }
            let expected = try await sampler.sample(from: source)
            sampler.skipsBackground = true
            try #require(try await sampler.sample(from: source).bits == expected.bits)
        }
    }

    @Test func whatIsSkippedStandsForTheSourceInEveryPredictionType() async {
        await checkLaw(cases: 300) { generator in
            let grid = VoxelGrid(shape: generator.shape())
            let source = Volume(grid: grid, voxels: [Float](repeating: -1, count: grid.count))
            let scheduler = generator.scheduler()
            let predictionType = PredictionType.allCases.filter {
                $0 != .noise
                    || scheduler.timesteps.allSatisfy { scheduler.path.coefficients(at: $0).target > 0 }
            }.randomElement(using: &generator)!
            let calls = Counter()
            var sampler = generator.sampler(scheduler) { _, radius in
                BackgroundDenoiser(radius: radius, predictionType: predictionType, calls: calls)
            }
            (sampler.skipsBackground, sampler.corrector) = (true, nil)
            let result = try await sampler.sample(from: source)
            let weights = scheduler.path.estimate(from: predictionType, at: scheduler.timesteps.last!)
            let condition = Float(abs(weights.noisy) + abs(weights.source)) * 10 + 1
            try #require(largestDifference(result.voxels, source.voxels) < 2e-6 * condition)
            try #require(calls.value == 0)
        }
    }

    @Test func evaluationsAreSkipped() async {
        await checkLaw(cases: 200) { generator in
            let source = volume(&generator)
            let (radius, corrections) = (generator.size(in: 0...3), generator.size(in: 0...2))
            let calls = Counter()
            let scheduler = generator.scheduler()
            var sampler = SliceSampler(
                scheduler: scheduler,
                denoiser: BackgroundDenoiser(
                    radius: radius, predictionType: .sample, maySkipBackground: true, calls: calls),
                corrector: ScoreCorrector(steps: corrections), batchSize: generator.size(in: 1...5))
            _ = try await sampler.sample(from: source)
            let windows = (0..<source.shape.z).filter { window in
                (max(0, window - radius)...min(source.shape.z - 1, window + radius)).contains { z in
                    source.slice(z).contains { $0 != -1 }
                }
            }.count
            let evaluations = scheduler.timesteps.count * (1 + corrections) - corrections
            try #require(calls.value == windows * evaluations)
            // The sampler has the last word.
            sampler.skipsBackground = false
            _ = try await sampler.sample(from: source)
            try #require(calls.value == (windows + source.shape.z) * evaluations)
        }
    }
}

/// Predicts background wherever the source is background, and counts the windows that it is asked for.
private struct BackgroundDenoiser: SliceDenoiser {
    let radius: Int
    let predictionType: PredictionType
    var maySkipBackground = false
    let calls: Counter

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        calls.increment(by: windows.count)
        return (0..<windows.count).flatMap { index in
            zip(windows.noisy(index), windows.source(index)).map { x, y in
                y == -1 ? -1 : 0.3 * x + 0.5 * y
            }
        }
    }
}

/// Where source and estimate are background, the result is background, whatever the settings.
struct PureBackgroundTests {
    /// Predicts background in any prediction type, from the x_t that it is given.
    private struct Background: SliceDenoiser {
        let radius: Int
        let predictionType: PredictionType
        let path: any GaussianPath

        func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
            let weights = path.estimate(from: predictionType, at: t)
            return (0..<windows.count).flatMap { index in
                zip(windows.noisy(index), windows.source(index)).map { x, y in
                    Float((-1 - weights.noisy * Double(x) - weights.source * Double(y)) / weights.target)
                }
            }
        }
    }

    @Test func pureBackgroundStaysBackground() async {
        await checkLaw(cases: 300) { generator in
            let scheduler = generator.scheduler(solver: nil)
            let type = PredictionType.allCases.filter { type in
                type != .noise
                    || scheduler.timesteps.allSatisfy { scheduler.path.coefficients(at: $0).target > 0 }
            }.randomElement(using: &generator)!
            let grid = VoxelGrid(shape: generator.shape())
            let source = Volume(grid: grid, voxels: [Float](repeating: -1, count: grid.count))
            var sampler = generator.sampler(scheduler) { _, radius in
                Background(radius: radius, predictionType: type, path: scheduler.path)
            }
            // Settings as they are by default; how windows act on one another is any.
            if sampler.corrector != nil { sampler.corrector = ScoreCorrector() }
            sampler.clip = -1...1
            for try await state in try sampler.states(from: source) {
                if scheduler.path.start == .source, sampler.scheduler.step(0).noise == 0 {
                    try #require(
                        largestDifference(state.noisy.values, state.noisy.values.map { _ in -1 }) < 1e-3)
                }
                guard state.isComplete else { continue }
                let volume = state.estimate.volume
                // An error of x_t's rounding reaches the estimate with its weight at the last timestep.
                let weights = scheduler.path.estimate(from: type, at: scheduler.timesteps.last!)
                let condition = Float(max(1, abs(weights.noisy) / 10))
                try #require(largestDifference(volume.voxels, source.voxels) < 1e-5 * condition)
            }
        }
    }
}
