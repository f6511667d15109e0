import Foundation
import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// A network of a closure, for images of any shapes.
struct ComposedNetwork: Network {
    /// `[channels] + size` of each image.
    let shapes: [[Int]]
    let compose: @Sendable ([GraphValue]) -> GraphValue

    var parameters: [Parameter] {
        var known: Set<Parameter> = []
        return graph(batch: 1, size: []).nodes.flatMap(\.operation.parameters)
            .filter { known.insert($0).inserted }
    }

    func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        return builder.graph(endingIn: compose(shapes.map { builder.image([batch] + $0) }))
    }
}

/// Compares all gradients of a network, with respect to parameters and images, with differences of the plain evaluator, and
/// their bits on several threads and with recomputation.
///
/// The loss is the sum of the output times random weights, so that the differences of linear layers are exact.
///
/// - Parameters:
///   - step: the length of the difference, of numbers of about 1.
///   - tolerance: of a difference along a random direction, relative to what is typical for one.
func checkGradients(
    _ network: ComposedNetwork, batch: Int = 1, step: Double = 1e-2, tolerance: Double = 5e-3,
    _ generator: inout SeededGenerator
) throws {
    let graph = network.graph(batch: batch, size: [])
    var variables = graph.nodes.flatMap(\.operation.parameters).reduce(into: [String: Tensor]()) {
        let bound = 1 / Float($1.shape.dropFirst().reduce(1, *)).squareRoot()
        $0[$1.name] = randomTensor($1.shape, in: -bound...bound, &generator)
    }
    let names = graph.imageShapes.indices.map { "image \($0)" }
    for (name, shape) in zip(names, graph.imageShapes) { variables[name] = randomTensor(shape, &generator) }
    let weights = randomTensor(graph.nodes[graph.nodes.count - 1].shape, &generator)

    func gradients(threads: Int, recomputes: Bool = false) throws -> [String: Tensor] {
        let gradients = NetworkGradients(
            options: ComputeOptions(threads: threads), recomputesActivations: recomputes)
        let tape = gradients.tape(variables)
        let images = names.map { tape.input(variables[$0]!, wantsGradient: true) }
        try tape.differentiate([(try tape.evaluate(network, images: images), weights)])
        return tape.gradients.merging(zip(names, images.map(tape.gradient(of:)))) { $1 }
    }
    let found = try gradients(threads: 1)
    try #require(Set(found.keys) == Set(variables.keys))
    for threads in [2, 3, 5] {
        try #require(try gradients(threads: threads) == found, "\(threads) threads give other bits")
    }
    try #require(try gradients(threads: 2, recomputes: true) == found, "recomputation gives other bits")

    func outcome(_ variables: [String: Tensor]) throws -> (loss: Double, size: Double) {
        let output = try PlainEvaluator(parameters: variables)(graph, images: names.map { variables[$0]! })
        let products = zip(output.values, weights.values).map { Double($0) * Double($1) }
        return (products.reduce(0, +), norm(products))
    }
    let size = try outcome(variables).size
    for (name, gradient) in found.sorted(by: { $0.key < $1.key }) {
        let scale = variables[name]!.values.reduce(0) { max($0, abs($1)) }
        let direction = generator.floats(gradient.count, in: -1...1).map { $0 * scale }
        let losses = try [step, -step].map { step in
            var moved = variables
            moved[name]!.values = zip(variables[name]!.values, direction).map { $0 + Float(step) * $1 }
            return try outcome(moved).loss
        }
        let slope = zip(gradient.values, direction).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        let typical = norm(gradient.values.map(Double.init)) * Double(scale) / 3.squareRoot()
        let gap = abs(slope - (losses[0] - losses[1]) / (2 * step))
        try #require(
            gap < tolerance * typical + 1e-5 * size / step,
            "\(name) \(gradient.shape): \(slope), and by differences \((losses[0] - losses[1]) / (2 * step))")
    }
}


private func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
