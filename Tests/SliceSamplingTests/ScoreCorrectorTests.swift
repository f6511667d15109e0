import SliceSampling
import TestSupport
import Testing

struct ScoreCorrectorTests {
    @Test func theStepHasThePublishedLength() async {
        // ||lambda delta d / ||S||^2 S|| = lambda delta d / ||S||, and sqrt(d) for d in the reference scaling.
        await checkLaw { generator in
            let count = Int.random(in: 1...50, using: &generator)
            let (x, x0, y) = (generator.floats(count), generator.floats(count), generator.floats(count))
            let bridge = BrownianBridge(steps: 10)
            let t = Int.random(in: 0..<1000, using: &generator)
            let score = bridge.score(at: t)(noisy: x, target: x0, source: y)
            let norm = score.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            for scaling in ScoreCorrector.Scaling.allCases {
                let corrector = ScoreCorrector(stepSize: 0.3, scaling: scaling)
                let moved = corrector.correct(
                    x[...], estimate: x0[...], source: y[...], at: t, scheduler: bridge)
                let length = zip(moved, x).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
                let d = scaling == .paper ? Double(count) : Double(count).squareRoot()
                let expected = 0.3 * bridge.transitionVariance(at: t) * d / norm
                try #require(abs(length.squareRoot() - expected) < 1e-3 * expected + 1e-6)
            }
        }
    }

    @Test func aVanishingScoreMovesNothing() {
        let zero = [Float](repeating: 0, count: 4)
        let moved = ScoreCorrector().correct(
            zero[...], estimate: zero[...], source: zero[...], at: 500, scheduler: BrownianBridge(steps: 10))
        #expect(moved == zero)
    }
}
