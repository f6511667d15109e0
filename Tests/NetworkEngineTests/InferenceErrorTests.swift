import NetworkEngine
import Networks
import TensorFiles
import TensorTestSupport
import TestSupport
import Testing

/// What cannot be compiled says so and is named; it never gives other numbers.
struct InferenceErrorTests {
    private typealias Network = @Sendable (PlainTrace) -> PlainTrace.Value

    /// Expects an error that names `operation`.
    private func refuses(
        _ operation: String, sourceLocation: SourceLocation = #_sourceLocation, _ network: Network
    ) {
        var generator = SeededGenerator(seed: 1)
        let trace = PlainTrace(&generator)
        let result = network(trace)
        let error = #expect(throws: CompilationError.self, sourceLocation: sourceLocation) {
            let found = try trace.compiled(result)
            Issue.record("off by \(found.error)", sourceLocation: sourceLocation)
        }
        #expect(
            error?.operation.hasPrefix(operation) == true, "named \(error?.operation ?? "none")",
            sourceLocation: sourceLocation)
        #expect(error?.description.contains("TensorArithmetic") == true, sourceLocation: sourceLocation)
    }

    @Test func modulationsThatDependOnTheWindow() {
        for (network, name) in [
            (SelfModulated(scales: true), "modulated"), (SelfModulated(scales: false), "shifted"),
        ] {
            let error = #expect(throws: CompilationError.self) {
                try CompiledNetwork(network, planned: (2, 2)) { Tensor(shape: $0.shape) }
            }
            #expect(error?.operation.hasPrefix(name) == true && error?.reason.contains("operand 1") == true)
        }
        // The only way from an image to a shift, `[1, channels]`.
        refuses("reshaped") { a in
            let x = a.image(32, 1, 1)
            return a.shifted(x, by: a.reshaped(x, [1, 32]))
        }
    }

    @Test func sharedInputsAmongImages() {
        refuses("sum") { a in a.sum(a.image(4, 2, 2), a.shared([1, 4, 2, 2])) }
        refuses("concatenated") { a in a.concatenated([a.image(4, 2, 2), a.shared([1, 3, 2, 2])], axis: 1) }
        refuses("the result") { a in
            _ = a.image(4, 2, 2)
            return a.silu(a.shared([1, 4, 2, 2]))
        }
    }

    @Test func axesOtherThanChannels() {
        refuses("slice") { a in a.slice(a.image(4, 2, 2), axis: 2, 0..<1) }
        refuses("concatenated") { a in
            let x = a.image(4, 2, 2)
            return a.concatenated([x, x], axis: 3)
        }
        refuses("reshaped") { a in a.reshaped(a.image(4, 2, 2), [1, 2, 2, 4]) }
        refuses("transposed") { a in a.transposed(a.image(4, 2, 2)) }
    }

    @Test func productsWithoutGate() {
        refuses("product") { a in
            let x = a.image(4, 2, 2)
            return a.product(x, a.silu(x))
        }
    }

    @Test func convolutionsThatNoKernelDoes() {
        refuses("convolution") { a in
            Convolution("c", inputs: 4, outputs: 4, kernel: [3, 3], stride: 3)(a.image(4, 6, 6), with: a)
        }
        for (kernel, stride) in [(3, 1), (1, 2)] {
            let network = FlatConvolution(kernel: kernel, stride: stride)
            let error = #expect(throws: CompilationError.self) {
                try CompiledNetwork(network, planned: (2, 2)) { Tensor(shape: $0.shape) }
            }
            #expect(error?.operation.hasPrefix("convolution") == true)
        }
    }

    /// As many pixels as channels: the shapes fit, and nothing but the layout says that something is wrong.
    @Test func pixelsForChannels() {
        let square: @Sendable (PlainTrace) -> PlainTrace.Value = { a in
            a.reshaped(a.image(32, 4, 8), [1, 32, 32])
        }
        refuses("sum") { a in
            let x = square(a)
            return a.sum(x, a.transposed(x))
        }
        refuses("product") { a in
            let x = square(a)
            return a.product(x, a.gelu(a.transposed(x)))
        }
        refuses("concatenated") { a in
            let x = square(a)
            return a.concatenated([x, a.transposed(x)], axis: 1)
        }
        refuses("linear") { a in Linear("l", inputs: 32, outputs: 32)(square(a), with: a) }
        refuses("layerNorm") { a in LayerNorm("n", width: 32)(square(a), with: a) }
        refuses("groupNorm") { a in GroupNorm("n", channels: 32)(a.transposed(square(a)), with: a) }
        refuses("convolution") { a in
            Convolution("c", inputs: 32, outputs: 32, kernel: [1])(a.transposed(square(a)), with: a)
        }
        refuses("shifted") { a in a.shifted(a.transposed(square(a)), by: a.shared([1, 32])) }
        refuses("attention") { a in
            let x = square(a)
            return a.attention(queries: x, keys: x, values: x, heads: 1)
        }
    }

    @Test func layersOfSplitChannels() {
        let perHead: @Sendable (PlainTrace) -> PlainTrace.Value = { a in
            a.reshaped(a.transposed(a.reshaped(a.image(32, 1, 3), [1, 32, 3])), [1, 3, 2, 16])
        }
        refuses("linear") { a in Linear("l", inputs: 16, outputs: 16)(perHead(a), with: a) }
        refuses("layerNorm") { a in LayerNorm("n", width: 16)(perHead(a), with: a) }
        refuses("concatenated") { a in
            let x = perHead(a)
            return a.concatenated([a.slice(x, axis: 3, 8..<16), a.slice(x, axis: 3, 0..<8)], axis: 3)
        }
    }

    @Test func resamplingOfOneAxis() {
        let flat: @Sendable (PlainTrace) -> PlainTrace.Value = { a in
            a.reshaped(a.image(4, 2, 2), [1, 4, 4])
        }
        refuses("averagePooled") { a in a.averagePooled(flat(a)) }
        refuses("upsampled") { a in a.upsampled(flat(a)) }
    }
}

/// An image shifted by itself.
private struct SelfModulated: CompilableNetwork {
    let scales: Bool
    let parameters: [Parameter] = []
    let imageChannels = [32]
    let sharedShapes: [[Int]] = []

    func callAsFunction<A: LayerArithmetic>(
        images: [A.Value], shared: [A.Value], with arithmetic: A
    ) -> A.Value {
        scales
            ? arithmetic.modulated(images[0], scale: images[0], shift: images[0])
            : arithmetic.shifted(images[0], by: images[0])
    }
}

/// A convolution of pixels in one row, which plain arithmetic refuses too.
private struct FlatConvolution: CompilableNetwork {
    let layer: Convolution
    let imageChannels = [4]
    let sharedShapes: [[Int]] = []
    var parameters: [Parameter] { layer.parameters }

    init(kernel: Int, stride: Int) {
        layer = Convolution("c", inputs: 4, outputs: 4, kernel: [kernel], stride: stride)
    }

    func callAsFunction<A: LayerArithmetic>(
        images: [A.Value], shared: [A.Value], with arithmetic: A
    ) -> A.Value { layer(arithmetic.reshaped(images[0], [1, 4, 4]), with: arithmetic) }
}
