import NetworkEngine
import Networks
import TensorFiles
import TensorTestSupport
import TestSupport
import Testing

/// A sum that is done by a convolution leaves alone whatever else looks at that convolution's result.
struct InferenceViewTests {
    private let trace: PlainTrace
    private let x, other, convolved: PlainTrace.Value

    init() {
        var generator = SeededGenerator(seed: 1)
        trace = PlainTrace(&generator)
        (x, other) = (trace.image(32, 2, 3), trace.image(32, 2, 3))
        convolved = Convolution("c", inputs: 32, outputs: 32, kernel: [1, 1])(x, with: trace)
    }

    @Test func aSumWithTheSameChannelsInAnotherOrder() throws {
        let halves = [16..<32, 0..<16].map { trace.slice(convolved, axis: 1, $0) }
        let sum = trace.sum(trace.concatenated(halves, axis: 1), other)
        #expect(try trace.compiled(sum).error < 1e-6)
    }

    @Test func aSumWithAnotherShapeOfWhatIsUsedAgain() throws {
        let sum = trace.sum(trace.reshaped(convolved, [1, 32, 6]), trace.reshaped(other, [1, 32, 6]))
        let both = trace.concatenated([convolved, trace.reshaped(sum, [1, 32, 2, 3])], axis: 1)
        #expect(try trace.compiled(both).error < 1e-6)
    }

    @Test func aSumWithAllChannelsOfWhatIsUsedAgain() throws {
        let sum = trace.sum(trace.slice(convolved, axis: 1, 0..<32), other)
        #expect(try trace.compiled(trace.concatenated([convolved, sum], axis: 1)).error < 1e-6)
    }
}

/// The result is what a network returns, whatever it records after that.
struct InferenceResultTests {
    @Test func aResultNeedNotComeLast() throws {
        let image = Tensor(shape: [1, 2, 1, 2], values: [1, 2, 3, 4])
        for count in 1...2 {
            let network = Distracted(imageChannels: [Int](repeating: 2, count: count))
            let compiled = try CompiledNetwork(network, planned: (1, 2)) { Tensor(shape: $0.shape) }
            let others = [Tensor](repeating: image + image, count: count - 1)
            #expect(try compiled(images: [image] + others, shared: [Tensor(shape: [3])]) == image)
        }
    }
}

/// Returns its first image, and computes something for nothing.
private struct Distracted: CompilableNetwork {
    let imageChannels: [Int]
    let sharedShapes = [[3]]
    let parameters: [Parameter] = []

    func callAsFunction<A: LayerArithmetic>(
        images: [A.Value], shared: [A.Value], with arithmetic: A
    ) -> A.Value {
        _ = arithmetic.silu(images[images.count - 1])
        return images[0]
    }
}
