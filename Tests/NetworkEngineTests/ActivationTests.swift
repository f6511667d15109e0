import Foundation
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

struct ActivationTests {
    @Test func exponentialIsWithinTenMillionthsOfTheTrueValue() {
        var worst = 0.0
        for step in stride(from: 0, through: 87_000_000, by: 8 * 31) {
            let x = SIMD8<Float>((0..<8).map { lane in -Float(step + lane * 31) / 1e6 })
            let found = exponentialOfNonPositive(x)
            for lane in 0..<8 where x[lane] >= -87 {
                let expected = exp(Double(x[lane]))
                worst = max(worst, abs(Double(found[lane]) - expected) / expected)
            }
        }
        print("exponential: largest relative error \(worst)")
        #expect(worst < 1e-7)
    }

    @Test func exponentialAtTheEdges() {
        let x: SIMD8<Float> = [0, -0.0, -87.1, -1000, -.infinity, .nan, -1e-30, -86.9]
        let found = exponentialOfNonPositive(x)
        #expect(found[0] == 1 && found[1] == 1 && found[6] == 1)
        #expect(found[2] == 0 && found[3] == 0 && found[4] == 0)
        #expect(found[5].isNaN)
        #expect(found[7] > 0)
    }

    @Test func siluIsTheSigmoidTimesItsArgument() async {
        await checkLaw { generator in
            let x = randomTensor([Int.random(in: 0...40, using: &generator)], in: -80...80, &generator)
            for (value, found) in zip(x.values, x.silu().values) {
                let expected = Double(value) / (1 + exp(-Double(value)))
                try #require(abs(Double(found) - expected) <= 3e-7 * abs(expected))
            }
        }
    }

    @Test func activationsPassNaNOn() {
        let x = Tensor(shape: [9], repeating: .nan)
        #expect(x.silu().values.allSatisfy { $0.isNaN })
        #expect(x.gelu().values.allSatisfy { $0.isNaN })
    }

    @Test func geluIsTheGaussianDistributionTimesItsArgument() async {
        await checkLaw { generator in
            let x = randomTensor([17], in: -6...6, &generator)
            let expected = tabulated([17]) { 0.5 * x.at($0) * (1 + erf(x.at($0) / 2.0.squareRoot())) }
            try requireClose(x.gelu(), expected, tolerance: 3e-7)
        }
    }
}
