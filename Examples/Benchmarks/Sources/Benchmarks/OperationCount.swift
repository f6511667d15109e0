import Networks

/// The work of a network.
struct Work: Codable {
    /// Multiplications and additions of convolutions, linear maps and attention by their definition: two for each
    /// weight and pixel.
    var operations = 0.0
    /// The operations left if convolutions of stride 1 use Winograd's form, which has a quarter of those of 3 x 3, and a
    /// sixth of those of 3 x 3 x 3.
    var products = 0.0
    /// The bytes of packed weights and of each layer's inputs and outputs, each counted once.
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

/// Counts the operations of a network's graph.
enum OperationCount {
    /// The work of a network on one window.
    static func work(of network: any Network, size: Int, usesWinograd: Bool = true) -> Work {
        work(of: network, size: [size, size], usesWinograd: usesWinograd)
    }

    /// The work of a network on one image of these spatial extents.
    static func work(of network: any Network, size: [Int], usesWinograd: Bool = true) -> Work {
        let graph = network.graph(batch: 1, size: size)
        return graph.nodes.reduce(into: Work()) { work, node in
            let operands = node.operands.map { graph.nodes[$0].shape }
            switch node.operation {
            case .linear(let layer):
                work.add(
                    operations: 2 * operands[0].reduce(1, *) * layer.weight.shape[0], reads: operands,
                    weight: layer.weight.shape, writes: node.shape)
            case .convolution(let layer):
                work.add(
                    operations: 2 * node.shape.reduce(1, *) * layer.weight.shape[1...].reduce(1, *),
                    reads: operands, weight: layer.weight.shape, writes: node.shape,
                    saving: usesWinograd && layer.kernel.count > 1
                        && layer.kernel.allSatisfy { $0 == 3 } && layer.stride.allSatisfy { $0 == 1 }
                        ? (layer.kernel.count == 3 ? 6 : 4) : 1)
            case .attention:
                work.add(
                    operations: 4 * node.shape.reduce(1, *) * operands[1][1], reads: operands, weight: [],
                    writes: node.shape)
            default: break
            }
        }
    }

    /// The operations of training on one window by their definition: the forward pass, and twice as many in the backward
    /// pass, for the gradients of both factors of each product.
    ///
    /// They include the gradients of the network's inputs, which are not computed: about a thousandth.
    static func trainingOperations(of network: any Network, size: Int) -> Double {
        3 * work(of: network, size: size).operations
    }
}

extension Work {
    fileprivate mutating func add(
        operations: Int, reads: [[Int]], weight: [Int], writes: [Int], saving: Double = 1
    ) {
        self.operations += Double(operations)
        products += Double(operations) / saving
        // 36 numbers for nine of a kernel; along planes four for three.
        let weights = weight.isEmpty ? 0 : Double(weight.reduce(1, *)) * (saving == 6 ? 16 / 3.0 : saving)
        bytes += 4 * (weights + Double((reads + [writes]).reduce(0) { $0 + $1.reduce(1, *) }))
    }
}
