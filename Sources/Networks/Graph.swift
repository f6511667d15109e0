/// What a network computes, for one size of its inputs: operations, each with the shape of its result.
///
/// A graph is made by a `GraphBuilder`. The operands of a node precede it in `nodes`, and the last node is the result.
/// An engine that lacks an operation throws an error that names it.
///
/// Values have the shape `[batch, channels, spatial...]`, or `[batch, tokens, channels...]` for tokens.
package struct Graph: Sendable {
    /// An operation, its operands, and the shape of its result.
    package struct Node: Sendable {
        package let operation: Operation
        /// The indices of the nodes whose results it takes.
        package let operands: [Int]
        package let shape: [Int]
        /// Whether the shape is `[batch, tokens, channels...]` rather than `[batch, channels, spatial...]`.
        package let isTokens: Bool

        /// The operation with the shape of its result.
        package var description: String { "\(operation.name)\(operation.path) to \(shape)" }
    }

    /// What a node computes from its operands, a, b, ...
    package enum Operation: Sendable {
        /// An input that differs in every evaluation, such as the noisy slices.
        case image(Int)
        /// An input shared by several evaluations, such as the timestep's sinusoids.
        case shared(Int)
        case linear(Linear), convolution(Convolution), groupNorm(GroupNorm), layerNorm(LayerNorm)
        case codebook(Codebook)
        /// x / (1 + e^-x); x / 2 (1 + erf(x / sqrt 2)); max(0, x); and x, or slope x where x is negative.
        case silu, gelu, relu, leakyReLU(slope: Float)
        /// For each head, softmax(Q K^T / sqrt d) V, of queries, keys and values `[batch, tokens, heads d]`.
        case attention(heads: Int)
        /// Every spatial axis averaged in pairs; every element repeated twice along each spatial axis.
        case averagePooled, upsampled
        /// a + b and a b, element by element, of one shape.
        case sum, product
        /// a + b, with b `[batch, channels]`; a (1 + b) + c, with b and c `[batch, channels]` or of a's shape.
        case shifted, modulated
        case concatenated(axis: Int), slice(axis: Int, Range<Int>)
        /// The same numbers under the node's shape; the last two axes exchanged.
        case reshaped, transposed

        /// The case's name.
        package var name: String { Mirror(reflecting: self).children.first?.label ?? "\(self)" }

        /// The layer's learned arrays, in the order of the layer.
        package var parameters: [Parameter] { layer?.parameters ?? [] }

        private var layer: (any Layer)? {
            switch self {
            case .linear(let layer): layer
            case .convolution(let layer): layer
            case .groupNorm(let layer): layer
            case .layerNorm(let layer): layer
            case .codebook(let layer): layer
            default: nil
            }
        }

        /// The name of the first parameter, quoted, for errors.
        fileprivate var path: String { parameters.first.map { " '\($0.name)'" } ?? "" }
    }

    /// Neighbouring nodes that may be evaluated again in the backward pass, so that only their inputs need be kept.
    package struct Segment: Sendable {
        /// The nodes; the result is the last of them, and no other is used after them.
        package let nodes: Range<Int>
        /// The nodes before them whose results they use.
        package let inputs: [Int]

        /// Whether a node is one of them other than the result.
        func hides(_ node: Int) -> Bool { nodes.dropLast().contains(node) }
    }

    /// In the order of evaluation.
    package let nodes: [Node]
    /// In the order of their nodes; none overlap.
    package let segments: [Segment]
    /// The shape of each image and of each shared input.
    package let imageShapes, sharedShapes: [[Int]]

    /// How many numbers a backward pass keeps: the results of all nodes, or with recomputation those of segments and of
    /// nodes outside. In floating point, since sizes from a file may be beyond any machine's.
    package func numbersKept(recomputing: Bool) -> Double {
        nodes.indices.filter { node in !recomputing || !segments.contains { $0.hides(node) } }
            .reduce(0) { sum, node in sum + nodes[node].shape.reduce(1) { $0 * Double($1) } }
    }
}

/// A description that gives a graph for each size of its inputs.
package protocol Network: Layer {
    /// What the network computes.
    ///
    /// - Parameters:
    ///   - batch: the extent of the first axis of all inputs.
    ///   - size: the spatial extents of the images.
    func graph(batch: Int, size: [Int]) -> Graph
}
