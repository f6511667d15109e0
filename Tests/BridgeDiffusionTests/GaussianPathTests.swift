import BridgeDiffusion
import Foundation
import TestSupport
import Testing

/// Laws of every path and solver, with random settings.
struct GaussianPathTests {
    @Test func timestepsDescendWithinTheProcess() async {
        await checkLaw(cases: 300) { generator in
            let scheduler = generator.scheduler(steps: 1...60)
            try #require(
                scheduler.timesteps[0] < scheduler.path.trainingTimesteps && scheduler.timesteps.last! >= 0)
            try #require(zip(scheduler.timesteps, scheduler.timesteps.dropFirst()).allSatisfy(>))
        }
    }

    @Test func coefficientsAreFiniteAndNoiseIsOnlyAdded() async {
        await checkLaw(cases: 100) { generator in
            let path = generator.path()
            let last = path.trainingTimesteps - 1
            for t in 0...last {
                let now = path.coefficients(at: t)
                try #require(now.target > 0 || t == last && now.target == 0)
                try #require(now.variance > 0 && now.source.isFinite)
                guard t > 0 else { continue }
                let earlier = path.coefficients(at: t - 1)
                let carried = earlier.variance * (now.target * now.target) / (earlier.target * earlier.target)
                try #require(now.variance >= carried * (1 - 1e-12))
                try #require(path.transitionVariance(at: t) >= 0)
            }
        }
    }

    @Test func theVelocityIsIndependentOfThePath() async {
        await checkLaw(cases: 100) { generator in
            let path = generator.path()
            for t in 0..<path.trainingTimesteps {
                let (now, velocity) = (path.coefficients(at: t), path.velocity(at: t))
                let determinant = velocity.noise * now.target - velocity.target * now.variance.squareRoot()
                try #require(abs(determinant) > 1e-9)
            }
        }
    }

    @Test func theVelocityIsTheSlopeOfThePath() async {
        // In the process's own time: the shares of target and source for bridges, u, and the angle of a diffusion.
        await checkLaw(cases: 200) { generator in
            let process = PathProcess.allCases.randomElement(using: &generator)!
            let all = 20_000
            let path = process.path(of: all)
            let t = Int.random(in: all / 10..<all - all / 10, using: &generator)
            let (before, after) = (path.coefficients(at: t - 1), path.coefficients(at: t + 1))
            func time(_ path: PathCoefficients) -> Double {
                process == .diffusion ? acos(path.target) : 1 - path.target
            }
            let span = time(after) - time(before)
            let velocity = path.velocity(at: t)
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

    @Test func everyPredictionTypeGivesTheTarget() async {
        await checkLaw(cases: 300) { generator in
            let path = generator.path()
            let t = Int.random(in: 0..<path.trainingTimesteps, using: &generator)
            let x0 = generator.floats(20)
            let (source, noise) = (generator.floats(20), generator.floats(20))
            let noisy = path.forwardSample(at: t)(target: x0, source: source, noise: noise)
            for type in PredictionType.allCases {
                let output = path.trainingTarget(of: type, at: t)(
                    target: x0, source: source, noise: noise)
                // Where x_t says nothing of x_0, the noise in it does not either.
                if type == .noise, path.coefficients(at: t).target == 0 { continue }
                let weights = path.estimate(from: type, at: t)
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
            let (path, solver) = (generator.path(), generator.solver())
            let timesteps = (0..<path.trainingTimesteps).shuffled(using: &generator).prefix(3).sorted(by: >)
            let (before, t, s) = (timesteps[0], timesteps[1], timesteps[2])
            let step = solver.step(
                from: t, to: s, after: Bool.random(using: &generator) ? [before] : [], on: path)
            try #require(step.estimates.count <= 1 + solver.history)
            let (now, next) = (path.coefficients(at: t), path.coefficients(at: s))
            let estimates = step.estimates.reduce(0, +)
            try #require(abs(step.noisy * now.target + estimates - next.target) < 1e-9 * (1 + abs(estimates)))
            try #require(abs(step.noisy * now.source + step.source - next.source) < 1e-9)
        }
    }

    @Test func aStepKeepsTheVarianceOrFallsShortByTheRule() async {
        await checkLaw(cases: 300) { generator in
            let path = generator.path()
            let t = Int.random(in: 1..<path.trainingTimesteps, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let eta = Double.random(in: 0...1, using: &generator)
            for (solver, missing) in [
                (PublishedSolver(eta: eta) as any Solver, 1 - eta * eta), (DDIMSolver(eta: eta), 0),
            ] {
                let step = solver.step(from: t, to: s, after: [], on: path)
                let variance =
                    step.noisy * step.noisy * path.coefficients(at: t).variance + step.noise * step.noise
                let next = path.coefficients(at: s).variance
                let expected = next - missing * path.posteriorVariance(of: s, from: t)
                try #require(abs(variance - expected) < 1e-9 * next)
            }
        }
    }

    @Test func theScoreIsTheGradientOfTheLogDensity() async {
        await checkLaw { generator in
            let path = generator.path()
            let t = Int.random(in: 0..<path.trainingTimesteps, using: &generator)
            let now = path.coefficients(at: t)
            let (x0, y) = (
                Double.random(in: -1...1, using: &generator), Double.random(in: -1...1, using: &generator)
            )
            func logDensity(_ x: Double) -> Double {
                let offset = x - now.target * x0 - now.source * y
                return -offset * offset / (2 * now.variance)
            }
            let x = Double.random(in: -2...2, using: &generator)
            let width = 1e-4
            let slope = (logDensity(x + width) - logDensity(x - width)) / (2 * width)
            let weights = path.residual(at: t)
            let score = -(weights.noisy * x + weights.target * x0 + weights.source * y) / now.variance
            try #require(abs(score - slope) <= 1e-5 * max(1, abs(slope)))
        }
    }
}

/// The path of one step.
struct DirectMappingTests {
    @Test func everyPredictionTypeWithoutNoiseGivesTheTarget() async {
        await checkLaw { generator in
            let (x0, source, noise) = (generator.floats(9), generator.floats(9), generator.floats(9))
            let path = DirectMapping()
            let noisy = path.forwardSample(at: 0)(target: x0, source: source, noise: noise)
            try #require(noisy == source)
            for type in [PredictionType.sample, .gradient, .difference] {
                let output = path.trainingTarget(of: type, at: 0)(target: x0, source: source, noise: noise)
                let estimate = path.estimate(from: type, at: 0)(noisy: noisy, target: output, source: source)
                try #require(largestDifference(estimate, x0) < 1e-6)
            }
        }
    }

    @Test func itIsVisitedOnceWhateverTheSteps() {
        for steps in [1, 3, 50] {
            let scheduler = Scheduler(DirectMapping(), steps: steps)
            #expect(scheduler.timesteps == [0] && scheduler.stepCount == 0)
        }
    }
}

/// Paths as files hold them.
struct StoredPathTests {
    @Test func aPathIsReadAsItWasStored() async {
        await checkLaw(cases: 200) { generator in
            let path: any StorablePath =
                Int.random(in: 0..<5, using: &generator) == 0 ? DirectMapping() : generator.path()
            let json = try JSONEncoder().encode(StoredPath(path))
            let read = try JSONDecoder().decode(StoredPath.self, from: json)
            try #require(try read == StoredPath(path))
            let again = try read.path()
            try #require(type(of: again) == type(of: path))
            for t in 0..<path.trainingTimesteps {
                try #require(again.coefficients(at: t) == path.coefficients(at: t))
                try #require(again.velocity(at: t) == path.velocity(at: t))
            }
        }
    }

    @Test func missingFieldsHaveThePublishedValues() throws {
        for (json, path) in [
            ("{}", BrownianBridge() as any StorablePath), (#"{"kind": "diffusion"}"#, GaussianDiffusion()),
            (
                #"{"kind": "diffusion", "schedule": "scaled_linear"}"#,
                GaussianDiffusion(schedule: .scaledLinear())
            ),
            (#"{"kind": "symmetric_bridge"}"#, SymmetricBridge()),
            // As versions before 0.2 wrote every process.
            (
                #"{"kind": "rectified_flow", "schedule": "linear", "timesteps": 500, "variance_scale": 1}"#,
                RectifiedFlow(trainingTimesteps: 500)
            ),
        ] {
            let stored = try JSONDecoder().decode(StoredPath.self, from: Data(json.utf8))
            #expect(try stored == StoredPath(path), "\(json)")
        }
    }

    @Test func aPathOfOnesOwnIsReadWhereItsTypeIsGiven() throws {
        let stored = try StoredPath(HalfBridge(trainingTimesteps: 70))
        let read = try JSONDecoder().decode(StoredPath.self, from: JSONEncoder().encode(stored))
        let error = #expect(throws: StoredPathError.self) { try read.path() }
        #expect(error?.field == "kind" && error?.description.contains("half_bridge") == true)
        #expect(try read.path(among: [HalfBridge.self]).trainingTimesteps == 70)
        var resolved = read
        try resolved.resolve(among: [HalfBridge.self])
        #expect(try resolved.path().trainingTimesteps == 70)
        #expect(resolved == stored)
    }

    private struct HalfBridge: StorablePath {
        static let kind = "half_bridge"
        var trainingTimesteps: Int
        var start: SamplingStart { .source }
        func coefficients(at t: Int) -> PathCoefficients {
            PathCoefficients(target: 0.5, source: 0.5, variance: 1)
        }
        func velocity(at t: Int) -> PathCombination { PathCombination(target: -1, source: 1) }
    }
}
