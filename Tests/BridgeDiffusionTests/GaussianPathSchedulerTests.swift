import BridgeDiffusion
import Foundation
import TestSupport
import Testing

/// Laws of every scheduler, on all processes with random settings.
struct GaussianPathSchedulerTests {
    @Test func timestepsDescendWithinTheProcess() async {
        await checkLaw(cases: 300) { generator in
            let scheduler = generator.scheduler(steps: 1...60)
            try #require(scheduler.timesteps[0] < scheduler.trainingTimesteps && scheduler.timesteps.last! >= 0)
            try #require(zip(scheduler.timesteps, scheduler.timesteps.dropFirst()).allSatisfy(>))
        }
    }

    @Test func coefficientsAreFiniteAndNoiseIsOnlyAdded() async {
        await checkLaw(cases: 100) { generator in
            let scheduler = generator.scheduler()
            let last = scheduler.trainingTimesteps - 1
            for t in 0...last {
                let path = scheduler.coefficients(at: t)
                try #require(path.target > 0 || t == last && path.target == 0)
                try #require(path.variance > 0 && path.source.isFinite)
                guard t > 0 else { continue }
                let earlier = scheduler.coefficients(at: t - 1)
                let carried = earlier.variance * (path.target * path.target) / (earlier.target * earlier.target)
                try #require(path.variance >= carried * (1 - 1e-12))
                try #require(scheduler.transitionVariance(at: t) >= 0)
            }
        }
    }

    @Test func theVelocityIsIndependentOfThePath() async {
        await checkLaw(cases: 100) { generator in
            let scheduler = generator.scheduler()
            for t in 0..<scheduler.trainingTimesteps {
                let (path, velocity) = (scheduler.coefficients(at: t), scheduler.velocity(at: t))
                let determinant = velocity.noise * path.target - velocity.target * path.variance.squareRoot()
                try #require(abs(determinant) > 1e-9)
            }
        }
    }

    @Test func theVelocityIsTheSlopeOfThePath() async {
        // In the process's own time: the shares of target and source for schedulers, u, and the angle of a diffusion.
        await checkLaw(cases: 200) { generator in
            let process = PathProcess.allCases.randomElement(using: &generator)!
            let all = 20_000
            let scheduler = process.scheduler(timesteps: [0], of: all)
            let t = Int.random(in: all / 10..<all - all / 10, using: &generator)
            let (before, after) = (scheduler.coefficients(at: t - 1), scheduler.coefficients(at: t + 1))
            func time(_ path: PathCoefficients) -> Double {
                process == .diffusion ? acos(path.target) : 1 - path.target
            }
            let span = time(after) - time(before)
            let velocity = scheduler.velocity(at: t)
            let slopes = [
                (after.target - before.target, velocity.target),
                (after.source - before.source, velocity.source),
                (after.variance.squareRoot() - before.variance.squareRoot(), velocity.noise),
            ]
            // At the end of a diffusion x_t is noise to the last digit, and its time stands still.
            guard abs(span) > 1e-7 else { return }
            for (change, slope) in slopes {
                try #require(abs(change / span - slope) < 1e-3 * max(1, abs(slope)))
            }
        }
    }

    @Test func everyParameterizationReturnsTheTarget() async {
        await checkLaw(cases: 300) { generator in
            let scheduler = generator.scheduler()
            let t = Int.random(in: 0..<scheduler.trainingTimesteps, using: &generator)
            let x0 = generator.floats(20)
            let (source, noise) = (generator.floats(20), generator.floats(20))
            let noisy = scheduler.forwardSample(at: t)(target: x0, source: source, noise: noise)
            for parameterization in Parameterization.allCases {
                let output = scheduler.trainingTarget(of: parameterization, at: t)(
                    target: x0, source: source, noise: noise)
                // Where x_t says nothing of x_0, the noise in it does not either.
                if parameterization == .noise, scheduler.coefficients(at: t).target == 0 { continue }
                let weights = scheduler.estimate(from: parameterization, at: t)
                let estimate = weights(noisy: noisy, target: output, source: source)
                // Rounding errors reach the estimate as large as the weights are.
                let condition = 1 + abs(weights.noisy) + abs(weights.target) + abs(weights.source)
                try #require(largestDifference(estimate, x0) < Float(1e-6 * condition))
            }
        }
    }

    @Test func aStepFromTheTrueEstimateLandsOnThePath() async {
        // With the true x_0 and no noise in x_t, every step leads to the mean of x_s.
        await checkLaw(cases: 300) { generator in
            let scheduler = generator.scheduler()
            let t = Int.random(in: 1..<scheduler.trainingTimesteps, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let (x0, source) = (generator.floats(20), generator.floats(20))
            let zero = [Float](repeating: 0, count: 20)
            let noisy = scheduler.forwardSample(at: t)(target: x0, source: source, noise: zero)
            let next = scheduler.reverseStep(from: t, to: s)(noisy: noisy, target: x0, source: source)
            let expected = scheduler.forwardSample(at: s)(target: x0, source: source, noise: zero)
            try #require(largestDifference(next, expected) < 1e-5)
        }
    }

    @Test func aStepKeepsTheVarianceOrFallsShortByTheRule() async {
        await checkLaw(cases: 300) { generator in
            let scheduler = generator.scheduler()
            let t = Int.random(in: 1..<scheduler.trainingTimesteps, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let eta = Double.random(in: 0...1, using: &generator)
            let step = scheduler.reverseStep(from: t, to: s, eta: eta)
            let variance =
                step.noisy * step.noisy * scheduler.coefficients(at: t).variance + step.noise * step.noise
            let missing =
                scheduler.stepRule == .reference
                ? (1 - eta * eta) * scheduler.posteriorVariance(of: s, from: t) : 0
            let expected = scheduler.coefficients(at: s).variance - missing
            try #require(abs(variance - expected) < 1e-9 * scheduler.coefficients(at: s).variance)
        }
    }

    @Test func theScoreIsTheGradientOfTheLogDensity() async {
        await checkLaw { generator in
            let scheduler = generator.scheduler()
            let t = Int.random(in: 0..<scheduler.trainingTimesteps, using: &generator)
            let path = scheduler.coefficients(at: t)
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
            let weights = scheduler.score(at: t)
            let score = weights.noisy * x + weights.target * x0 + weights.source * y
            try #require(abs(score - slope) <= 1e-5 * max(1, abs(slope)))
        }
    }
}
