import TensorFiles
import Testing

/// A tensor of random numbers in [-1, 1], or in `range`.
public func randomTensor(
    _ shape: [Int], in range: ClosedRange<Float> = -1...1, _ generator: inout SeededGenerator
) -> Tensor {
    Tensor(shape: shape, values: generator.floats(shape.reduce(1, *), in: range))
}

/// Every index of a shape, last axis fastest.
public func indices(of shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { prefixes, extent in
        prefixes.flatMap { prefix in (0..<extent).map { prefix + [$0] } }
    }
}

/// A tensor whose numbers are a function of their indices, rounded from double precision.
public func tabulated(_ shape: [Int], _ number: ([Int]) -> Double) -> Tensor {
    Tensor(shape: shape, values: indices(of: shape).map { Float(number($0)) })
}

extension Tensor {
    /// The number at an index, in double precision.
    public func at(_ index: [Int]) -> Double {
        Double(values[zip(index, shape).reduce(0) { $0 * $1.1 + $1.0 }])
    }
}

/// Requires the shapes to be equal and every number to be within `tolerance` of the expected one, relative to
/// the greatest expected.
public func requireClose(_ found: Tensor, _ expected: Tensor, tolerance: Float = 2e-6) throws {
    try #require(found.shape == expected.shape)
    let greatest = expected.values.map(abs).max() ?? 0
    let difference = largestDifference(found.values, expected.values)
    try #require(difference <= tolerance * max(1, greatest), "differs by \(difference)")
}
