import Networks

/// What a network asks of a machine.
struct Work: Codable {
    /// Multiplications and additions of convolutions, linear maps and attention, where each is done as it is
    /// defined: two for each weight and pixel.
    var operations = 0.0
    /// Those that are left where 3 x 3 convolutions of stride 1 take Winograd's form: a quarter of theirs.
    var products = 0.0
    /// The bytes of weights, packed, and of what each layer reads and writes, each once.
    var bytes = 0.0

    static func - (a: Work, b: Work) -> Work {
        Work(
            operations: a.operations - b.operations, products: a.products - b.products, bytes: a.bytes - b.bytes
        )
    }

    static func / (a: Work, b: Double) -> Work {
        Work(operations: a.operations / b, products: a.products / b, bytes: a.bytes / b)
    }
}

/// Counts what a network does instead of doing it; a value is its shape.
final class OperationCount: LayerArithmetic {
    private(set) var work = Work()
    private let usesWinograd: Bool

    private init(usesWinograd: Bool) { self.usesWinograd = usesWinograd }

    /// The work of a network on one window.
    static func work(
        of network: any CompilableNetwork, size: Int, usesWinograd: Bool = true
    ) -> Work {
        let count = OperationCount(usesWinograd: usesWinograd)
        let images = network.imageChannels.map { [1, $0, size, size] }
        _ = network(images: images, shared: network.sharedShapes, with: count)
        return count.work
    }

    /// The operations of learning from one window, as they are defined: evaluation, and on the way back each product
    /// twice more, once for the gradient of either factor.
    ///
    /// The gradients of the network's own inputs, which nobody needs, are counted with the rest: about a thousandth.
    static func trainingOperations(of network: any CompilableNetwork, size: Int) -> Double {
        3 * work(of: network, size: size).operations
    }

    private func add(
        operations: Int, reads: [[Int]], weight: [Int], writes: [Int], isWinograd: Bool = false
    ) {
        work.operations += Double(operations)
        work.products += Double(operations) / (isWinograd ? 4 : 1)
        let weights = weight.isEmpty ? 0 : weight.reduce(1, *) * (isWinograd ? 4 : 1)
        work.bytes += 4 * Double((reads + [writes]).reduce(weights) { $0 + $1.reduce(1, *) })
    }

    func shape(of x: [Int]) -> [Int] { x }

    func apply(_ layer: Linear, to x: [Int]) -> [Int] {
        let result: [Int] = x.dropLast() + [layer.weight.shape[0]]
        add(
            operations: 2 * x.reduce(1, *) * layer.weight.shape[0], reads: [x], weight: layer.weight.shape,
            writes: result)
        return result
    }

    func apply(_ layer: Convolution, to x: [Int]) -> [Int] {
        let kernel = Array(layer.weight.shape[2...])
        let result =
            [x[0], layer.weight.shape[0]]
            + zip(x[2...], kernel).map { ($0 + 2 * layer.padding - $1) / layer.stride + 1 }
        add(
            operations: 2 * result.reduce(1, *) * layer.weight.shape[1...].reduce(1, *), reads: [x],
            weight: layer.weight.shape, writes: result,
            isWinograd: usesWinograd && kernel == [3, 3] && layer.stride == 1)
        return result
    }

    func attention(queries: [Int], keys: [Int], values: [Int], heads: Int) -> [Int] {
        add(
            operations: 4 * queries.reduce(1, *) * keys[1], reads: [queries, keys, values], weight: [],
            writes: queries)
        return queries
    }

    func apply(_ layer: GroupNorm, to x: [Int]) -> [Int] { x }
    func apply(_ layer: LayerNorm, to x: [Int]) -> [Int] { x }
    func silu(_ x: [Int]) -> [Int] { x }
    func gelu(_ x: [Int]) -> [Int] { x }
    func averagePooled(_ x: [Int]) -> [Int] { x[..<2] + x[2...].map { $0 / 2 } }
    func upsampled(_ x: [Int]) -> [Int] { x[..<2] + x[2...].map { $0 * 2 } }
    func sum(_ a: [Int], _ b: [Int]) -> [Int] { a }
    func product(_ a: [Int], _ b: [Int]) -> [Int] { a }
    func shifted(_ x: [Int], by shift: [Int]) -> [Int] { x }
    func modulated(_ x: [Int], scale: [Int], shift: [Int]) -> [Int] { x }

    func concatenated(_ parts: [[Int]], axis: Int) -> [Int] {
        var result = parts[0]
        result[axis] = parts.reduce(0) { $0 + $1[axis] }
        return result
    }

    func slice(_ x: [Int], axis: Int, _ range: Range<Int>) -> [Int] {
        var result = x
        result[axis] = range.count
        return result
    }

    func reshaped(_ x: [Int], _ shape: [Int]) -> [Int] { shape }

    func transposed(_ x: [Int]) -> [Int] { x.dropLast(2) + [x[x.count - 1], x[x.count - 2]] }
}
