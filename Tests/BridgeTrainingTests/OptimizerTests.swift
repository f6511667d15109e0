import BridgeTraining
import Foundation
import Networks
import TensorFiles
import TestSupport
import Testing

/// The optimiser, the learning rate and the loss, against their formulas.
struct OptimizerTests {
    /// The formulas of the papers, in double precision, for one number.
    private struct Oracle {
        var p: Double
        var m = 0.0, v = 0.0, k = 0

        mutating func step(_ g: Double, rate: Double, _ settings: OptimizerSettings) {
            k += 1
            var g = g
            switch settings.kind {
            case .adam: g += settings.weightDecay * p
            case .adamW: p -= rate * settings.weightDecay * p
            }
            m = settings.beta1 * m + (1 - settings.beta1) * g
            v = settings.beta2 * v + (1 - settings.beta2) * g * g
            let mean = m / (1 - pow(settings.beta1, Double(k)))
            let square = v / (1 - pow(settings.beta2, Double(k)))
            p -= rate * mean / (square.squareRoot() + settings.epsilon)
        }
    }

    @Test func stepsAreThoseOfThePapers() async {
        await checkLaw { generator in
            var settings = OptimizerSettings()
            settings.kind = Bool.random(using: &generator) ? .adam : .adamW
            settings.weightDecay = [0, 0.1].randomElement(using: &generator)!
            settings.beta1 = Double.random(in: 0...0.99, using: &generator)
            settings.beta2 = Double.random(in: 0.5...0.999, using: &generator)
            let shape = [generator.size(in: 1...9), generator.size(in: 1...9)]
            let parameter = Parameter("p", shape)
            let start = generator.floats(shape[0] * shape[1])
            var set = try ParameterSet([parameter]) { _ in Tensor(shape: shape, values: start) }
            var oracles = start.map { Oracle(p: Double($0)) }
            var optimizer = AdamOptimizer(settings, for: set)
            for _ in 0..<generator.size(in: 1...10) {
                let gradient = generator.floats(start.count)
                let rate = Double.random(in: 1e-4...1e-1, using: &generator)
                let gradients = try ParameterSet([parameter]) { _ in Tensor(shape: shape, values: gradient) }
                optimizer.step(&set, against: gradients, rate: rate)
                for index in oracles.indices {
                    oracles[index].step(Double(gradient[index]), rate: rate, settings)
                }
            }
            for (value, oracle) in zip(set.arrays[0], oracles) {
                try #require(abs(Double(value) - oracle.p) < 1e-5)
            }
        }
    }

    /// Large arrays are split between threads; small ones are not.
    @Test func stepsDoNotDependOnHowNumbersAreSplit() throws {
        var generator = SeededGenerator(seed: 3)
        let count = 200_000
        let (start, gradient) = (generator.floats(count), generator.floats(count))
        func trained(pieces: Int) throws -> [Float] {
            let length = count / pieces
            let parameters = (0..<pieces).map { Parameter("p\($0)", [length]) }
            func set(_ values: [Float]) throws -> ParameterSet {
                try ParameterSet(parameters) { name in
                    let piece = Int(name.dropFirst())!
                    return Tensor(
                        shape: [length], values: Array(values[piece * length..<(piece + 1) * length]))
                }
            }
            var values = try set(start)
            var optimizer = AdamOptimizer(OptimizerSettings(), for: values)
            for _ in 0..<3 { optimizer.step(&values, against: try set(gradient), rate: 1e-3) }
            return values.arrays.flatMap { $0 }
        }
        let whole = try trained(pieces: 1)
        #expect(try trained(pieces: 50) == whole)
    }

    @Test func lossesHaveTheirGradients() async {
        await checkLaw { generator in
            let shape = [1, generator.size(in: 1...4), generator.size(in: 1...5)]
            let count = shape.reduce(1, *)
            let output = Tensor(shape: shape, values: generator.floats(count))
            let target = Tensor(shape: shape, values: generator.floats(count))
            let differences = zip(output.values, target.values).map { Double($0) - Double($1) }
            let (absolute, signs) = TrainingLoss.l1(output, target: target)
            try #require(abs(absolute - differences.reduce(0) { $0 + abs($1) } / Double(count)) < 1e-6)
            let (squared, slopes) = TrainingLoss.l2(output, target: target)
            try #require(abs(squared - differences.reduce(0) { $0 + $1 * $1 } / Double(count)) < 1e-6)
            for (index, difference) in differences.enumerated() {
                let sign = difference > 0 ? 1.0 : difference < 0 ? -1 : 0
                try #require(abs(Double(signs.values[index]) - sign / Double(count)) < 1e-6)
                try #require(abs(Double(slopes.values[index]) - 2 * difference / Double(count)) < 1e-6)
            }
        }
    }

    @Test func aDifferenceOfZeroHasNoSlope() {
        let same = Tensor(shape: [2], values: [0.5, -1])
        #expect(TrainingLoss.l1(same, target: same).gradient.values == [0, 0])
    }
}
