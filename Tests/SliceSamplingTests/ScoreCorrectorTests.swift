import Foundation
import SliceSampling
import TestSupport
import Testing

struct ScoreCorrectorTests {
    @Test func theStepHasThePublishedLength() async {
        // ||lambda delta d / ||S||^2 S|| = lambda delta d / ||S||, and sqrt(d) for d in the reference scaling.
        await checkLaw(cases: 300) { generator in
            let count = generator.size(in: 1...50)
            let (x, x0, y) = (generator.floats(count), generator.floats(count), generator.floats(count))
            let scheduler = generator.scheduler()
            let t = Int.random(in: 0..<scheduler.trainingTimesteps, using: &generator)
            let score = scheduler.score(at: t)(noisy: x, target: x0, source: y)
            let norm = score.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            for scaling in ScoreCorrector.Scaling.allCases {
                let corrector = ScoreCorrector(stepSize: 0.3, scaling: scaling)
                let moved = corrector.correct(
                    x[...], estimate: x0[...], source: y[...], at: t, scheduler: scheduler)
                let length = zip(moved, x).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
                let d = scaling == .paper ? Double(count) : Double(count).squareRoot()
                let expected = 0.3 * scheduler.transitionVariance(at: t) * d / norm
                try #require(abs(length.squareRoot() - expected) < 1e-3 * expected + 1e-6)
            }
        }
    }

    @Test func theCorrectorClimbs() async {
        // The target is N(mu, sigma²), so that x_t is N(a mu + b y, a² sigma² + s²), and the score of its posterior
        // mean is the slope of that density: up to twice the way to its top, each step leads higher.
        await checkLaw(cases: 500) { generator in
            let count = generator.size(in: 1...50)
            let scheduler = generator.scheduler()
            let t = Int.random(in: 0..<scheduler.trainingTimesteps, using: &generator)
            let path = scheduler.coefficients(at: t)
            let (mean, variance) = (
                Double.random(in: -1...1, using: &generator), Double.random(in: 0...1, using: &generator)
            )
            let y = generator.floats(count)
            let spread = path.target * path.target * variance + path.variance
            let offsets = generator.floats(count, in: 0.5...2).map { Double($0) * spread.squareRoot() }
            let tops = y.map { path.target * mean + path.source * Double($0) }
            let x = zip(tops, offsets).map { Float($0 + $1) }
            let estimate = offsets.map { Float(mean + path.target * variance / spread * $0) }
            func logDensity(_ x: [Float]) -> Double {
                zip(x, tops).reduce(0) { $0 - pow(Double($1.0) - $1.1, 2) / (2 * spread) }
            }
            // The step that leads to the top is the score times a² sigma² + s².
            let score = offsets.map { -$0 / spread }
            let squaredNorm = score.reduce(0) { $0 + $1 * $1 }
            let transition = scheduler.transitionVariance(at: t)
            guard transition > 1e-12 else { return }
            let whole = spread * squaredNorm / (transition * Double(count))
            func moved(_ share: Double) -> [Float] {
                ScoreCorrector(stepSize: share * whole).correct(
                    x[...], estimate: estimate[...], source: y[...], at: t, scheduler: scheduler)
            }
            // Where the score is known to few digits, so is the way up.
            guard path.variance > 1e-3 else { return }
            for share in [0.01, 0.3, 1, 1.7] { try #require(logDensity(moved(share)) > logDensity(x)) }
            try #require(logDensity(moved(2.5)) < logDensity(x))
            try #require(abs(logDensity(moved(1))) < 0.01 * Double(count))
        }
    }

    @Test func aRuleSaysWhatIsDoneAtATimestep() {
        let late = ScoreCorrector { .init(steps: $0 < 500 ? 2 : 0, stepSize: Double($0)) }
        #expect(late.corrections(at: 500) == 0 && late.corrections(at: 499) == 2)
        let x: [Float] = [1, 2]
        let bridge = BrownianBridge(steps: 10)
        func moved(_ corrector: ScoreCorrector) -> [Float] {
            corrector.correct(x[...], estimate: [0, 0][...], source: [0, 0][...], at: 300, scheduler: bridge)
        }
        #expect(moved(late) == moved(ScoreCorrector(stepSize: 300)))
    }

    @Test func aVanishingScoreMovesNothing() {
        let zero = [Float](repeating: 0, count: 4)
        let moved = ScoreCorrector().correct(
            zero[...], estimate: zero[...], source: zero[...], at: 500, scheduler: BrownianBridge(steps: 10))
        #expect(moved == zero)
    }
}
