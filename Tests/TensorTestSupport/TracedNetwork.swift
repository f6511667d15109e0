import NetworkEngine
import Networks
import TensorFiles
import TestSupport

/// What a trace computes on the way to one of its results, as a network to compile.
package struct TracedNetwork: CompilableNetwork {
    package let imageChannels: [Int]
    package let sharedShapes: [[Int]]
    package let parameters: [Parameter]
    private let entries: [PlainTrace.Entry]
    /// The places that the result needs, in order; the last is the result.
    private let places: [Int]

    /// The network that ends in `value`, without anything that it does not need.
    package init(_ trace: PlainTrace, endingIn value: PlainTrace.Value) {
        imageChannels = trace.images.map { $0.shape[1] }
        sharedShapes = trace.shared.map(\.shape)
        parameters = trace.parameters.map { Parameter($0, $1.shape) }
        entries = trace.entries
        var needed: Set<Int> = []
        var front = [value.place]
        while let next = front.popLast() {
            if needed.insert(next).inserted { front += trace.entries[next].operands }
        }
        places = needed.sorted()
    }

    package func callAsFunction<A: LayerArithmetic>(
        images: [A.Value], shared: [A.Value], with arithmetic: A
    ) -> A.Value {
        var values: [Int: A.Value] = [:]
        for place in places {
            let operands = entries[place].operands.map { values[$0]! }
            values[place] =
                switch entries[place].operation {
                case .image(let index): images[index]
                case .shared(let index): shared[index]
                case .linear(let layer): layer(operands[0], with: arithmetic)
                case .convolution(let layer): layer(operands[0], with: arithmetic)
                case .groupNorm(let layer): layer(operands[0], with: arithmetic)
                case .layerNorm(let layer): layer(operands[0], with: arithmetic)
                case .silu: arithmetic.silu(operands[0])
                case .gelu: arithmetic.gelu(operands[0])
                case .attention(let heads):
                    arithmetic.attention(
                        queries: operands[0], keys: operands[1], values: operands[2], heads: heads)
                case .averagePooled: arithmetic.averagePooled(operands[0])
                case .upsampled: arithmetic.upsampled(operands[0])
                case .sum: arithmetic.sum(operands[0], operands[1])
                case .product: arithmetic.product(operands[0], operands[1])
                case .shifted: arithmetic.shifted(operands[0], by: operands[1])
                case .modulated: arithmetic.modulated(operands[0], scale: operands[1], shift: operands[2])
                case .concatenated(let axis): arithmetic.concatenated(operands, axis: axis)
                case .slice(let axis, let range): arithmetic.slice(operands[0], axis: axis, range)
                case .reshaped(let shape): arithmetic.reshaped(operands[0], shape)
                case .transposed: arithmetic.transposed(operands[0])
                }
        }
        return values[places[places.count - 1]]!
    }
}

extension PlainTrace {
    /// What the compiled network that ends in `value` gives.
    package func compiled(
        _ value: Value, options: ComputeOptions = ComputeOptions(threads: 1)
    ) throws -> (tensor: Tensor, error: Double) {
        let (value, parameters) = (image(value), parameters)
        let size = images[0].shape
        let network = try CompiledNetwork(
            TracedNetwork(self, endingIn: value), planned: (size[2], size[3]), options: options
        ) { parameters[$0.name]! }
        let found = try network(images: images, shared: shared)
        return (found, Self.error(of: found, expected: value.tensor))
    }

    /// The greatest error of all results that `isCut` names, each compiled as the end of a network of its own,
    /// and what gives it.
    package func worst(
        options: ComputeOptions = ComputeOptions(threads: 1), where isCut: (String) -> Bool = { _ in true }
    ) throws -> (error: Double, place: String) {
        var worst = (error: 0.0, place: "")
        for value in windowValues {
            let place = "\(entries[value.place].operation)"
            guard isCut(place) else { continue }
            let error = try compiled(value, options: options).error
            // What is not a number is worst of all.
            if !(error <= worst.error) { worst = (error, "\(value.place): \(place) to \(value.shape)") }
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
