import Foundation
import SliceSampling
import Synchronization
import TestSupport
import Testing

/// Laws of the sampler, on random volumes, windows, modes, planes, orders and processes.
struct SliceSamplerLawTests {
    @Test func resultsAreTheSameBitsAtAnyBatchAndOrderOfCompletion() async {
        await checkLaw(cases: 400) { generator in
            let source = Volume.random(shape: generator.shape(), using: &generator)
            var sampler = generator.sampler(generator.scheduler()) { MixingDenoiser(plane: $0, radius: $1) }
            let expected = try await sampler.sample(from: source)
            try #require(try await sampler.sample(from: source).bits == expected.bits)
            sampler.batchSize = generator.size(in: 1...20)
            sampler.batchesInFlight = generator.size(in: 1...5)
            sampler.denoiser.delays = Bool.random(using: &generator)
            for view in sampler.alternatingPlanes.indices {
                sampler.alternatingPlanes[view].denoiser.delays = sampler.denoiser.delays
            }
            try #require(try await sampler.sample(from: source).bits == expected.bits)
        }
    }

    /// A slow batch does not hold up the others: as many as may run go on, until as many wait for it. No more run at once.
    @Test(.timeLimit(.minutes(3)), arguments: 2...5)
    func aSlowBatchDoesNotHoldUpTheOthers(inFlight: Int) async throws {
        let calls = Mutex((running: 0, most: 0, done: 0))
        let denoiser = ClosureDenoiser { windows, _ in
            calls.withLock { ($0.running, $0.most) = ($0.running + 1, max($0.most, $0.running + 1)) }
            defer { calls.withLock { $0.running -= 1 } }
            while windows.indices.contains(0), calls.withLock({ $0.done }) % 20 < 2 * inFlight - 1 {
                try await Task.sleep(for: .milliseconds(1))
            }
            calls.withLock { $0.done += 1 }
            return [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
        }
        let sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: 3), denoiser: denoiser, batchSize: 1,
            batchesInFlight: inFlight)
        _ = try await sampler.sample(from: Volume(grid: VoxelGrid(shape: [2, 2, 20])))
        #expect(calls.withLock { $0.done } == 60 && calls.withLock { $0.most } <= inFlight)
    }

    @Test func anOracleDenoiserReturnsTheTarget() async {
        await checkLaw(cases: 600) { generator in
            let shape = generator.shape()
            let (source, target) = (
                Volume.random(shape: shape, using: &generator), Volume.random(shape: shape, using: &generator)
            )
            let scheduler = generator.scheduler(steps: 1...8)
            // Where sampling starts at a_t = 0, noise says nothing of x_0.
            let predictionType = PredictionType.allCases.filter {
                $0 != .noise
                    || scheduler.timesteps.allSatisfy { scheduler.path.coefficients(at: $0).target > 0 }
            }.randomElement(using: &generator)!
            let sampler = generator.sampler(scheduler) {
                OracleDenoiser(
                    target: target, plane: $0, radius: $1, predictionType: predictionType,
                    scheduler: scheduler)
            }
            var (noisy, result) = (source, source)
            for try await state in try sampler.states(from: source) {
                if state.isComplete { result = state.estimate.volume } else { noisy = state.noisy.volume }
            }
            // The last estimate is made from x_t, and rounding comes in with its weight. A correction where the
            // score is small may have moved x_t far.
            let weights = scheduler.path.estimate(from: predictionType, at: scheduler.timesteps.last!)
            let largest = noisy.voxels.reduce(6) { max($0, abs($1)) }
            let condition = abs(Float(weights.noisy)) * largest + abs(Float(weights.source)) + 1
            try #require(largestDifference(result.voxels, target.voxels) < 2e-6 * condition)
        }
    }

    @Test func aWindowOfOneSliceIsPlainSamplingOfEachSlice() async {
        await checkLaw(cases: 300) { generator in
            let source = Volume.random(shape: generator.shape(), using: &generator)
            var sampler = generator.sampler(generator.scheduler()) { _, _ in MixingDenoiser(radius: 0) }
            (sampler.plane, sampler.alternatingPlanes, sampler.corrector) = (.axial, [], nil)
            let whole = try await sampler.sample(from: source)
            for z in 0..<source.shape.z {
                let alone = plainSampling(sampler, source, slice: z)
                try #require(alone.map(\.bitPattern) == whole.slice(z).map(\.bitPattern))
            }
        }
    }

    /// One slice sampled by itself, step by step.
    private func plainSampling(
        _ sampler: SliceSampler<MixingDenoiser>, _ source: Volume, slice: Int
    ) -> [Float] {
        let (scheduler, timesteps) = (sampler.scheduler, sampler.scheduler.timesteps)
        let y = Array(source.slice(slice))
        func noise(_ t: Int) -> [Float] {
            sampler.noise.slice(slice, rows: source.shape.y, columns: source.shape.x, timestep: t)
        }
        func add(_ weight: Double, _ values: [Float], to sum: inout [Float]) {
            for index in sum.indices { sum[index] += Float(weight) * values[index] }
        }
        func weighted(_ weight: Double, _ values: [Float]) -> [Float] { values.map { Float(weight) * $0 } }
        var x = scheduler.path.start == .source ? y : noise(scheduler.path.trainingTimesteps)
        var estimates: [[Float]] = []
        for (step, t) in timesteps.enumerated() {
            let weights = scheduler.path.estimate(from: .gradient, at: t)
            let output = sampler.denoiser.predict(x, y, slice: x.count, at: t)
            var estimate = weighted(weights.noisy, x)
            add(weights.target, output, to: &estimate)
            add(weights.source, y, to: &estimate)
            estimates.append(estimate)
            guard step + 1 < timesteps.count else { break }
            let move = scheduler.step(step)
            x = weighted(move.noisy, x)
            add(move.estimates[0], estimate, to: &x)
            add(move.source, y, to: &x)
            if move.estimates.count > 1 { add(move.estimates[1], estimates[step - 1], to: &x) }
            if move.noise > 0 { add(move.noise, noise(t), to: &x) }
        }
        return estimates.last!
    }

    @Test func aStepSizeOfZeroIsNoCorrection() async {
        await checkLaw(cases: 200) { generator in
            let source = Volume.random(shape: generator.shape(), using: &generator)
            var sampler = generator.sampler(generator.scheduler()) { MixingDenoiser(plane: $0, radius: $1) }
            sampler.aggregation = generator.aggregation()
            sampler.corrector = nil
            let expected = try await sampler.sample(from: source)
            sampler.corrector = generator.corrector(stepSize: 0...0)
            try #require(try await sampler.sample(from: source).bits == expected.bits)
        }
    }

    @Test func everyWindowStartsFromTheNoiseOfItsSlices() async {
        await checkLaw(cases: 100) { generator in
            let (noise, radius) = (generator.noise(), generator.size(in: 0...3))
            let denoiser = ClosureDenoiser(radius: radius) { windows, _ in
                for index in 0..<windows.count {
                    let slices = (-radius...radius).flatMap {
                        noise.slice(
                            windows.indices.lowerBound + index + $0, rows: windows.rows,
                            columns: windows.columns, timestep: 1000)
                    }
                    try #require(Array(windows.noisy(index)) == slices)
                }
                return [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
            }
            let sampler = SliceSampler(
                scheduler: Scheduler(RectifiedFlow(), timesteps: [999]), denoiser: denoiser,
                plane: generator.plane(),
                aggregation: Bool.random(using: &generator) ? generator.aggregation() : nil, noise: noise)
            _ = try await sampler.sample(from: Volume(grid: VoxelGrid(shape: generator.shape())))
        }
    }

    @Test func slicesBeyondTheEndsAreOnTheirWayToBackgroundInEveryPlane() async {
        await checkLaw(cases: 100) { generator in
            let scheduler = PathProcess.allCases.randomElement(using: &generator)!.scheduler(
                timesteps: TimestepSpacing.uniform.timesteps(generator.size(in: 2...6), of: 1000))
            let radius = generator.size(in: 1...2)
            let denoiser = ClosureDenoiser(radius: radius) { windows, t in
                // The first slice of the first window lies before the volume.
                let values = windows.noisy(0).prefix(windows.rows * windows.columns).map(Double.init)
                let mean = values.reduce(0, +) / Double(values.count)
                let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
                let path = scheduler.path.coefficients(at: t)
                // A bridge's own noise vanishes at both ends, and a deterministic run adds none.
                let spread = scheduler.path.start == .noise ? path.variance : 0
                // Sampling starts at noise alone, where the diffusion's a_t is 0.006.
                let error = 6 * (spread / Double(values.count)).squareRoot() + 0.01
                try #require(abs(mean + path.target + path.source) < error)
                try #require(
                    abs(variance - spread) < 6 * spread * (2 / Double(values.count)).squareRoot() + 1e-6)
                return [Float](repeating: -1, count: windows.count * windows.valuesPerWindow)
            }
            let planes = SlicePlane.allCases.shuffled(using: &generator)
            let sampler = SliceSampler(
                scheduler: scheduler, denoiser: denoiser, plane: planes[0],
                alternatingPlanes: planes[1...].map { PlaneDenoiser(plane: $0, denoiser: denoiser) },
                noise: NoiseField(seed: generator.next()), batchSize: 20)
            let grid = VoxelGrid(shape: [16, 16, 16])
            _ = try await sampler.sample(
                from: Volume(grid: grid, voxels: [Float](repeating: -1, count: grid.count)))
        }
    }

    @Test func planesAreCutsAcrossTheAxes() async {
        await checkLaw(cases: 200) { generator in
            let source = Volume.random(shape: generator.shape(), using: &generator)
            var sampler = generator.sampler(generator.scheduler()) { _, radius in MixingDenoiser(radius: radius)
            }
            sampler.alternatingPlanes = []
            let result = try await sampler.sample(from: source)
            // The same as turning the volume so that its slices lie in the axial plane.
            let permutation = sampler.plane.permutation(for: source.grid)
            let turned = source.permuted(permutation)
            sampler.plane = .axial
            let axial = try await sampler.sample(
                from: Volume(grid: VoxelGrid(shape: turned.shape), voxels: turned.voxels))
            try #require(result.permuted(permutation).bits == axial.bits)
            try #require(result.grid.matches(source.grid))
        }
    }
}
