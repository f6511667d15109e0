import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// A graph is recorded for each size: what one size computes says nothing about another.
struct InferenceSizeTests {
    /// A network whose operations, shared ones too, differ from size to size.
    private struct Branching: Network {
        /// Whether large images pass through a layer that small ones do not.
        let hasLayerOfLargeImages: Bool
        private let first = Convolution("first", inputs: 3, outputs: 3, kernel: [3, 3])
        private let second = Convolution("second", inputs: 3, outputs: 3, kernel: [1, 1], hasBias: false)
        private let embedding = Linear("embedding", inputs: 5, outputs: 3)

        init(hasLayerOfLargeImages: Bool = false) { self.hasLayerOfLargeImages = hasLayerOfLargeImages }

        var parameters: [Parameter] { first.parameters + second.parameters + embedding.parameters }

        func graph(batch: Int, size: [Int]) -> Graph {
            let builder = GraphBuilder()
            let (x, time) = (builder.image([batch, 3] + size), builder.shared([batch, 5]))
            if size[0] > 6 {
                let shift = embedding(time.silu())
                let y = first(x.shifted(by: shift)).silu()
                return builder.graph(endingIn: hasLayerOfLargeImages ? second(y) + x : y + x)
            }
            let y = first(x)
            return builder.graph(endingIn: y.shifted(by: embedding(time)) + x.silu())
        }
    }

    private func parameters(_ generator: inout SeededGenerator) -> [String: Tensor] {
        Branching().parameters.reduce(into: [:]) { $0[$1.name] = randomTensor($1.shape, &generator) }
    }

    @Test func anySizeAgreesInAnyOrder() async {
        await checkLaw(cases: 5) { generator in
            let parameters = parameters(&generator)
            let compiled = try CompiledNetwork(Branching(), planned: [4, 4]) { parameters[$0.name]! }
            // More sizes than are kept.
            let sizes = (0..<9).map { _ in [generator.size(in: 1...12), generator.size(in: 1...12)] }
            let inputs = sizes.map {
                (randomTensor([1, 3] + $0, &generator), randomTensor([1, 5], &generator))
            }
            let expected = try zip(sizes, inputs).map {
                try PlainEvaluator(parameters: parameters)(
                    Branching().graph(batch: 1, size: $0), images: [$1.0], shared: [$1.1])
            }
            for _ in 0..<40 {
                let index = generator.size(in: 0...8)
                let found = try compiled(images: [inputs[index].0], shared: [inputs[index].1])
                try #require(relativeL2(found.values, expected[index].values) < 2e-5)
            }
        }
    }

    @Test func layersOfOtherSizesAreNamed() throws {
        var generator = SeededGenerator(seed: 1)
        let parameters = parameters(&generator)
        let network = Branching(hasLayerOfLargeImages: true)
        let compiled = try CompiledNetwork(network, planned: [4, 4]) { parameters[$0.name]! }
        let error = #expect(throws: UnsupportedOperation.self) {
            try compiled(images: [Tensor(shape: [1, 3, 8, 8])], shared: [Tensor(shape: [1, 5])])
        }
        #expect(error?.operation == "convolution 'second.weight' to [1, 3, 8, 8]")
        #expect(error?.reason.contains("'second.weight' was not read") == true)
        // And it is evaluated where it is planned for.
        let large = try CompiledNetwork(network, planned: [8, 8]) { parameters[$0.name]! }
        let x = randomTensor([1, 3, 8, 8], &generator)
        let time = randomTensor([1, 5], &generator)
        let expected = try PlainEvaluator(parameters: parameters)(
            network.graph(batch: 1, size: [8, 8]), images: [x], shared: [time])
        let found = try large(images: [x], shared: [time])
        #expect(relativeL2(found.values, expected.values) < 2e-5)
    }
}
