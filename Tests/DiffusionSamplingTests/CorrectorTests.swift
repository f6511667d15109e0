import DiffusionSampling
import Foundation
import TensorFiles
import TestSupport
import Testing

struct CorrectorTests {
    @Test func theStepHasThePublishedLength() async {
        // ||lambda delta n / ||S||^2 S|| = lambda delta n / ||S||, with n = d or sqrt(d) and ||S|| = ||r|| / s².
        await checkLaw(cases: 300) { generator in
            let path = generator.path()
            let t = Int.random(in: 0..<path.trainingTimesteps, using: &generator)
            let count = generator.size(in: 1...5000)
            let squaredResidual = Double.random(in: 1e-3...10, using: &generator)
            let score = squaredResidual.squareRoot() / path.coefficients(at: t).variance
            for scaling in ScoreCorrector.Scaling.allCases {
                let corrector = ScoreCorrector(stepSize: 0.3, scaling: scaling, isBounded: false)
                let gain = corrector.gain(squaredResidual: squaredResidual, count: count, at: t, on: path)
                let n = scaling == .paper ? Double(count) : Double(count).squareRoot()
                let expected = 0.3 * path.transitionVariance(at: t) * n / score
                try #require(
                    abs(gain * squaredResidual.squareRoot() - expected) <= 1e-9 * expected)
            }
        }
    }

    /// A denoiser that knows x_0: x_t with and without corrections have the same estimate.
    private struct Oracle: Denoiser {
        let target: Tensor
        let predictionType = PredictionType.sample

        func predict(
            _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning: Void, progress: (Double) -> Void
        ) async throws -> Tensor { target }
    }

    @Test func noBoundedCorrectionGoesPastTheMeanOfThePath() async {
        await checkLaw(cases: 300) { generator in
            let shape = [generator.size(in: 1...4), generator.size(in: 1...3), generator.size(in: 1...5)]
            func tensor() -> Tensor { Tensor(shape: shape, values: generator.floats(shape.reduce(1, *))) }
            let (source, target) = (tensor(), tensor())
            let scheduler = generator.scheduler(steps: 2...5)
            var sampler = Sampler(
                scheduler: scheduler, denoiser: Oracle(target: target),
                noise: NoiseField(seed: generator.next()))
            let stepSize = pow(10, Double.random(in: -3...4, using: &generator))
            let corrector = ScoreCorrector(
                stepSize: stepSize, scaling: ScoreCorrector.Scaling.allCases.randomElement(using: &generator)!)
            func residual() async throws -> [Float] {
                var states = try sampler.states(from: source, conditioning: ()).makeAsyncIterator()
                let noisy = try #require(await states.next()).noisy
                return scheduler.path.residual(at: scheduler.timesteps[1])(
                    noisy: noisy.values, target: target.values, source: source.values)
            }
            let before = try await residual()
            sampler.corrector = corrector
            let after = try await residual()
            for group in 0..<shape[0] {
                let values = group * before.count / shape[0]..<(group + 1) * before.count / shape[0]
                let squares = before[values].reduce(0) { $0 + $1 * $1 }
                let product = zip(before[values], after[values]).reduce(0) { $0 + $1.0 * $1.1 }
                // Between the mean and where it was, but for rounding.
                try #require(product >= -1e-4 * squares - 1e-9 && product <= squares * (1 + 1e-4) + 1e-9)
            }
        }
    }

    @Test func theCorrectorClimbs() async {
        // The target is N(mu, sigma²), so that x_t is N(a mu + b y, a² sigma² + s²), and the score of its posterior mean
        // is the slope of that density: up to twice the way to its top, each step leads higher.
        await checkLaw(cases: 500) { generator in
            let count = generator.size(in: 1...50)
            let path = generator.path()
            let t = Int.random(in: 0..<path.trainingTimesteps, using: &generator)
            let now = path.coefficients(at: t)
            let variance = Double.random(in: 0...1, using: &generator)
            let spread = now.target * now.target * variance + now.variance
            let offsets = generator.floats(count, in: 0.5...2).map { Double($0) * spread.squareRoot() }
            // x_t - a E[x_0 | x_t] - b y, where x_t lies `offset` from the top of its density.
            let residual = offsets.map { $0 * now.variance / spread }
            let squared = residual.reduce(0) { $0 + $1 * $1 }
            guard path.transitionVariance(at: t) > 1e-12 else { return }
            func height(_ share: Double) -> Double {
                // The step to the top is the score times a² sigma² + s²: a gain of spread / s².
                let unit = ScoreCorrector(stepSize: 1, scaling: .paper, isBounded: false)
                    .gain(squaredResidual: squared, count: count, at: t, on: path)
                let corrector = ScoreCorrector(
                    stepSize: share * spread / now.variance / unit, scaling: .paper, isBounded: false)
                let gain = corrector.gain(squaredResidual: squared, count: count, at: t, on: path)
                return zip(offsets, residual).reduce(0) { $0 - pow($1.0 - gain * $1.1, 2) / (2 * spread) }
            }
            for share in [0.01, 0.3, 1, 1.7] { try #require(height(share) > height(0)) }
            try #require(height(2.5) < height(0))
            try #require(abs(height(1)) < 1e-9 * Double(count))
        }
    }

    @Test func aRuleSaysWhatIsDoneAtATimestep() {
        let late = ScoreCorrector(isBounded: false) { .init(steps: $0 < 500 ? 2 : 0, stepSize: Double($0)) }
        #expect(late.iterations(at: 500) == 0 && late.iterations(at: 499) == 2)
        let bridge = BrownianBridge()
        func gain(_ corrector: ScoreCorrector) -> Double {
            corrector.gain(squaredResidual: 5, count: 2, at: 300, on: bridge)
        }
        #expect(gain(late) == gain(ScoreCorrector(stepSize: 300, isBounded: false)))
        #expect(gain(ScoreCorrector(stepSize: 1e9)) == 1)
    }
}
