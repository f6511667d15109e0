import Networks

/// Writes down what a network does instead of doing it: the first half of compiling one.
///
/// Inputs are of two kinds. A window's images differ in every evaluation; shared inputs, such as the time and the
/// style key, stay the same for many. What depends on shared inputs alone is computed once for all of them.
final class NetworkRecorder: LayerArithmetic {
    /// What an operation gives: its place in the record, and its shape.
    struct Value {
        let index: Int
        let shape: [Int]
    }

    /// One operation, its operands' places in the record, and the shape of what it gives.
    struct Node: Sendable {
        let operation: Operation
        let operands: [Int]
        let shape: [Int]
        /// Which inputs it depends on.
        let dependence: Dependence
    }

    /// An operation of `LayerArithmetic`.
    enum Operation: Sendable {
        case image(Int), shared(Int)
        case linear(Linear), convolution(Convolution), groupNorm(GroupNorm), layerNorm(LayerNorm)
        case silu, gelu, attention(heads: Int), averagePooled, upsampled
        case sum, product, shifted, modulated
        case concatenated(axis: Int), slice(axis: Int, Range<Int>), reshaped, transposed
    }

    /// A set of inputs: those of the window as one, and each shared one.
    struct Dependence: OptionSet, Hashable, Sendable {
        let rawValue: UInt64
        static let window = Dependence(rawValue: 1)
        static func shared(_ index: Int) -> Dependence { Dependence(rawValue: 2 << UInt64(index)) }
    }

    private(set) var nodes: [Node] = []

    /// An image of the window, `[1, channels, rows, columns]`.
    func image(_ index: Int, shape: [Int]) -> Value { record(.image(index), shape: shape, from: .window) }

    /// A shared input.
    func shared(_ index: Int, shape: [Int]) -> Value {
        record(.shared(index), shape: shape, from: .shared(index))
    }

    private func record(
        _ operation: Operation, _ operands: Value..., shape: [Int], from: Dependence = []
    ) -> Value {
        record(operation, operands, shape: shape, from: from)
    }

    private func record(
        _ operation: Operation, _ operands: [Value], shape: [Int], from: Dependence = []
    ) -> Value {
        let dependence = operands.reduce(from) { $0.union(nodes[$1.index].dependence) }
        nodes.append(
            Node(operation: operation, operands: operands.map(\.index), shape: shape, dependence: dependence))
        return Value(index: nodes.count - 1, shape: shape)
    }

    func shape(of x: Value) -> [Int] { x.shape }

    // Kernels trust shapes: what does not fit would be read from beyond its end.

    func apply(_ layer: Linear, to x: Value) -> Value {
        precondition(x.shape.last == layer.weight.shape[1], "\(layer) does not fit \(x.shape)")
        return record(.linear(layer), x, shape: x.shape.dropLast() + [layer.weight.shape[0]])
    }

    func apply(_ layer: Convolution, to x: Value) -> Value {
        precondition(
            layer.weight.shape.count == x.shape.count && layer.weight.shape[1] == x.shape[1],
            "\(layer) does not fit \(x.shape)")
        let spatial = zip(x.shape[2...], layer.weight.shape[2...]).map { extent, kernel in
            (extent + 2 * layer.padding - kernel) / layer.stride + 1
        }
        return record(.convolution(layer), x, shape: [x.shape[0], layer.weight.shape[0]] + spatial)
    }

    func apply(_ layer: GroupNorm, to x: Value) -> Value {
        precondition(
            layer.weight.shape == [x.shape[1]] && x.shape[1] % GroupNorm.groups == 0,
            "\(layer) does not fit \(x.shape)")
        return record(.groupNorm(layer), x, shape: x.shape)
    }

    func apply(_ layer: LayerNorm, to x: Value) -> Value {
        precondition(layer.weight.shape == [x.shape[x.shape.count - 1]], "\(layer) does not fit \(x.shape)")
        return record(.layerNorm(layer), x, shape: x.shape)
    }

    func silu(_ x: Value) -> Value { record(.silu, x, shape: x.shape) }
    func gelu(_ x: Value) -> Value { record(.gelu, x, shape: x.shape) }

    func attention(queries: Value, keys: Value, values: Value, heads: Int) -> Value {
        precondition(
            keys.shape == values.shape && queries.shape.last == keys.shape.last
                && keys.shape[keys.shape.count - 1] % heads == 0,
            "queries \(queries.shape), keys \(keys.shape) and values \(values.shape) do not fit \(heads) heads")
        return record(.attention(heads: heads), queries, keys, values, shape: queries.shape)
    }

    func averagePooled(_ x: Value) -> Value {
        precondition(x.shape[2...].allSatisfy { $0 % 2 == 0 }, "\(x.shape) has no whole number of pairs")
        return record(.averagePooled, x, shape: x.shape[..<2] + x.shape[2...].map { $0 / 2 })
    }

    func upsampled(_ x: Value) -> Value {
        record(.upsampled, x, shape: x.shape[..<2] + x.shape[2...].map { $0 * 2 })
    }

    func sum(_ a: Value, _ b: Value) -> Value {
        precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) cannot be added")
        return record(.sum, a, b, shape: a.shape)
    }

    func product(_ a: Value, _ b: Value) -> Value {
        precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) cannot be multiplied")
        return record(.product, a, b, shape: a.shape)
    }

    func shifted(_ x: Value, by shift: Value) -> Value {
        precondition(shift.shape[..<2] == x.shape[..<2], "a shift \(shift.shape) does not fit \(x.shape)")
        return record(.shifted, x, shift, shape: x.shape)
    }

    func modulated(_ x: Value, scale: Value, shift: Value) -> Value {
        precondition(
            scale.shape[..<2] == x.shape[..<2] && shift.shape[..<2] == x.shape[..<2],
            "a scale \(scale.shape) and a shift \(shift.shape) do not fit \(x.shape)")
        return record(.modulated, x, scale, shift, shape: x.shape)
    }

    func concatenated(_ parts: [Value], axis: Int) -> Value {
        var shape = parts[0].shape
        shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
        return record(.concatenated(axis: axis), parts, shape: shape)
    }

    func slice(_ x: Value, axis: Int, _ range: Range<Int>) -> Value {
        var shape = x.shape
        shape[axis] = range.count
        return record(.slice(axis: axis, range), x, shape: shape)
    }

    func reshaped(_ x: Value, _ shape: [Int]) -> Value { record(.reshaped, x, shape: shape) }

    func transposed(_ x: Value) -> Value {
        record(
            .transposed, x,
            shape: x.shape.dropLast(2) + [x.shape[x.shape.count - 1], x.shape[x.shape.count - 2]])
    }
}
