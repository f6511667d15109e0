import Foundation
import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// Linear maps, convolutions and attention against loops in double precision.
struct ProductTests {
    @Test func linearMapsEachRow() async {
        await checkLaw { generator in
            let (batch, tokens, inputs, outputs) = (
                generator.size(in: 0...2), generator.size(in: 1...5), generator.size(in: 1...9),
                generator.size(in: 1...9)
            )
            let x = randomTensor([batch, tokens, inputs], &generator)
            let weight = randomTensor([outputs, inputs], &generator)
            let bias = Bool.random(using: &generator) ? randomTensor([outputs], &generator) : nil
            let expected = tabulated([batch, tokens, outputs]) { at in
                (0..<inputs).reduce(bias?.at([at[2]]) ?? 0) {
                    $0 + x.at([at[0], at[1], $1]) * weight.at([at[2], $1])
                }
            }
            try requireClose(x.linear(weight: weight, bias: bias), expected)
        }
    }

    @Test func convolutionIsASumOverTheKernel() async {
        await checkLaw(cases: 200) { generator in
            let (kernelRows, kernelColumns, padding) = (
                generator.size(in: 1...4), generator.size(in: 1...4), generator.size(in: 0...2)
            )
            let x = randomTensor(
                [
                    generator.size(in: 1...2), generator.size(in: 1...4),
                    generator.size(in: max(1, kernelRows - 2 * padding)...9), generator.size(in: 4...9),
                ], &generator)
            let weight = randomTensor(
                [generator.size(in: 1...5), x.shape[1], kernelRows, kernelColumns], &generator)
            let bias = Bool.random(using: &generator) ? randomTensor([weight.shape[0]], &generator) : nil
            let stride = generator.size(in: 1...3)
            try requireClose(
                x.convolved(weight, bias, stride: stride, padding: padding),
                convolution(x, weight, bias, stride: stride, padding: padding))
        }
    }

    /// 288 * 60 * 40 gathered numbers do not fit one block.
    @Test(arguments: [1, 2])
    func convolutionInSeveralBlocks(stride: Int) throws {
        var generator = SeededGenerator(seed: 5)
        let x = randomTensor([1, 32, 60, 40], &generator)
        let weight = randomTensor([3, 32, 3, 3], in: -0.1...0.1, &generator)
        let bias = randomTensor([3], &generator)
        try requireClose(
            x.convolved(weight, bias, stride: stride, padding: 1),
            convolution(x, weight, bias, stride: stride, padding: 1))
    }

    @Test(arguments: [[7], [3, 5], [2, 3, 4]])
    func kernelOfOneWorksOverAnyDimensions(spatial: [Int]) async {
        await checkLaw(cases: 20) { generator in
            let x = randomTensor([2, 4] + spatial, &generator)
            let weight = randomTensor([3, 4] + spatial.map { _ in 1 }, &generator)
            let bias = randomTensor([3], &generator)
            let expected = tabulated([2, 3] + spatial) { at in
                (0..<4).reduce(bias.at([at[1]])) {
                    $0 + x.at([at[0], $1] + at[2...]) * weight.values[at[1] * 4 + $1].asDouble
                }
            }
            try requireClose(x.convolved(weight, bias), expected)
        }
    }

    @Test func attentionIsAWeightedMeanOfValues() async {
        await checkLaw { generator in
            let (batch, tokens, context, heads, width) = (
                generator.size(in: 1...2), generator.size(in: 1...6), generator.size(in: 1...9),
                generator.size(in: 1...3),
                generator.size(in: 1...5)
            )
            let queries = randomTensor([batch, tokens, heads * width], in: -4...4, &generator)
            let keys = randomTensor([batch, context, heads * width], in: -4...4, &generator)
            let values = randomTensor([batch, context, heads * width], &generator)
            try requireClose(
                .attention(queries: queries, keys: keys, values: values, heads: heads),
                attention(queries, keys, values, heads: heads))
        }
    }

    /// 600 * 600 scores do not fit one block of queries.
    @Test func attentionInSeveralBlocks() throws {
        var generator = SeededGenerator(seed: 6)
        let tokens = randomTensor([1, 600, 4], in: -2...2, &generator)
        try requireClose(
            .attention(queries: tokens, keys: tokens, values: tokens, heads: 2),
            attention(tokens, tokens, tokens, heads: 2))
    }

    @Test func attentionToGreatScoresStaysFinite() {
        let tokens = Tensor(shape: [1, 2, 2], values: [1e4, 0, 0, 1e4])
        #expect(Tensor.attention(queries: tokens, keys: tokens, values: tokens, heads: 1) == tokens)
    }

    private func convolution(
        _ x: Tensor, _ weight: Tensor, _ bias: Tensor?, stride: Int, padding: Int
    ) -> Tensor {
        let extent = { (axis: Int) in (x.shape[axis] + 2 * padding - weight.shape[axis]) / stride + 1 }
        return tabulated([x.shape[0], weight.shape[0], extent(2), extent(3)]) { at in
            indices(of: Array(weight.shape[1...])).reduce(bias?.at([at[1]]) ?? 0) { sum, kernel in
                let row = at[2] * stride + kernel[1] - padding
                let column = at[3] * stride + kernel[2] - padding
                guard (0..<x.shape[2]).contains(row), (0..<x.shape[3]).contains(column) else { return sum }
                return sum + x.at([at[0], kernel[0], row, column]) * weight.at([at[1]] + kernel)
            }
        }
    }

    private func attention(_ queries: Tensor, _ keys: Tensor, _ values: Tensor, heads: Int) -> Tensor {
        let (tokens, context, width) = (queries.shape[1], keys.shape[1], queries.shape[2] / heads)
        var result = queries
        for row in indices(of: [queries.shape[0], tokens, heads]) {
            let place = { (token: Int, channel: Int) in [row[0], token, row[2] * width + channel] }
            let weights = (0..<context).map { token in
                exp(
                    (0..<width).reduce(0) { $0 + queries.at(place(row[1], $1)) * keys.at(place(token, $1)) }
                        / Double(width).squareRoot())
            }
            for channel in 0..<width {
                let sum = (0..<context).reduce(0) { $0 + weights[$1] * values.at(place($1, channel)) }
                result[row[0], row[1], row[2] * width + channel] = Float(sum / weights.reduce(0, +))
            }
        }
        return result
    }
}

extension Float {
    fileprivate var asDouble: Double { Double(self) }
}

extension Tensor {
    /// A convolution with one stride and padding along all axes.
    fileprivate func convolved(_ weight: Tensor, _ bias: Tensor?, stride: Int = 1, padding: Int = 0) -> Tensor {
        let kernel = Array(weight.shape[2...])
        let layer = Convolution(
            "c", inputs: weight.shape[1], outputs: weight.shape[0], kernel: kernel,
            stride: kernel.map { _ in stride },
            padding: kernel.map { _ in Convolution.Padding(before: padding, after: padding) })
        return convolved(layer, weight, bias)
    }
}
