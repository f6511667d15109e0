import DiffusionSampling
import TensorFiles
import TestSupport
import Testing

/// Runs that end in a step to a timestep below the last one visited.
struct ArrivalTests {
    /// Predicts the noise that leads to a tensor of ones, whatever x_t is.
    private struct Ones: Denoiser {
        let predictionType = PredictionType.sample
        func predict(
            _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning: Void, progress: (Double) -> Void
        ) async throws -> Tensor { Tensor(shape: noisy.shape, repeating: 1) }
    }

    private let path = GaussianDiffusion(schedule: .scaledLinear(from: 0.0015, through: 0.0195))

    /// x_s = a_s x_0 + sqrt(s_s² - sigma²) (x_t - a_t x_0) / s_t + sigma n, by hand, down to the arrival.
    @Test(arguments: [0.0, 0.5, 1])
    func theLastStepLeadsToTheArrival(eta: Double) async throws {
        var generator = SeededGenerator(seed: 3)
        let shape = [1, 2, 3, 4]
        let start = randomTensor(shape, &generator)
        let noises = (0..<3).map { _ in randomTensor(shape, &generator) }
        var sampler = Sampler(
            scheduler: Scheduler(path, timesteps: [900, 300, 1], arrival: 0, solver: .ddim(eta: eta)),
            denoiser: Ones())
        sampler.stepNoises = noises
        var expected = start.values.map(Double.init)
        for (index, step) in [(900, 300), (300, 1), (1, 0)].enumerated() {
            let (now, next) = (path.coefficients(at: step.0), path.coefficients(at: step.1))
            let sigma = eta * path.posteriorVariance(of: step.1, from: step.0).squareRoot()
            let kept = (next.variance - sigma * sigma).squareRoot()
            for (place, x) in expected.enumerated() {
                expected[place] =
                    next.target + kept * (x - now.target) / now.variance.squareRoot()
                    + sigma * Double(noises[index].values[place])
            }
        }
        var states: [SamplingState<Tensor>] = []
        for try await state in try sampler.states(from: start, conditioning: (), startingAt: start) {
            states.append(state)
        }
        #expect(states.count == 3 && states[2].isComplete && states[2].estimate.values.allSatisfy { $0 == 1 })
        #expect(relativeL2(states[2].noisy.values, expected.map(Float.init)) < 1e-6)
        #expect(try await sampler.sample(from: start, conditioning: (), startingAt: start) == states[2].noisy)
        // Resumed, and not by a run that ends elsewhere or adds other noise.
        for try await state in try sampler.states(
            from: start, conditioning: (), startingAt: start, resuming: states[0]) where state.isComplete
        {
            #expect(state.noisy == states[2].noisy)
        }
        var other = sampler
        other.stepNoises = nil
        #expect(throws: SamplingStateError.self) {
            try other.states(from: start, conditioning: (), startingAt: start, resuming: states[0])
        }
        other = sampler
        other.scheduler = Scheduler(path, timesteps: [900, 300, 1], solver: .ddim(eta: eta))
        #expect(throws: SamplingStateError.self) {
            try other.states(from: start, conditioning: (), startingAt: start, resuming: states[0])
        }
    }

    @Test func aRunFromTheMiddleArrivesToo() {
        let scheduler = Scheduler(path, timesteps: [900, 300, 1], arrival: 0).starting(at: 500)
        #expect(scheduler.timesteps == [500, 300, 1] && scheduler.arrival == 0 && scheduler.stepCount == 3)
    }
}
