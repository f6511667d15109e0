import DiffusionSampling
import Foundation
import Synchronization
import TensorFiles
import TestSupport
import Testing

/// A 3-D latent is sampled by the same loop as slices are.
struct LatentSamplingTests {
    static let shape = [1, 4, 12, 12, 9]

    /// A nonlinear function of a value, its neighbour, the source and the timestep.
    struct Mixing: Denoiser {
        var predictionType = PredictionType.noise

        func predict(
            _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning shift: Float,
            progress: (Double) -> Void
        ) async throws -> Tensor {
            progress(0.5)
            let values = noisy.values.indices.map { index -> Float in
                let (x, y) = (noisy.values[index], source.values[index])
                let neighbour = noisy.values[(index + 1) % noisy.values.count]
                return 0.8 * x - 0.1 * y + 0.05 * neighbour * y + shift * Float(timestep) * 1e-4
            }
            return Tensor(shape: noisy.shape, values: values)
        }
    }

    static func sampler() -> Sampler<Mixing> {
        Sampler(
            scheduler: Scheduler(GaussianDiffusion(schedule: .scaledLinear()), steps: 12), denoiser: Mixing(),
            corrector: ScoreCorrector(), clip: -3...3, noise: NoiseField(seed: 5))
    }

    static func source() -> Tensor {
        var generator = SeededGenerator(seed: 1)
        return Tensor(shape: shape, values: generator.floats(shape.reduce(1, *)))
    }

