import Networks
import TensorFiles
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

/// A sum that is done by a convolution leaves alone whatever else looks at that convolution's result.
struct InferenceViewTests {
    private let trace: PlainTrace
    private let x, other, convolved: GraphValue

    init() {
        var generator = SeededGenerator(seed: 1)
        trace = PlainTrace(&generator)
        (x, other) = (trace.image(32, 2, 3), trace.image(32, 2, 3))
        convolved = Convolution("c", inputs: 32, outputs: 32, kernel: [1, 1])(x)
    }

    @Test func aSumWithTheSameChannelsInAnotherOrder() throws {
        let halves = [16..<32, 0..<16].map { convolved.slice(axis: 1, $0) }
        let sum = GraphValue.concatenated(halves, axis: 1) + other
        #expect(try trace.compiled(sum).error < 1e-6)
    }

    @Test func aSumWithAnotherShapeOfWhatIsUsedAgain() throws {
        let sum = convolved.reshaped([1, 32, 6]) + other.reshaped([1, 32, 6])
        let both = GraphValue.concatenated([convolved, sum.reshaped([1, 32, 2, 3])], axis: 1)
        #expect(try trace.compiled(both).error < 1e-6)
    }

    @Test func aSumWithAllChannelsOfWhatIsUsedAgain() throws {
        let sum = convolved.slice(axis: 1, 0..<32) + other
        #expect(try trace.compiled(GraphValue.concatenated([convolved, sum], axis: 1)).error < 1e-6)
    }
}

/// The result is what a network returns, whatever it records after that.
struct InferenceResultTests {
    @Test func aResultNeedNotComeLast() throws {
        let image = Tensor(shape: [1, 2, 1, 2], values: [1, 2, 3, 4])
        for count in 1...2 {
            let builder = GraphBuilder()
            let images = (0..<count).map { _ in builder.image(image.shape) }
            _ = [builder.shared([3]), images[count - 1].silu()]
            let network = RecordedNetwork(builder.graph(endingIn: images[0]))
            let compiled = try CompiledNetwork(network, planned: [1, 2]) { Tensor(shape: $0.shape) }
            let others = [Tensor](repeating: image + image, count: count - 1)
            #expect(try compiled(images: [image] + others, shared: [Tensor(shape: [3])]) == image)
        }
    }
}
