import NetworkEngine
import Networks
import TensorFiles
import TestSupport

/// A graph with random inputs and parameters, and what the plain evaluator gives for every node.
///
/// Whatever is recorded with it can be compiled and compared: the result of the whole, and every result before it.
package final class PlainTrace {
    package let builder = GraphBuilder()
    /// The images and the shared inputs.
    package private(set) var images: [Tensor] = []
    package private(set) var shared: [Tensor] = []
    private var parameters: [String: Tensor] = [:]
    private var generator: SeededGenerator

    /// A trace of nothing yet, whose random numbers follow from the generator's.
    package init(_ generator: inout SeededGenerator) {
        self.generator = SeededGenerator(seed: generator.next())
    }

    /// A random image, `[1, channels, extents...]`.
    package func image(_ channels: Int, _ extents: Int...) -> GraphValue {
        images.append(randomTensor([1, channels] + extents, &generator))
        return builder.image([1, channels] + extents)
    }

    /// A random shared input.
    package func shared(_ shape: [Int]) -> GraphValue {
        shared.append(randomTensor(shape, &generator))
        return builder.shared(shape)
    }

    /// The same numbers as an image, `[1, channels, rows, columns]` or of a volume: what a compiled network ends in.
    package func image(_ x: GraphValue) -> GraphValue {
        guard x.isTokens else { return x.shape.count >= 4 ? x : x.reshaped(x.shape[..<2] + [1, x.shape[2]]) }
        let flat = x.shape.count == 3 ? x : x.reshaped([1, x.shape[1], x.shape[2...].reduce(1, *)])
        return image(flat.transposed())
    }

    /// Random parameters for a graph, the same whenever they are asked for: weights leave numbers about as large as
    /// they are; scales lie about 1.
    package func parameters(of graph: Graph) -> [String: Tensor] {
        for parameter in graph.nodes.flatMap(\.operation.parameters) where parameters[parameter.name] == nil {
            let inputs = parameter.shape.dropFirst().reduce(1, *)
            let isScale = parameter.shape.count == 1 && parameter.name.hasSuffix("weight")
            let bound = (3 / Float(inputs)).squareRoot()
            let range: ClosedRange<Float> =
                isScale ? 0.5...1.5 : parameter.shape.count == 1 ? -0.3...0.3 : -bound...bound
            parameters[parameter.name] = randomTensor(parameter.shape, in: range, &generator)
        }
        return parameters
    }
}

/// A network of one size, as it was recorded.
package struct RecordedNetwork: Network {
    private let graph: Graph

    package init(_ graph: Graph) { self.graph = graph }

    package var parameters: [Parameter] { graph.nodes.flatMap(\.operation.parameters) }

    package func graph(batch: Int, size: [Int]) -> Graph {
        precondition(graph.imageShapes.allSatisfy { $0 == [batch, $0[1]] + size }, "there is one size alone")
        return graph
    }
}

extension PlainTrace {
    /// What the compiled network that ends in `value` gives.
    package func compiled(
        _ value: GraphValue, options: ComputeOptions = ComputeOptions(threads: 1)
    ) throws -> (tensor: Tensor, error: Double) {
        let graph = builder.graph(endingIn: image(value))
        let expected = try PlainEvaluator(parameters: parameters(of: graph))(
            graph, images: images, shared: shared)
        let found = try compile(graph, options: options)(images: images, shared: shared)
        return (found, Self.error(of: found, expected: expected))
    }

    /// A graph with its random parameters, compiled.
    package func compile(_ graph: Graph, options: ComputeOptions) throws -> CompiledNetwork {
        let parameters = parameters(of: graph)
        return try CompiledNetwork(
            RecordedNetwork(graph), planned: Array(images[0].shape[2...]), options: options
        ) { parameters[$0.name]! }
    }

    /// The greatest error of all results that depend on images and whose operation's name `isCut` accepts, each
    /// compiled as the end of a network of its own, and what gives it.
    package func worst(
        options: ComputeOptions = ComputeOptions(threads: 1), where isCut: (String) -> Bool = { _ in true }
    ) throws -> (error: Double, place: String) {
        var worst = (error: 0.0, place: "")
        var dependsOnImages: [Bool] = []
        for (index, node) in builder.nodes.enumerated() {
            let isImage = if case .image = node.operation { true } else { false }
            dependsOnImages.append(isImage || node.operands.contains { dependsOnImages[$0] })
            guard dependsOnImages[index], !isImage, isCut(node.operation.name) else { continue }
            let error = try compiled(builder.value(at: index), options: options).error
            // What is not a number is worst of all.
            if !(error <= worst.error) { worst = (error, "\(index): \(node.description)") }
        }
        return worst
    }

    /// Relative L2, or infinity where the shapes differ.
    private static func error(of found: Tensor, expected: Tensor) -> Double {
        guard found.shape == expected.shape else { return .infinity }
        let isZero = expected.values.allSatisfy { $0 == 0 }
        return isZero ? (found == expected ? 0 : .infinity) : relativeL2(found.values, expected.values)
    }
}
