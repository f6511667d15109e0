import Networks
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

/// The memory for Winograd's form decides a result's last digits, and nothing else.
struct InferenceWinogradTests {
    /// A chain of convolutions on planes of several sizes.
    private struct Chain {
        let trace: PlainTrace
        let convolutions: [(layer: Convolution, pixels: Int)]
        let result: GraphValue

        init(_ generator: inout SeededGenerator) {
            trace = PlainTrace(&generator)
            var x = trace.image(generator.size(in: 1...20), 16, 8)
            var convolutions: [(layer: Convolution, pixels: Int)] = []
            for index in 0..<generator.size(in: 1...6) {
                let kernel = Int.random(in: 0..<4, using: &generator) == 0 ? 1 : 3
                let layer = Convolution(
                    "\(index)", inputs: x.shape[1], outputs: generator.size(in: 1...40),
                    kernel: [kernel, kernel],
                    stride: Int.random(in: 0..<4, using: &generator) == 0 ? [2, 2] : [1, 1])
                x = layer(x).silu()
                convolutions.append((layer, x.shape[2] * x.shape[3]))
                if x.shape[3] % 2 == 0 && Bool.random(using: &generator) { x = x.averagePooled() }
            }
            self.convolutions = convolutions
            result = x
        }

        /// The bytes of each layer's Winograd form, for those that have one: 36 numbers for each pair of channels, in
        /// whole blocks.
        var candidates: [(name: String, pixels: Int, bytes: Int)] {
            convolutions.filter { $0.layer.weight.shape[2] == 3 && $0.layer.stride == [1, 1] }.map {
                layer, pixels in
                let blocks = layer.weight.shape[..<2].map { ($0 + 15) / 16 * 16 }
                return (layer.weight.name, pixels, 36 * 4 * blocks[0] * blocks[1])
            }
        }

        /// The layers that are packed in Winograd's form.
        func winogradLayers(memory: Int?) throws -> Set<String> {
            let graph = trace.builder.graph(endingIn: result)
            let parameters = trace.parameters(of: graph)
            let options = ComputeOptions(threads: 1, winogradMemory: memory)
            let weights = try LayerWeights(graph, options: options) { parameters[$0.name]! }
            return Set(
                convolutions.map(\.layer).filter {
                    weights.convolution($0.weight, stride: $0.stride[0])?.form == .winograd
                }.map(\.weight.name))
        }
    }

    @Test func anyBudgetGivesTheSameToRounding() async {
        await checkLaw(cases: 20) { generator in
            let chain = Chain(&generator)
            let total = chain.candidates.reduce(0) { $0 + $1.bytes }
            for memory in [0, Int.random(in: 0...total, using: &generator), total, nil] {
                let options = ComputeOptions(threads: 1, winogradMemory: memory)
                let found = try chain.trace.compiled(chain.result, options: options)
                try #require(found.error < 5e-5)
                let again = try chain.trace.compiled(
                    chain.result, options: ComputeOptions(threads: 3, winogradMemory: memory))
                try #require(again.tensor == found.tensor)
            }
        }
    }

    /// The layers with the most pixels come first, then the first of the network; each that still fits gets its form.
    @Test func layersWithTheMostPixelsComeFirst() async {
        await checkLaw(cases: 60) { generator in
            let chain = Chain(&generator)
            let total = chain.candidates.reduce(0) { $0 + $1.bytes }
            let memory = Int.random(in: 0...total, using: &generator)
            var expected: Set<String> = []
            var left = memory
            for pixels in Set(chain.candidates.map(\.pixels)).sorted(by: >) {
                for layer in chain.candidates where layer.pixels == pixels && layer.bytes <= left {
                    expected.insert(layer.name)
                    left -= layer.bytes
                }
            }
            try #require(try chain.winogradLayers(memory: memory) == expected)
            let all = Set(chain.candidates.map(\.name))
            try #require(try chain.winogradLayers(memory: nil) == all)
            try #require(try chain.winogradLayers(memory: total) == all)
            try #require(try chain.winogradLayers(memory: 0).isEmpty)
        }
    }
}
