import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

struct NormalizationTests {
    @Test(arguments: [[], [5], [3, 7], [2, 3, 4]])
    func groupNormOverAnyDimensions(spatial: [Int]) async {
        await checkLaw(cases: 30) { generator in
            let groups = Int.random(in: 1...4, using: &generator)
            let members = Int.random(in: 1...3, using: &generator)
            let channels = groups * members
            let x = randomTensor([2, channels] + spatial, in: 2...5, &generator)
            let weight = randomTensor([channels], &generator)
            let bias = randomTensor([channels], &generator)
            let expected = tabulated(x.shape) { at in
                let first = at[1] / members * members
                let group = indices(of: [members] + spatial).map { x.at([at[0], first + $0[0]] + $0[1...]) }
                return standardized(x.at(at), in: group, epsilon: 1e-2) * weight.at([at[1]]) + bias.at([at[1]])
            }
            try requireClose(
                x.groupNormalized(groups: groups, weight: weight, bias: bias, epsilon: 1e-2), expected,
                tolerance: 1e-5)
        }
    }

    @Test func layerNormOfEachRow() async {
        await checkLaw { generator in
            let width = Int.random(in: 1...20, using: &generator)
            let x = randomTensor([2, 3, width], in: -3...1, &generator)
            let weight = randomTensor([width], &generator)
            let bias = randomTensor([width], &generator)
            let expected = tabulated(x.shape) { at in
                let row = (0..<width).map { x.at([at[0], at[1], $0]) }
                return standardized(x.at(at), in: row, epsilon: 1e-2) * weight.at([at[2]]) + bias.at([at[2]])
            }
            try requireClose(
                x.layerNormalized(weight: weight, bias: bias, epsilon: 1e-2), expected, tolerance: 1e-5)
        }
    }

    /// A mean far above the spread, over many numbers: what single-precision sums would lose.
    @Test func normOfManyNumbersFarFromZero() throws {
        var generator = SeededGenerator(seed: 3)
        let x = randomTensor([1, 1, 300_007], in: 99...101, &generator)
        let one = Tensor(shape: [1], repeating: 1)
        let found = x.groupNormalized(groups: 1, weight: one, bias: Tensor(shape: [1]), epsilon: 0)
        let mean = x.values.reduce(0.0) { $0 + Double($1) } / Double(x.count)
        let variance = x.values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(x.count)
        let expected = tabulated(x.shape) { (x.at($0) - mean) / variance.squareRoot() }
        try requireClose(found, expected, tolerance: 1e-5)
    }

    private func standardized(_ value: Double, in group: [Double], epsilon: Double) -> Double {
        let mean = group.reduce(0, +) / Double(group.count)
        let variance = group.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(group.count)
        return (value - mean) / (variance + epsilon).squareRoot()
    }
}
