import TensorFiles

/// Records what a network computes.
///
/// ```swift
/// let builder = GraphBuilder()
/// let x = builder.image([1, 32, 64, 64])
/// let convolution = Convolution("first", inputs: 32, outputs: 32, kernel: [3, 3])
/// let graph = builder.graph(endingIn: x + convolution(x).silu())
/// ```
///
/// Shapes that do not match are mistakes in the network's description, and stop the program: kernels do not check
/// shapes.
package final class GraphBuilder {
    /// Everything recorded so far.
    package private(set) var nodes: [Graph.Node] = []
    private var segments: [Graph.Segment] = []
    private var imageShapes: [[Int]] = [], sharedShapes: [[Int]] = []
    private var isWithinSegment = false

    package init() {}

    /// The next image: `[batch, channels, spatial...]`.
    package func image(_ shape: [Int]) -> GraphValue {
        imageShapes.append(shape)
        return record(.image(imageShapes.count - 1), [], shape, isTokens: false)
    }

    /// The next shared input: `[batch, channels]`, or `[batch, tokens, channels]`.
    package func shared(_ shape: [Int]) -> GraphValue {
        sharedShapes.append(shape)
        return record(.shared(sharedShapes.count - 1), [], shape, isTokens: shape.count == 3)
    }

    /// The result of the node at an index.
    package func value(at index: Int) -> GraphValue {
        GraphValue(builder: self, index: index, shape: nodes[index].shape, isTokens: nodes[index].isTokens)
    }

    /// The operations that a value needs; it is the result.
    package func graph(endingIn value: GraphValue) -> Graph {
        var needed: Set<Int> = []
        var front = [value.index]
        while let next = front.popLast() { if needed.insert(next).inserted { front += nodes[next].operands } }
        let kept = needed.sorted()
        let places = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
        let segments = segments.compactMap { segment -> Graph.Segment? in
            guard let last = places[segment.nodes.upperBound - 1] else { return nil }
            let count = segment.nodes.count { places[$0] != nil }
            return Graph.Segment(
                nodes: last + 1 - count..<last + 1, inputs: segment.inputs.compactMap { places[$0] })
        }
        precondition(
            segments.allSatisfy { segment in
                kept.indices.allSatisfy { index in
                    segment.nodes.contains(index)
                        || !nodes[kept[index]].operands.contains { segment.hides(places[$0] ?? 0) }
                }
            }, "a segment's intermediate results are used outside it")
        return Graph(
            nodes: kept.map { index in
                let node = nodes[index]
                return Graph.Node(
                    operation: node.operation, operands: node.operands.compactMap { places[$0] },
                    shape: node.shape, isTokens: node.isTokens)
            }, segments: segments, imageShapes: imageShapes, sharedShapes: sharedShapes)
    }

    fileprivate func record(
        _ operation: Graph.Operation, _ operands: [GraphValue], _ shape: [Int], isTokens: Bool
    ) -> GraphValue {
        precondition(
            operands.allSatisfy { $0.builder === self }, "\(operation.name) joins values of two graphs")
        nodes.append(
            Graph.Node(operation: operation, operands: operands.map(\.index), shape: shape, isTokens: isTokens))
        return GraphValue(builder: self, index: nodes.count - 1, shape: shape, isTokens: isTokens)
    }

    /// Records `body` as a segment. Segments within segments are part of the outermost.
    fileprivate func segment(_ body: () -> GraphValue) -> GraphValue {
        guard !isWithinSegment else { return body() }
        isWithinSegment = true
        defer { isWithinSegment = false }
        let first = nodes.count
        let result = body()
        precondition(result.index == nodes.count - 1 && result.index >= first, "a segment ends in its result")
        let inputs = Set(nodes[first...].flatMap(\.operands)).filter { $0 < first }
        segments.append(Graph.Segment(nodes: first..<nodes.count, inputs: inputs.sorted()))
        return result
    }
}

/// The result of an operation that has been recorded.
package struct GraphValue {
    fileprivate let builder: GraphBuilder
    /// The index of the operation's node.
    package let index: Int
    package let shape: [Int]
    /// Whether the shape is `[batch, tokens, channels...]` rather than `[batch, channels, spatial...]`.
    package let isTokens: Bool

    /// `body` of this value as a segment, which may be evaluated again in the backward pass.
    package func segment(_ body: (GraphValue) -> GraphValue) -> GraphValue { builder.segment { body(self) } }

    func record(
        _ operation: Graph.Operation, with others: [GraphValue] = [], shape: [Int]? = nil, isTokens: Bool? = nil
    ) -> GraphValue {
        builder.record(operation, [self] + others, shape ?? self.shape, isTokens: isTokens ?? self.isTokens)
    }
}

