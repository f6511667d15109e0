import SliceSampling
import TestSupport
import Testing

/// Laws of the sampler, on random volumes, windows, modes and schedulers.
struct SliceSamplerLawTests {
    /// One of the four modes, at random.
    private func randomMode(
        _ generator: inout SeededGenerator
    ) -> (aggregation: (any SliceAggregation)?, corrector: (any SliceCorrector)?) {
        let corrections = Int.random(in: 1...2, using: &generator)
        let stepSize = Double.random(in: 0...0.5, using: &generator)
        let scaling = ScoreCorrector.Scaling.allCases.randomElement(using: &generator)!
        return switch Int.random(in: 0..<4, using: &generator) {
        case 0: (nil, nil)
        case 1: (.mean, nil)
        case 2: (.mean, ScoreCorrector(steps: corrections, stepSize: stepSize, scaling: scaling))
        default:
            (
                .mean,
                ScoreCorrector(
                    steps: corrections, stepSize: stepSize, scaling: scaling, aggregation: .middleSlice)
            )
        }
    }

    private func randomShape(_ generator: inout SeededGenerator) -> SIMD3<Int> {
        [
            Int.random(in: 1...6, using: &generator), Int.random(in: 1...6, using: &generator),
            Int.random(in: 1...9, using: &generator),
        ]
    }

    private func randomBridge(_ generator: inout SeededGenerator) -> BrownianBridge {
        BrownianBridge(
            steps: Int.random(in: 3...8, using: &generator),
            schedule: BrownianBridge.Schedule.allCases.randomElement(using: &generator)!,
            stepRule: StepRule.allCases.randomElement(using: &generator)!)
    }

    @Test func resultsAreTheSameBitsAtAnyBatchAndOrderOfCompletion() async {
        await checkLaw(cases: 150) { generator in
            let mode = randomMode(&generator)
            let source = Volume.random(shape: randomShape(&generator), using: &generator)
            var sampler = SliceSampler(
                scheduler: randomBridge(&generator),
                denoiser: MixingDenoiser(radius: Int.random(in: 0...3, using: &generator)),
                plane: SlicePlane.allCases.randomElement(using: &generator)!,
                aggregation: mode.aggregation, corrector: mode.corrector, batchSize: 1, batchesInFlight: 1)
            let expected = try await sampler.sample(from: source)
            sampler.batchSize = Int.random(in: 1...20, using: &generator)
            sampler.batchesInFlight = Int.random(in: 1...5, using: &generator)
            sampler.denoiser.delays = Bool.random(using: &generator)
            try #require(try await sampler.sample(from: source) == expected)
        }
    }

    @Test func anOracleDenoiserReturnsTheTarget() async {
        await checkLaw(cases: 300) { generator in
            let mode = randomMode(&generator)
            let shape = randomShape(&generator)
            let scheduler = randomBridge(&generator)
            let parameterization = Parameterization.allCases.randomElement(using: &generator)!
            let source = Volume.random(shape: shape, using: &generator)
            let target = Volume.random(shape: shape, using: &generator)
            let sampler = SliceSampler(
                scheduler: scheduler,
                denoiser: OracleDenoiser(
                    target: target, radius: Int.random(in: 0...3, using: &generator),
                    parameterization: parameterization, scheduler: scheduler),
                aggregation: mode.aggregation, corrector: mode.corrector)
            let result = try await sampler.sample(from: source)
            // At t = 0, where the last estimate is made, a_t is nearly one; but a correction where the score
            // is small may have moved x_t far, and rounding with it.
            try #require(largestDifference(result.voxels, target.voxels) < 1e-4)
        }
    }

    @Test func aWindowOfOneSliceIsPlainSamplingOfEachSlice() async {
        await checkLaw { generator in
            let source = Volume.random(shape: randomShape(&generator), using: &generator)
            let sampler = SliceSampler(
                scheduler: randomBridge(&generator), denoiser: MixingDenoiser(radius: 0))
            let whole = try await sampler.sample(from: source)
            for z in 0..<source.shape.z {
                let slice = Volume(
                    grid: VoxelGrid(shape: [source.shape.x, source.shape.y, 1]), voxels: Array(source.slice(z)))
                let alone = try await sampler.sample(from: slice)
                try #require(alone.voxels == Array(whole.slice(z)))
            }
        }
    }

    @Test func aStepSizeOfZeroIsNoCorrection() async {
        await checkLaw { generator in
            let source = Volume.random(shape: randomShape(&generator), using: &generator)
            var sampler = SliceSampler(
                scheduler: randomBridge(&generator), denoiser: MixingDenoiser(radius: 1))
            let expected = try await sampler.sample(from: source)
            sampler.corrector = ScoreCorrector(steps: 2, stepSize: 0)
            try #require(try await sampler.sample(from: source) == expected)
        }
    }

    @Test func planesAreCutsAcrossTheAxes() async {
        await checkLaw(cases: 50) { generator in
            let source = Volume.random(shape: randomShape(&generator), using: &generator)
            let plane = SlicePlane.allCases.randomElement(using: &generator)!
            var sampler = SliceSampler(
                scheduler: randomBridge(&generator), denoiser: MixingDenoiser(radius: 1), plane: plane)
            let result = try await sampler.sample(from: source)
            // The same as turning the volume so that its slices lie in the axial plane.
            let permutation = plane.permutation(for: source.grid)
            let turned = source.permuted(permutation)
            sampler.plane = .axial
            let axial = try await sampler.sample(
                from: Volume(grid: VoxelGrid(shape: turned.shape), voxels: turned.voxels))
            try #require(result.permuted(permutation).voxels == axial.voxels)
            try #require(result.grid.matches(source.grid))
        }
    }
}
