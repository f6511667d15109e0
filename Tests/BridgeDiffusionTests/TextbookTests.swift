import BridgeDiffusion
import Foundation
import TestSupport
import Testing

/// Each process against its paper's own formulas, written out here.
struct TextbookTests {
    private func agrees(_ value: Double, _ expected: Double, within tolerance: Double = 1e-9) -> Bool {
        abs(value - expected) <= tolerance * max(1e-3, abs(expected))
    }

    private func diffusionSchedule(_ generator: inout SeededGenerator) -> GaussianDiffusion.Schedule {
        [.linear(), .scaledLinear(), .cosine].randomElement(using: &generator)!
    }

    @Test(arguments: [
        (
            GaussianDiffusion.Schedule.linear(),
            [0.9999, 0.5214230306185275, 0.07779665836502389, 4.035829765375676e-05]
        ),
        (.scaledLinear(), [0.99915, 0.6737926252333215, 0.2763326838229746, 0.004660098513077238]),
        (.cosine, [0.999958715775178, 0.8458879864968832, 0.49228517244880304, 2.4287669070348567e-09]),
    ])
    func alphaBarIsTheProductOfOneLessBeta(schedule: GaussianDiffusion.Schedule, expected: [Double]) {
        let diffusion = GaussianDiffusion(schedule: schedule)
        for (t, alphaBar) in zip([0, 250, 500, 999], expected) {
            let path = diffusion.coefficients(at: t)
            #expect(abs(path.target * path.target / alphaBar - 1) < 1e-9)
            #expect(agrees(path.variance, 1 - alphaBar) && path.source == 0)
        }
    }

