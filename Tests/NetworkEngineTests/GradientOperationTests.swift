import Foundation
import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// Gradients of operations beyond those of the U-Net, and those that have none.
struct GradientOperationTests {
    private struct Composed: Network {
        let compose: @Sendable (GraphValue) -> GraphValue
        var parameters: [Parameter] { [] }

        func graph(batch: Int, size: [Int]) -> Graph {
            let builder = GraphBuilder()
            return builder.graph(endingIn: compose(builder.image([batch, 16] + size)))
        }
    }

    private func gradients(
        _ x: Tensor, _ parameters: [String: Tensor] = [:],
        _ compose: @escaping @Sendable (GraphValue) -> GraphValue
    ) throws -> [String: Tensor] {
        let options = ComputeOptions(threads: 1)
        return try NetworkGradients(options: options)(
            Composed(compose: compose), parameters: parameters, images: [x], shared: []
        ) { output in
            (
                output.values.reduce(0) { $0 + Double($1 * $1) },
                Tensor(shape: output.shape, values: output.values.map { 2 * $0 })
            )
        }.gradients
    }

    /// Convolutions without bias and normalisations of any groups, against differences of the plain evaluator.
    @Test func gradientsAgreeWithDifferences() async {
        await checkLaw(cases: 6) { generator in
            let norm = GroupNorm(
                "n", channels: 16, groups: [1, 4, 16].randomElement(using: &generator)!, epsilon: 0.1)
            let kernel = [[1, 1], [3, 3]].randomElement(using: &generator)!
            let layer = Convolution("c", inputs: 16, outputs: 3, kernel: kernel, hasBias: false)
            let compose: @Sendable (GraphValue) -> GraphValue = { layer(norm($0).silu()) }
            let parameters = (norm.parameters + layer.parameters).reduce(into: [:]) {
                $0[$1.name] = randomTensor($1.shape, &generator)
            }
            let x = randomTensor([2, 16, 4, 5], &generator)
            let found = try gradients(x, parameters, compose)
            let graph = Composed(compose: compose).graph(batch: 2, size: [4, 5])
            func loss(_ parameters: [String: Tensor]) throws -> Double {
                let output = try PlainEvaluator(parameters: parameters)(graph, images: [x])
                return output.values.reduce(0) { $0 + Double($1) * Double($1) }
            }
            for (name, gradient) in found {
                let direction = generator.floats(gradient.count, in: -1...1)
                let losses = try [0.01, -0.01].map { step in
                    var moved = parameters
                    moved[name]!.values = zip(parameters[name]!.values, direction).map { $0 + Float(step) * $1 }
                    return try loss(moved)
                }
                let slope = zip(gradient.values, direction).reduce(0) { $0 + Double($1.0) * Double($1.1) }
                let scale = gradient.values.reduce(0) { $0 + Double($1 * $1) }.squareRoot()
                try #require(abs(slope - (losses[0] - losses[1]) / 0.02) < 0.02 * scale + 0.01, "\(name)")
            }
        }
    }

    @Test func operationsWithoutGradientsAreNamed() {
        let half = Convolution.Padding(before: 1, after: 1)
        let cases: [(String, @Sendable (GraphValue) -> GraphValue)] = [
            (
                "convolution 'c.weight'",
                { Convolution("c", inputs: 16, outputs: 2, kernel: [1, 1], padding: [half, half])($0) }
            ),
            (
                "convolution 'c.weight'",
                { Convolution("c", inputs: 16, outputs: 2, kernel: [3, 3], stride: [3, 3])($0) }
            ),
            ("slice", { $0.slice(axis: 2, 0..<2) }),
            ("concatenated", { .concatenated([$0, $0], axis: 3) }),
            ("averagePooled", { $0.reshaped([1, 16, 16]).averagePooled() }),
            ("transposed", { $0.transposed() }),
        ]
        for (name, compose) in cases {
            let error = #expect(throws: UnsupportedOperation.self) {
                try gradients(Tensor(shape: [1, 16, 4, 4]), [:], compose)
            }
            #expect(error?.operation.hasPrefix("\(name) to") == true, "\(error?.operation ?? "none")")
            #expect(error?.engine == "the gradients")
        }
    }
}
