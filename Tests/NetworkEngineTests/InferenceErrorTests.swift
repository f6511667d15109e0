import Networks
import TensorFiles
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

/// What cannot be compiled says so and is named; it never gives other numbers.
struct InferenceErrorTests {
    private typealias Composition = @Sendable (PlainTrace) -> GraphValue

    /// Expects an error that names `operation`.
    private func refuses(
        _ operation: String, _ reason: String = "", sourceLocation: SourceLocation = #_sourceLocation,
        _ compose: Composition
    ) {
        var generator = SeededGenerator(seed: 1)
        let trace = PlainTrace(&generator)
        let graph = trace.builder.graph(endingIn: trace.image(compose(trace)))
        let error = #expect(throws: UnsupportedOperation.self, sourceLocation: sourceLocation) {
            _ = try trace.compile(graph, options: ComputeOptions(threads: 1))
        }
        #expect(
            reason.isEmpty || error?.reason.contains(reason) == true, sourceLocation: sourceLocation)
        #expect(error?.errorDescription == error?.description, sourceLocation: sourceLocation)
        #expect(
            error?.operation.hasPrefix(operation) == true, "named \(error?.operation ?? "none")",
            sourceLocation: sourceLocation)
        #expect(error?.description.contains("the compiled engine") == true, sourceLocation: sourceLocation)
    }

    @Test func modulationsThatDependOnTheImages() {
        refuses("shifted", "operand 1") { a in
            let x = a.image(32, 2, 2)
            return x.shifted(by: x)
        }
        // The only way from an image to a shift, `[1, channels]`.
        refuses("reshaped") { a in
            let x = a.image(32, 1, 1)
            return x.shifted(by: x.reshaped([1, 32]))
        }
    }

    @Test func sharedInputsAmongImages() {
        refuses("modulated", "operand 1") { a in
            let x = a.image(4, 2, 2)
            return x.modulated(scale: a.shared(x.shape), shift: x)
        }
        refuses("sum") { a in (a.image(4, 2, 2) + a.shared([1, 4, 2, 2])) }
        refuses("concatenated") { a in
            GraphValue.concatenated([a.image(4, 2, 2), a.shared([1, 3, 2, 2])], axis: 1)
        }
        refuses("silu", "does not depend on the images") { a in
            _ = a.image(4, 2, 2)
            return a.shared([1, 4, 2, 2]).silu()
        }
    }

    @Test func axesOtherThanChannels() {
        refuses("slice") { a in a.image(4, 2, 2).slice(axis: 2, 0..<1) }
        refuses("concatenated") { a in
            let x = a.image(4, 2, 2)
            return GraphValue.concatenated([x, x], axis: 3)
        }
        refuses("reshaped") { a in a.image(4, 2, 2).reshaped([1, 2, 2, 4]) }
        refuses("transposed") { a in a.image(4, 2, 2).transposed() }
    }

    @Test func convolutionsWithoutKernels() {
        for stride in [[3, 3], [1, 2]] {
            refuses("convolution 'c.weight'") { a in
                Convolution("c", inputs: 4, outputs: 4, kernel: [3, 3], stride: stride)(a.image(4, 6, 6))
            }
        }
        refuses("convolution") { a in
            Convolution("c", inputs: 4, outputs: 4, kernel: [3, 3, 3], stride: [2, 2, 1])(a.image(4, 6, 6, 6))
        }
        refuses("convolution") { a in
            Convolution("c", inputs: 4, outputs: 4, kernel: [1, 1, 1, 1])(
                a.image(4, 2, 2).reshaped([1, 4, 2, 2, 1, 1]))
        }
    }

    /// As many pixels as channels: the shapes fit, and nothing but the layout says that something is wrong.
    @Test func pixelsForChannels() {
        let square: @Sendable (PlainTrace) -> GraphValue = { a in
            a.image(32, 4, 8).reshaped([1, 32, 32])
        }
        refuses("sum") { a in
            let x = square(a)
            return (x + x.transposed())
        }
        refuses("product") { a in
            let x = square(a)
            return (x * x.transposed().gelu())
        }
        refuses("concatenated") { a in
            let x = square(a)
            return GraphValue.concatenated([x, x.transposed()], axis: 1)
        }
        refuses("linear") { a in Linear("l", inputs: 32, outputs: 32)(square(a)) }
        refuses("layerNorm") { a in LayerNorm("n", width: 32)(square(a)) }
        refuses("groupNorm") { a in GroupNorm("n", channels: 32)(square(a).transposed()) }
        refuses("convolution") { a in
            Convolution("c", inputs: 32, outputs: 32, kernel: [1])(square(a).transposed())
        }
        refuses("shifted") { a in square(a).transposed().shifted(by: a.shared([1, 32])) }
        refuses("attention") { a in
            let x = square(a)
            return x.attention(keys: x, values: x, heads: 1)
        }
    }

    @Test func layersOfSplitChannels() {
        let perHead: @Sendable (PlainTrace) -> GraphValue = { a in
            a.image(32, 1, 3).reshaped([1, 32, 3]).transposed().reshaped([1, 3, 2, 16])
        }
        refuses("linear") { a in Linear("l", inputs: 16, outputs: 16)(perHead(a)) }
        refuses("layerNorm") { a in LayerNorm("n", width: 16)(perHead(a)) }
        refuses("concatenated") { a in
            let x = perHead(a)
            return GraphValue.concatenated([x.slice(axis: 3, 8..<16), x.slice(axis: 3, 0..<8)], axis: 3)
        }
    }

    @Test func resamplingWithoutKernels() {
        let flat: @Sendable (PlainTrace) -> GraphValue = { a in
            a.image(4, 2, 2).reshaped([1, 4, 4])
        }
        refuses("averagePooled") { a in flat(a).averagePooled() }
        refuses("averagePooled") { a in a.image(4, 2, 2, 2).averagePooled() }
        refuses("upsampled") { a in flat(a).upsampled() }
    }
}