    @Test func anAncestralStepIsThatOfDDPM() async {
        // arXiv 2006.11239, eq. 7, for neighbouring timesteps.
        await checkLaw(cases: 300) { generator in
            let diffusion = GaussianDiffusion(schedule: diffusionSchedule(&generator))
            let t = Int.random(in: 1..<1000, using: &generator)
            func alphaBar(_ t: Int) -> Double { 1 - diffusion.coefficients(at: t).variance }
            let beta = 1 - alphaBar(t) / alphaBar(t - 1)
            let step = DDIMSolver.ancestral.step(from: t, to: t - 1, after: [], on: diffusion)
            // alphabar is taken from 1 - s² here, which loses digits where it is small.
            let tolerance = 1e-13 / alphaBar(t) + 1e-9
            try #require(
                agrees(
                    step.estimates[0], alphaBar(t - 1).squareRoot() * beta / (1 - alphaBar(t)),
                    within: tolerance))
            try #require(
                agrees(
                    step.noisy, (1 - beta).squareRoot() * (1 - alphaBar(t - 1)) / (1 - alphaBar(t)),
                    within: tolerance))
            let variance = (1 - alphaBar(t - 1)) / (1 - alphaBar(t)) * beta
            try #require(agrees(step.noise * step.noise, variance, within: tolerance))
        }
    }

    @Test func anyStepIsThatOfDDIM() async {
        // arXiv 2010.02502, eq. 12 and 16.
        await checkLaw(cases: 300) { generator in
            let diffusion = GaussianDiffusion(schedule: diffusionSchedule(&generator))
            let t = Int.random(in: 1..<990, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let eta = Double.random(in: 0...1, using: &generator)
            let (x, x0) = (
                Double.random(in: -2...2, using: &generator), Double.random(in: -1...1, using: &generator)
            )
            func alphaBar(_ t: Int) -> Double { pow(diffusion.coefficients(at: t).target, 2) }
            let sigma =
                eta * ((1 - alphaBar(s)) / (1 - alphaBar(t))).squareRoot()
                * (1 - alphaBar(t) / alphaBar(s)).squareRoot()
            let noise = (x - alphaBar(t).squareRoot() * x0) / (1 - alphaBar(t)).squareRoot()
            let expected =
                alphaBar(s).squareRoot() * x0 + (1 - alphaBar(s) - sigma * sigma).squareRoot() * noise
            let step = DDIMSolver(eta: eta).step(from: t, to: s, after: [], on: diffusion)
            try #require(agrees(step.noisy * x + step.estimates[0] * x0, expected, within: 1e-7))
            try #require(agrees(step.noise, sigma, within: 1e-7))
        }
    }

    @Test func theSymmetricBridgeHasThePublishedCoefficients() async {
        // arXiv 2302.05872, eq. 11 and proposition 3.3, and section 4.1 for beta.
        await checkLaw(cases: 50) { generator in
            let all = Int.random(in: 3...1000, using: &generator)
            let betaMax = Double.random(in: 0.2...1, using: &generator)
            let bridge = SymmetricBridge(trainingTimesteps: all, betaMax: betaMax)
            let betas = (0..<all).map { t -> Double in
                let (low, high) = ((0.1 / Double(all)).squareRoot(), (betaMax / Double(all)).squareRoot())
                return pow(low + (high - low) * Double(min(t, all - 1 - t)) / Double(all - 1), 2)
            }
            for t in 0..<all {
                let forward = betas[...t].reduce(0, +)
                let backward = betas[t...].reduce(0, +)
                let path = bridge.coefficients(at: t)
                try #require(agrees(path.target, backward / (forward + backward)))
                try #require(agrees(path.source, forward / (forward + backward)))
                try #require(agrees(path.variance, forward * backward / (forward + backward)))
            }
        }
    }

    @Test func anAncestralStepOfTheSymmetricBridgeForgetsTheSource() async {
        // Its posterior is DDPM's: x_s given x_t and x_0, whatever y is (arXiv 2302.05872, proposition 3.3).
        await checkLaw(cases: 200) { generator in
            let bridge = SymmetricBridge(trainingTimesteps: 100_000)
            let t = Int.random(in: 100..<99_900, using: &generator)
            let s = Int.random(in: 10..<t, using: &generator)
            func accumulated(_ t: Int) -> Double {
                let path = bridge.coefficients(at: t)
                return path.variance / path.target
            }
            let between = accumulated(t) - accumulated(s)
            let step = DDIMSolver.ancestral.step(from: t, to: s, after: [], on: bridge)
            try #require(abs(step.estimates[0] - between / accumulated(t)) < 1e-3)
            try #require(abs(step.noisy - accumulated(s) / accumulated(t)) < 1e-3)
            try #require(abs(step.source) < 1e-3)
            let variance = accumulated(s) * between / accumulated(t)
            try #require(agrees(step.noise * step.noise, variance, within: 1e-2))
        }
    }

    @Test func aStepOfTheRectifiedFlowIsEulers() async {
        await checkLaw(cases: 300) { generator in
            let all = Int.random(in: 2...1000, using: &generator)
            let flow = RectifiedFlow(trainingTimesteps: all)
            let t = Int.random(in: 1..<all, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let (x, v) = (
                Double.random(in: -2...2, using: &generator), Double.random(in: -2...2, using: &generator)
            )
            let weights = flow.estimate(from: .velocity, at: t)
            let x0 = weights.noisy * x + weights.target * v
            let step = DDIMSolver().step(from: t, to: s, after: [], on: flow)
            let expected = x + Double(s - t) / Double(all) * v
            try #require(abs(step.noisy * x + step.estimates[0] * x0 - expected) < 1e-12)
        }
    }

    @Test func aReferenceStepOfTheBrownianBridgeIsThatOfBBDM() async {
        // arXiv 2205.07680, eq. 13 to 15, as published: with x_t, y and the estimate of x_0.
        await checkLaw(cases: 300) { generator in
            let bridge = BrownianBridge()
            let t = Int.random(in: 1..<1000, using: &generator)
            let s = Int.random(in: 0..<t, using: &generator)
            let eta = Double.random(in: 0...1, using: &generator)
            func m(_ t: Int) -> Double { 0.001 + 0.998 * Double(t) / 999 }
            func delta(_ t: Int) -> Double { 2 * (m(t) - m(t) * m(t)) }
            let transition = delta(t) - delta(s) * pow((1 - m(t)) / (1 - m(s)), 2)
            let posterior = transition * delta(s) / delta(t)
            let (x, x0, y) = (
                Double.random(in: -2...2, using: &generator), Double.random(in: -1...1, using: &generator),
                Double.random(in: -1...1, using: &generator)
            )
            let direction = ((delta(s) - posterior) / delta(t)).squareRoot() * (x - (1 - m(t)) * x0 - m(t) * y)
            let step = PublishedSolver(eta: eta).step(from: t, to: s, after: [], on: bridge)
            let found = step.noisy * x + step.estimates[0] * x0 + step.source * y
            try #require(abs(found - ((1 - m(s)) * x0 + m(s) * y + direction)) < 1e-9)
            try #require(abs(step.noise - eta * posterior.squareRoot()) < 1e-9)
        }
    }
}