    @Test func aLatentIsSampledWithDDIMFromNoise() async throws {
        let sampler = Self.sampler()
        let result = try await sampler.sample(from: Self.source(), conditioning: 1)
        #expect(result.shape == Self.shape && result.values.allSatisfy { abs($0) <= 3 })
        // The first evaluation sees the field's noise itself.
        let noise = (0..<4 * 12).flatMap {
            sampler.noise.slice($0, rows: 12, columns: 9, timestep: 1000)
        }
        struct First: Error {}
        struct Probe: Denoiser {
            let expected: [Float]
            let predictionType = PredictionType.noise
            func predict(
                _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning: Void,
                progress: (Double) -> Void
            ) async throws -> Tensor {
                #expect(noisy.values == expected)
                throw First()
            }
        }
        await #expect(throws: First.self) {
            try await Sampler(
                scheduler: sampler.scheduler, denoiser: Probe(expected: noise), noise: sampler.noise
            )
            .sample(from: Self.source(), conditioning: ())
        }
    }

    @Test func aStateIsResumedInAnotherProcessToTheSameBits() async throws {
        try await withTemporaryFolder { folder in
            let (state, result) = (folder.appending(path: "state").path, folder.appending(path: "result").path)
            var written = false
            var expected: Tensor?
            for try await step in try Self.sampler().states(from: Self.source(), conditioning: 1) {
                if step.stepsMade == 5 {
                    try step.write(to: state)
                    written = true
                }
                expected = step.estimate
            }
            #expect(written)
            await #expect(processExitsWith: .success) { [state = state as String, result = result as String] in
                let saved = try SamplingState<Tensor>(contentsOf: state)
                let rest = try LatentSamplingTests.sampler().states(
                    from: LatentSamplingTests.source(), conditioning: 1, resuming: saved)
                for try await step in rest where step.isComplete {
                    let bits = step.estimate.values.map(\.bitPattern)
                    try bits.withUnsafeBytes { Data($0) }.write(to: URL(filePath: result))
                }
            }
            let bits = try #require(expected).values.map(\.bitPattern)
            #expect(try Data(contentsOf: URL(filePath: result)) == bits.withUnsafeBytes { Data($0) })
        }
    }

    /// Throws at each of the evaluations that it is told to, once.
    final class Failing: Denoiser {
        struct Failure: Error {}
        let predictionType = PredictionType.noise
        private let calls = Counter()
        private let failures: Set<Int>

        init(failures: Set<Int>) { self.failures = failures }

        func predict(
            _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning: Float, progress: (Double) -> Void
        ) async throws -> Tensor {
            if failures.contains(calls.next()) { throw Failure() }
            return try await Mixing().predict(
                noisy, source: source, at: timestep, conditioning: conditioning, progress: progress)
        }
    }

    @Test func aRunThatThrewAndIsAskedAgainNeitherStepsTwiceNorSkips() async {
        await checkLaw(cases: 100) { generator in
            let corrections = generator.size(in: 0...2)
            let scheduler = generator.scheduler(steps: 2...6)
            let source = Tensor(shape: [2, 1, 3, 4], values: generator.floats(24))
            // Where sampling starts at a_t = 0, noise carries no information about x_0.
            guard scheduler.timesteps.allSatisfy({ scheduler.path.coefficients(at: $0).target > 0 }) else {
                return
            }
            func states(_ denoiser: Failing) throws -> SamplingStates<Failing> {
                try Sampler(
                    scheduler: scheduler, denoiser: denoiser,
                    corrector: corrections > 0 ? ScoreCorrector(steps: corrections) : nil
                ).states(from: source, conditioning: 1)
            }
            var expected: [[UInt32]] = []
            for try await state in try states(Failing(failures: [])) {
                expected.append(state.noisy.values.map(\.bitPattern))
            }
            let evaluations = scheduler.timesteps.count * (1 + corrections) - corrections
            let failures = Set(
                (0..<generator.size(in: 1...4)).map { _ in Int.random(in: 0..<evaluations, using: &generator) })
            var iterator = try states(Failing(failures: failures)).makeAsyncIterator()
            var (found, thrown): ([[UInt32]], Int) = ([], 0)
            while true {
                do {
                    guard let state = try await iterator.next() else { break }
                    found.append(state.noisy.values.map(\.bitPattern))
                } catch is Failing.Failure { thrown += 1 }
                try #require(thrown <= failures.count + 1 && found.count <= expected.count)
            }
            try #require(thrown >= 1 && found == expected)
        }
    }

    @Test func clippedEstimatesStayInTheRange() async {
        await checkLaw(cases: 100) { generator in
            let scheduler = generator.scheduler(steps: 2...6)
            let source = Tensor(shape: [2, 1, 3, 4], values: generator.floats(24))
            let sampler = Sampler(
                scheduler: scheduler, denoiser: Mixing(predictionType: .velocity), corrector: ScoreCorrector(),
                clip: -0.3...0.2)
            for try await state in try sampler.states(from: source, conditioning: 1) {
                try #require(state.estimate.values.allSatisfy { (-0.3...0.2).contains($0) })
            }
        }
    }

    @Test func aRunMayBeginInTheMiddleOfAPath() async {
        await checkLaw(cases: 100) { generator in
            let whole = generator.scheduler(steps: 4...8)
            let source = Tensor(shape: [1, 2, 3, 4], values: generator.floats(24))
            let sampler = Sampler(scheduler: whole, denoiser: Mixing(predictionType: .velocity))
            // Where single steps need no history, the rest of a run from its own x_t is the run's own end.
            guard whole.solver.history == 0 else { return }
            var states: [SamplingState<Tensor>] = []
            for try await state in try sampler.states(from: source, conditioning: 1) { states.append(state) }
            let middle = states.dropLast().randomElement(using: &generator)!
            var rest = sampler
            rest.scheduler = whole.starting(at: try #require(middle.timestep))
            let result = try await rest.sample(from: source, conditioning: 1, startingAt: middle.noisy)
            try #require(result == states.last!.estimate)
            // At the end of a path the forward sample is almost the image.
            let sample = sampler.forwardSample(of: source, source: source, at: 0)
            let path = whole.path.coefficients(at: 0)
            let error = abs(path.target + path.source - 1) + 6 * path.variance.squareRoot()
            try #require(Double(largestDifference(sample.values, source.values)) <= error + 1e-6)
        }
    }

    @Test func predictionsThatAreNotFiniteAreNamed() async {
        struct Broken: Denoiser {
            let predictionType = PredictionType.sample
            func predict(
                _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning: Void,
                progress: (Double) -> Void
            ) async throws -> Tensor {
                var prediction = source
                if timestep < 500 { prediction.values[3] = .nan }
                return prediction
            }
        }
        let sampler = Sampler(
            scheduler: Scheduler(BrownianBridge(), timesteps: [999, 300, 0]), denoiser: Broken())
        await #expect {
            try await sampler.sample(from: Self.source(), conditioning: ())
        } throws: { error in
            guard case SamplingError.notFinite(timestep: 300) = error else { return false }
            return error.localizedDescription == "\(error)"
        }
    }
}

/// Counts from several tasks at once.
final class Counter: Sendable {
    private let stored = Mutex(0)

    /// The count before this call.
    func next() -> Int {
        stored.withLock {
            $0 += 1
            return $0 - 1
        }
    }
}