/// Operations without parameters.
extension GraphValue {
    /// x / (1 + e^-x), element by element.
    package func silu() -> GraphValue { record(.silu) }
    /// x / 2 (1 + erf(x / sqrt 2)), element by element.
    package func gelu() -> GraphValue { record(.gelu) }
    /// max(0, x), element by element.
    package func relu() -> GraphValue { record(.relu) }
    /// x, or slope x where x is negative, element by element.
    package func leakyReLU(slope: Float) -> GraphValue { record(.leakyReLU(slope: slope)) }

    /// Multi-head attention of `[batch, tokens, width]` to keys and values of `[batch, context tokens, width]`.
    package func attention(keys: GraphValue, values: GraphValue, heads: Int) -> GraphValue {
        precondition(
            keys.shape == values.shape && shape.last == keys.shape.last && shape.count == keys.shape.count
                && keys.shape[keys.shape.count - 1] % heads == 0,
            "queries \(shape), keys \(keys.shape) and values \(values.shape) do not fit \(heads) heads")
        return record(.attention(heads: heads), with: [keys, values], isTokens: true)
    }

    /// Half the resolution: every spatial axis of `[batch, channels, ...]` averaged in pairs.
    package func averagePooled() -> GraphValue {
        precondition(shape[2...].allSatisfy { $0 % 2 == 0 }, "the extents of \(shape) are not even")
        return record(.averagePooled, shape: shape[..<2] + shape[2...].map { $0 / 2 })
    }

    /// Twice the resolution: every element of `[batch, channels, ...]` repeated along each spatial axis.
    package func upsampled() -> GraphValue {
        record(.upsampled, shape: shape[..<2] + shape[2...].map { $0 * 2 })
    }

    /// The sum, element by element, of values of one shape.
    package static func + (a: GraphValue, b: GraphValue) -> GraphValue {
        precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) cannot be added")
        return a.record(.sum, with: [b])
    }

    /// The product, element by element, of values of one shape.
    package static func * (a: GraphValue, b: GraphValue) -> GraphValue {
        precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) cannot be multiplied")
        return a.record(.product, with: [b])
    }

    /// x + shift: `[batch, channels, ...]` and `[batch, channels]`.
    package func shifted(by shift: GraphValue) -> GraphValue {
        precondition(shift.shape[..<2] == shape[..<2], "a shift \(shift.shape) does not fit \(shape)")
        return record(.shifted, with: [shift])
    }

    /// x (1 + scale) + shift: `[batch, channels, ...]`, and scale and shift of `[batch, channels]`, or maps of x's shape.
    package func modulated(scale: GraphValue, shift: GraphValue) -> GraphValue {
        precondition(
            scale.shape == shift.shape && (scale.shape == Array(shape[..<2]) || scale.shape == shape),
            "a scale \(scale.shape) and a shift \(shift.shape) do not fit \(shape)")
        return record(.modulated, with: [scale, shift])
    }

    /// Values one after the other along an axis; their other extents are equal.
    package static func concatenated(_ parts: [GraphValue], axis: Int) -> GraphValue {
        let shape = Tensor.concatenatedShape(parts.map(\.shape), axis: axis)
        return parts[0].record(.concatenated(axis: axis), with: Array(parts.dropFirst()), shape: shape)
    }

    /// The part of a value where the index along `axis` lies in `range`.
    package func slice(axis: Int, _ range: Range<Int>) -> GraphValue {
        precondition(
            0 <= range.lowerBound && range.upperBound <= shape[axis],
            "\(range) lies outside axis \(axis) of \(shape)")
        var part = shape
        part[axis] = range.count
        return record(.slice(axis: axis, range), shape: part)
    }

    /// The same numbers under another shape.
    package func reshaped(_ shape: [Int]) -> GraphValue {
        precondition(
            shape.reduce(1, *) == self.shape.reduce(1, *), "\(self.shape) and \(shape) differ in their count")
        return record(.reshaped, shape: shape)
    }

    /// The last two axes exchanged.
    package func transposed() -> GraphValue {
        precondition(shape.count >= 2, "\(shape) has no two axes to exchange")
        return record(
            .transposed, shape: shape.dropLast(2) + [shape[shape.count - 1], shape[shape.count - 2]],
            isTokens: !isTokens)
    }
}
