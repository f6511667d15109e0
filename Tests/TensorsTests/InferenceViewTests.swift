import TensorTestSupport
import Tensors
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
