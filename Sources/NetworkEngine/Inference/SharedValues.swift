import Networks
import Synchronization
import TensorFiles

/// What a network's operations give that depend on shared inputs alone: computed once for each set of inputs.
struct SharedValues: Sendable {
    private let buffers: [Int: FloatBuffer]

    init(_ buffers: [Int: FloatBuffer]) { self.buffers = buffers }

    /// The numbers of an operation's result.
    subscript(index: Int) -> UnsafePointer<Float> {
        guard let buffer = buffers[index] else { preconditionFailure("operation \(index) is not shared") }
        return UnsafePointer(buffer.start)
    }
}

/// Computes shared values, and remembers those of the last inputs.
///
/// Operations are grouped by the inputs on which they depend, and each group is remembered by itself: a new time
/// step does not make what follows from the style key be computed again.
final class SharedComputation: Sendable {
    private let arithmetic: TensorArithmetic
    private let nodes: [NetworkRecorder.Node]
    /// Of every operation that is shared, those on which it depends first; grouped.
    private let groups: [(dependence: NetworkRecorder.Dependence, operations: [Int])]
    /// The operations whose results the window's operations use.
    private let wanted: Set<Int>
    private let memory = Mutex<[NetworkRecorder.Dependence: [Remembered]]>([:])

    private struct Remembered {
        let inputs: [Tensor]
        let values: [Int: Tensor]
        let buffers: [Int: FloatBuffer]
    }

    /// How many inputs' results are remembered for each group: enough for a few volumes at once.
    private static let capacity = 4

    init(_ nodes: [NetworkRecorder.Node], parameters: [String: Tensor]) {
        self.nodes = nodes
        arithmetic = TensorArithmetic(parameters: parameters)
        let shared = nodes.indices.filter { !nodes[$0].dependence.contains(.window) }
        var groups: [(dependence: NetworkRecorder.Dependence, operations: [Int])] = []
        for index in shared {
            if let place = groups.firstIndex(where: { $0.dependence == nodes[index].dependence }) {
                groups[place].operations.append(index)
            } else {
                groups.append((nodes[index].dependence, [index]))
            }
        }
        // A group that depends on fewer inputs never needs one that depends on more.
        self.groups = groups.sorted {
            $0.dependence.rawValue.nonzeroBitCount < $1.dependence.rawValue.nonzeroBitCount
        }
        wanted = Set(nodes.filter { $0.dependence.contains(.window) }.flatMap(\.operands)).intersection(shared)
    }

    /// The values that follow from some inputs.
    func values(of inputs: [Tensor]) -> SharedValues {
        var values: [Int: Tensor] = [:]
        var buffers: [Int: FloatBuffer] = [:]
        for group in groups {
            let own = inputs.indices.filter { group.dependence.contains(.shared($0)) }.map { inputs[$0] }
            let known = memory.withLock { $0[group.dependence]?.first { $0.inputs == own } }
            let result = known ?? compute(group.operations, own, inputs: inputs, values)
            if known == nil {
                memory.withLock { memory in
                    let others = memory[group.dependence, default: []].prefix(Self.capacity - 1)
                    memory[group.dependence] = [result] + others
                }
            }
            values.merge(result.values) { $1 }
            buffers.merge(result.buffers) { $1 }
        }
        return SharedValues(buffers)
    }

    private func compute(
        _ operations: [Int], _ own: [Tensor], inputs: [Tensor], _ known: [Int: Tensor]
    ) -> Remembered {
        var values = known
        for index in operations {
            values[index] = arithmetic.result(
                of: nodes[index].operation, shape: nodes[index].shape, inputs: inputs,
                nodes[index].operands.map { operand in
                    guard let value = values[operand] else { preconditionFailure("\(operand) is not computed") }
                    return value
                })
        }
        let results = values.filter { operations.contains($0.key) }
        let buffers = results.filter { wanted.contains($0.key) }.mapValues { FloatBuffer($0.values) }
        return Remembered(inputs: own, values: results, buffers: buffers)
    }
}

extension LayerArithmetic {
    /// The result of a recorded operation.
    fileprivate func result(
        of operation: NetworkRecorder.Operation, shape: [Int], inputs: [Value], _ operands: [Value]
    ) -> Value {
        switch operation {
        case .image: preconditionFailure("an image of the window is not shared")
        case .shared(let index): inputs[index]
        case .linear(let layer): apply(layer, to: operands[0])
        case .convolution(let layer): apply(layer, to: operands[0])
        case .groupNorm(let layer): apply(layer, to: operands[0])
        case .layerNorm(let layer): apply(layer, to: operands[0])
        case .silu: silu(operands[0])
        case .gelu: gelu(operands[0])
        case .attention(let heads):
            attention(queries: operands[0], keys: operands[1], values: operands[2], heads: heads)
        case .averagePooled: averagePooled(operands[0])
        case .upsampled: upsampled(operands[0])
        case .sum: sum(operands[0], operands[1])
        case .product: product(operands[0], operands[1])
        case .shifted: shifted(operands[0], by: operands[1])
        case .modulated: modulated(operands[0], scale: operands[1], shift: operands[2])
        case .concatenated(let axis): concatenated(operands, axis: axis)
        case .slice(let axis, let range): slice(operands[0], axis: axis, range)
        case .reshaped: reshaped(operands[0], shape)
        case .transposed: transposed(operands[0])
        }
    }
}
