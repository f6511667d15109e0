import Networks
import TensorFiles

/// A set of a graph's inputs: its images as one, and each shared input.
struct Dependence: OptionSet, Hashable, Sendable {
    let rawValue: UInt64
    static let images = Dependence(rawValue: 1)
    static func shared(_ index: Int) -> Dependence { Dependence(rawValue: 2 << UInt64(index)) }
}

extension Graph {
    /// The inputs that each node depends on.
    var dependences: [Dependence] {
        nodes.reduce(into: []) { dependences, node in
            switch node.operation {
            case .image: dependences.append(.images)
            case .shared(let index): dependences.append(.shared(index))
            default: dependences.append(node.operands.reduce(into: []) { $0.formUnion(dependences[$1]) })
            }
        }
    }
}

/// The results of a graph's operations that depend on shared inputs alone: computed once for each set of inputs.
struct SharedValues: Sendable {
    private let buffers: [Int: FloatBuffer]

    fileprivate init(_ buffers: [Int: FloatBuffer]) { self.buffers = buffers }

    /// The numbers of a node's result.
    subscript(index: Int) -> FloatBuffer {
        guard let buffer = buffers[index] else { preconditionFailure("node \(index) is not shared") }
        return buffer
    }
}

/// Computes shared values, and keeps those of the last inputs.
///
/// Operations are grouped by the inputs on which they depend, and the values of each group are kept separately: after
/// a new timestep, what follows from the style key is not computed again.
final class SharedComputation: Sendable {
    private let evaluator: PlainEvaluator
    private let graph: Graph
    /// Every operation that is shared, by the inputs on which it depends; those with fewer come first, as they never
    /// need one with more.
    private let groups: [Group]
    /// The operations whose results the images' operations use.
    private let wanted: Set<Int>

    private struct Group: Sendable {
        let dependence: Dependence
        var operations: [Int]
        /// For the shared inputs of a few volumes at once.
        let results = RecentValues<[Tensor], Results>(capacity: 4)
    }

    private struct Results: Sendable {
        let values: [Int: Tensor]
        let buffers: [Int: FloatBuffer]
    }

    init(_ graph: Graph, parameters: [String: Tensor]) {
        self.graph = graph
        evaluator = PlainEvaluator(parameters: parameters)
        let dependences = graph.dependences
        let shared = graph.nodes.indices.filter { !dependences[$0].contains(.images) }
        var groups: [Group] = []
        for index in shared {
            if let place = groups.firstIndex(where: { $0.dependence == dependences[index] }) {
                groups[place].operations.append(index)
            } else {
                groups.append(Group(dependence: dependences[index], operations: [index]))
            }
        }
        self.groups = groups.sorted {
            $0.dependence.rawValue.nonzeroBitCount < $1.dependence.rawValue.nonzeroBitCount
        }
        let used = graph.nodes.indices.filter { dependences[$0].contains(.images) }
            .flatMap { graph.nodes[$0].operands }
        wanted = Set(used).intersection(shared)
    }

    /// The values that follow from some inputs.
    ///
    /// - Throws: `UnsupportedOperation`.
    func values(of inputs: [Tensor]) throws -> SharedValues {
        var values: [Int: Tensor] = [:]
        var buffers: [Int: FloatBuffer] = [:]
        for group in groups {
            let own = inputs.indices.filter { group.dependence.contains(.shared($0)) }.map { inputs[$0] }
            let results = try group.results.value(of: own) { () throws in
                try compute(group.operations, inputs: inputs, values)
            }
            values.merge(results.values) { $1 }
            buffers.merge(results.buffers) { $1 }
        }
        return SharedValues(buffers)
    }

    private func compute(
        _ operations: [Int], inputs: [Tensor], _ known: [Int: Tensor]
    ) throws(UnsupportedOperation) -> Results {
        var values = known
        for index in operations {
            let node = graph.nodes[index]
            if case .shared(let input) = node.operation {
                values[index] = inputs[input]
            } else {
                values[index] = try evaluator.result(of: node, node.operands.compactMap { values[$0] })
            }
        }
        let results = values.filter { operations.contains($0.key) }
        return Results(
            values: results,
            buffers: results.filter { wanted.contains($0.key) }.mapValues { FloatBuffer($0.values) })
    }
}
