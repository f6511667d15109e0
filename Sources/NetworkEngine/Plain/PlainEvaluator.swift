import Foundation
import Networks
import TensorFiles

/// Evaluates a graph on tensors, one operation after the other, on the calling thread.
///
/// This is the reference that the compiled engine and the gradients are tested against. An item of a batch has the same
/// bits in any batch.
package struct PlainEvaluator: Sendable {
    private let parameters: [String: Tensor]

    /// An evaluator with these parameters, by name.
    ///
    /// - Precondition: there is a parameter of the right shape for each layer that is evaluated.
    package init(parameters: [String: Tensor]) { self.parameters = parameters }

    /// The graph's result.
    ///
    /// - Parameters:
    ///   - graph: the graph.
    ///   - images: one tensor for each of the graph's `imageShapes`.
    ///   - shared: one for each of its `sharedShapes`.
    /// - Throws: `UnsupportedOperation`.
    package func callAsFunction(_ graph: Graph, images: [Tensor], shared: [Tensor] = []) throws -> Tensor {
        try results(of: graph, images: images, shared: shared)[graph.nodes.count - 1]
    }

    /// The result of every node of the graph.
    package func results(of graph: Graph, images: [Tensor], shared: [Tensor] = []) throws -> [Tensor] {
        precondition(
            images.map(\.shape) == graph.imageShapes && shared.map(\.shape) == graph.sharedShapes,
            "inputs of \(images.map(\.shape)) and \(shared.map(\.shape)) are not those of the graph")
        return try graph.nodes.reduce(into: []) { results, node in
            switch node.operation {
            case .image(let index): results.append(images[index])
            case .shared(let index): results.append(shared[index])
            default: results.append(try result(of: node, node.operands.map { results[$0] }))
            }
        }
    }

    /// The result of one operation that is not an input.
    func result(of node: Graph.Node, _ operands: [Tensor]) throws(UnsupportedOperation) -> Tensor {
        let x = operands[0]
        switch node.operation {
        case .linear(let layer): return x.linear(weight: tensor(layer.weight), bias: layer.bias.map(tensor))
        case .convolution(let layer): return x.convolved(layer, tensor(layer.weight), layer.bias.map(tensor))
        case .groupNorm(let layer):
            return x.groupNormalized(
                groups: layer.groups, weight: layer.weight.map(tensor), bias: layer.bias.map(tensor),
                epsilon: layer.epsilon)
        case .layerNorm(let layer):
            return x.layerNormalized(
                weight: tensor(layer.weight), bias: tensor(layer.bias), epsilon: layer.epsilon)
        case .codebook(let layer): return x.nearest(in: tensor(layer.weight))
        case .silu: return x.silu()
        case .gelu: return x.gelu()
        case .relu: return x.leakyReLU(slope: 0)
        case .leakyReLU(let slope): return x.leakyReLU(slope: slope)
        case .attention(let heads):
            return .attention(queries: x, keys: operands[1], values: operands[2], heads: heads)
        case .averagePooled: return x.averagePooled()
        case .upsampled: return x.upsampled()
        case .sum: return x + operands[1]
        case .product: return x * operands[1]
        case .shifted: return x.shifted(by: operands[1])
        case .modulated: return x.modulated(scale: operands[1], shift: operands[2])
        case .concatenated(let axis): return .concatenated(operands, axis: axis)
        case .slice(let axis, let range): return x.slice(axis: axis, range)
        case .reshaped: return x.reshaped(node.shape)
        case .transposed: return x.transposed()
        default: throw UnsupportedOperation(node, by: "the plain evaluator", reason: "it has no such operation")
        }
    }

    private func tensor(_ parameter: Parameter) -> Tensor { parameters[parameter] }
}

extension [String: Tensor] {
    /// The numbers of a parameter, which must exist.
    subscript(parameter: Parameter) -> Tensor {
        guard let tensor = self[parameter.name] else {
            preconditionFailure("there is no parameter \(parameter.name)")
        }
        return tensor
    }
}

/// An operation of a network that a part of the engine lacks.
package struct UnsupportedOperation: LocalizedError, Equatable, CustomStringConvertible {
    /// The operation, with the shape of its result.
    package let operation: String
    /// The part of the engine that lacks it.
    package let engine: String
    /// What is not possible.
    package let reason: String

    init(_ node: Graph.Node, by engine: String, reason: String) {
        (operation, self.engine, self.reason) = (node.description, engine, reason)
    }

    package var description: String { "\(operation) is not supported by \(engine): \(reason)" }
    package var errorDescription: String? { description }
}
