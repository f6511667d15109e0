import NetworkEngine
import Networks
import TensorFiles
import TestSupport

/// Computes layers plainly, on random inputs and parameters, and writes down what it does.
///
/// Whatever is computed with it can then be compiled and compared: the result of the whole, and every result on
/// the way to it.
package final class PlainTrace: LayerArithmetic {
    /// A result: its place in the trace, and the numbers that plain arithmetic gives.
    package struct Value {
        let place: Int
        package let tensor: Tensor
        /// Whether channels are the last axes, as in `[1, pixels, channels]`.
        package var isTokens = false
        package var shape: [Int] { tensor.shape }
    }

    /// Every parameter that was used, by its name.
    package private(set) var parameters: [String: Tensor] = [:]
    /// The images and the shared inputs.
    package private(set) var images: [Tensor] = []
    package private(set) var shared: [Tensor] = []
    /// The results that depend on images, in order: those that a compiled network computes for every window.
    package private(set) var windowValues: [Value] = []

    private var generator: SeededGenerator
    private(set) var entries: [Entry] = []
    private var dependsOnImages: [Bool] = []

    /// One operation, and the places of its operands.
    struct Entry: Sendable {
        let operation: Operation
        let operands: [Int]
    }

    enum Operation: Sendable {
        case image(Int), shared(Int)
        case linear(Linear), convolution(Convolution), groupNorm(GroupNorm), layerNorm(LayerNorm)
        case silu, gelu, attention(heads: Int), averagePooled, upsampled
        case sum, product, shifted, modulated
        case concatenated(axis: Int), slice(axis: Int, Range<Int>), reshaped([Int]), transposed
    }

    /// A trace of nothing yet, whose random numbers follow from the generator's.
    package init(_ generator: inout SeededGenerator) {
        self.generator = SeededGenerator(seed: generator.next())
    }

    /// A random image of the window, `[1, channels, rows, columns]`.
    package func image(_ channels: Int, _ rows: Int, _ columns: Int) -> Value {
        let shape = [1, channels, rows, columns]
        images.append(Tensor(shape: shape, values: generator.floats(shape.reduce(1, *))))
        return note(.image(images.count - 1), [], images[images.count - 1])
    }

    /// A random shared input.
    package func shared(_ shape: [Int]) -> Value {
        shared.append(Tensor(shape: shape, values: generator.floats(shape.reduce(1, *))))
        return note(.shared(shared.count - 1), [], shared[shared.count - 1])
    }

    private func note(_ operation: Operation, _ operands: [Value], _ tensor: Tensor) -> Value {
        let isTokens =
            switch operation {
            case .linear, .layerNorm, .attention: true
            case .transposed: !operands[0].isTokens
            default: operands.first?.isTokens ?? false
            }
        let value = Value(place: entries.count, tensor: tensor, isTokens: isTokens)
        entries.append(Entry(operation: operation, operands: operands.map(\.place)))
        var depends = operands.contains { dependsOnImages[$0.place] }
        if case .image = operation { depends = true } else if depends { windowValues.append(value) }
        dependsOnImages.append(depends)
        return value
    }

    /// Weights leave numbers about as large as they are; scales lie about 1.
    private func makeParameters(_ layer: some Layer) -> TensorArithmetic {
        for parameter in layer.parameters where parameters[parameter.name] == nil {
            let inputs = parameter.shape.dropFirst().reduce(1, *)
            let isScale = parameter.shape.count == 1 && parameter.name.hasSuffix("weight")
            let range: ClosedRange<Float> =
                isScale
                ? 0.5...1.5
                : parameter.shape.count == 1 ? -0.3...0.3 : (-1...1).scaled((3 / Float(inputs)).squareRoot())
            parameters[parameter.name] = Tensor(
                shape: parameter.shape, values: generator.floats(parameter.shape.reduce(1, *), in: range))
        }
        return TensorArithmetic(parameters: parameters)
    }

    /// The same numbers as an image, `[1, channels, rows, columns]`: what a network may end in.
    func image(_ x: Value) -> Value {
        guard x.isTokens else { return x.shape.count == 4 ? x : reshaped(x, x.shape[..<2] + [1, x.shape[2]]) }
        let flat = x.shape.count == 3 ? x : reshaped(x, [1, x.shape[1], x.shape[2...].reduce(1, *)])
        return image(transposed(flat))
    }

    package func shape(of x: Value) -> [Int] { x.shape }

    package func apply(_ layer: Linear, to x: Value) -> Value {
        note(.linear(layer), [x], makeParameters(layer).apply(layer, to: x.tensor))
    }

    package func apply(_ layer: Convolution, to x: Value) -> Value {
        note(.convolution(layer), [x], makeParameters(layer).apply(layer, to: x.tensor))
    }

    package func apply(_ layer: GroupNorm, to x: Value) -> Value {
        note(.groupNorm(layer), [x], makeParameters(layer).apply(layer, to: x.tensor))
    }

    package func apply(_ layer: LayerNorm, to x: Value) -> Value {
        note(.layerNorm(layer), [x], makeParameters(layer).apply(layer, to: x.tensor))
    }

    package func silu(_ x: Value) -> Value { note(.silu, [x], x.tensor.silu()) }
    package func gelu(_ x: Value) -> Value { note(.gelu, [x], x.tensor.gelu()) }

    package func attention(queries: Value, keys: Value, values: Value, heads: Int) -> Value {
        note(
            .attention(heads: heads), [queries, keys, values],
            .attention(queries: queries.tensor, keys: keys.tensor, values: values.tensor, heads: heads))
    }

    package func averagePooled(_ x: Value) -> Value { note(.averagePooled, [x], x.tensor.averagePooled()) }
    package func upsampled(_ x: Value) -> Value { note(.upsampled, [x], x.tensor.upsampled()) }
    package func sum(_ a: Value, _ b: Value) -> Value { note(.sum, [a, b], a.tensor + b.tensor) }
    package func product(_ a: Value, _ b: Value) -> Value { note(.product, [a, b], a.tensor * b.tensor) }

    package func shifted(_ x: Value, by shift: Value) -> Value {
        note(.shifted, [x, shift], x.tensor.shifted(by: shift.tensor))
    }

    package func modulated(_ x: Value, scale: Value, shift: Value) -> Value {
        note(.modulated, [x, scale, shift], x.tensor.modulated(scale: scale.tensor, shift: shift.tensor))
    }

    package func concatenated(_ parts: [Value], axis: Int) -> Value {
        note(.concatenated(axis: axis), parts, .concatenated(parts.map(\.tensor), axis: axis))
    }

    package func slice(_ x: Value, axis: Int, _ range: Range<Int>) -> Value {
        note(.slice(axis: axis, range), [x], x.tensor.slice(axis: axis, range))
    }

    package func reshaped(_ x: Value, _ shape: [Int]) -> Value {
        note(.reshaped(shape), [x], x.tensor.reshaped(shape))
    }

    package func transposed(_ x: Value) -> Value { note(.transposed, [x], x.tensor.transposed()) }
}

extension ClosedRange<Float> {
    fileprivate func scaled(_ factor: Float) -> Self { lowerBound * factor...upperBound * factor }
}
