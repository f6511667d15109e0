import BridgeDiffusion
import TestSupport
import Testing

/// Laws of every scheduler, on random bridges.
struct GaussianPathSchedulerTests {
    private func randomBridge(_ generator: inout SeededGenerator) -> BrownianBridge {
        let trainingTimesteps = Int.random(in: 10...1000, using: &generator)
        return BrownianBridge(
            steps: Int.random(in: 3...trainingTimesteps, using: &generator),
            trainingTimesteps: trainingTimesteps,
            schedule: BrownianBridge.Schedule.allCases.randomElement(using: &generator)!,
            varianceScale: Double.random(in: 0.1...4, using: &generator),
            stepRule: StepRule.allCases.randomElement(using: &generator)!)
    }

    @Test func timestepsDescendFromTheLastToZero() async {
        await checkLaw(cases: 300) { generator in
            let bridge = randomBridge(&generator)
            try #require(bridge.timesteps.first == bridge.trainingTimesteps - 1 || bridge.timesteps == [1, 0])
            try #require(bridge.timesteps.last == 0)
            try #require(zip(bridge.timesteps, bridge.timesteps.dropFirst()).allSatisfy(>))
        }
    }

    @Test func coefficientsAreFiniteAndNoiseIsOnlyAdded() async {
        await checkLaw(cases: 50) { generator in
            let bridge = randomBridge(&generator)
            for t in 0..<bridge.trainingTimesteps {
                let path = bridge.coefficients(at: t)
                try #require(path.target > 0 && path.variance > 0 && path.source.isFinite)
                try #require(bridge.transitionVariance(at: t) > 0)
            }
        }
    }

    @Test func everyParameterizationReturnsTheTarget() async {
        await checkLaw(cases: 300) { generator in
            let bridge = randomBridge(&generator)
            let t = Int.random(in: 0..<bridge.trainingTimesteps, using: &generator)
            let x0 = generator.floats(20)
            let (source, noise) = (generator.floats(20), generator.floats(20))
            let noisy = bridge.forwardSample(at: t)(target: x0, source: source, noise: noise)
            for parameterization in Parameterization.allCases {
                let output = bridge.trainingTarget(of: parameterization, at: t)(
                    target: x0, source: source, noise: noise)
                let estimate = bridge.estimate(from: parameterization, at: t)(
                    noisy: noisy, target: output, source: source)
                // The parameterisation by noise divides rounding errors by a_t.
                let condition = parameterization == .noise ? 1 / bridge.coefficients(at: t).target : 1
                try #require(largestDifference(estimate, x0) < Float(2e-6 * condition))
            }
        }
    }

    @Test func aStepFromTheTrueEstimateLandsOnThePath() async {
        // With the true x_0 and no noise in x_t, every step leads to the mean of x_s.
        await checkLaw(cases: 300) { generator in
            let bridge = randomBridge(&generator)
            let t = Int.random(in: 1..<bridge.trainingTimesteps, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let (x0, source) = (generator.floats(20), generator.floats(20))
            let zero = [Float](repeating: 0, count: 20)
            let noisy = bridge.forwardSample(at: t)(target: x0, source: source, noise: zero)
            let next = bridge.reverseStep(from: t, to: s)(noisy: noisy, target: x0, source: source)
            let expected = bridge.forwardSample(at: s)(target: x0, source: source, noise: zero)
            try #require(largestDifference(next, expected) < 1e-5)
        }
    }

    @Test func marginalPreservingStepsKeepTheVariance() async {
        await checkLaw(cases: 300) { generator in
            let bridge = BrownianBridge(steps: 50, stepRule: .marginalPreserving)
            let t = Int.random(in: 1..<1000, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let eta = Double.random(in: 0...1, using: &generator)
            let step = bridge.reverseStep(from: t, to: s, eta: eta)
            let variance =
                step.noisy * step.noisy * bridge.coefficients(at: t).variance + step.noise * step.noise
            try #require(abs(variance / bridge.coefficients(at: s).variance - 1) < 1e-9)
        }
    }

    @Test func theReferenceRuleFallsShortByThePosteriorVariance() {
        let bridge = BrownianBridge(steps: 50)
        let step = bridge.reverseStep(from: 600, to: 500)
        let variance = step.noisy * step.noisy * bridge.coefficients(at: 600).variance
        let missing = bridge.coefficients(at: 500).variance - variance
        #expect(abs(missing - bridge.posteriorVariance(of: 500, from: 600)) < 1e-12)
    }

    @Test func theScoreIsTheGradientOfTheLogDensity() async {
        await checkLaw { generator in
            let bridge = randomBridge(&generator)
            let t = Int.random(in: 0..<bridge.trainingTimesteps, using: &generator)
            let path = bridge.coefficients(at: t)
            let (x0, y) = (
                Double.random(in: -1...1, using: &generator), Double.random(in: -1...1, using: &generator)
            )
            func logDensity(_ x: Double) -> Double {
                let offset = x - path.target * x0 - path.source * y
                return -offset * offset / (2 * path.variance)
            }
            let x = Double.random(in: -2...2, using: &generator)
            let width = 1e-4
            let slope = (logDensity(x + width) - logDensity(x - width)) / (2 * width)
            let weights = bridge.score(at: t)
            let score = weights.noisy * x + weights.target * x0 + weights.source * y
            try #require(abs(score - slope) <= 1e-5 * max(1, abs(slope)))
        }
    }
}
