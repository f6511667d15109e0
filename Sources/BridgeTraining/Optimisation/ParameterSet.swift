import Foundation
import VoxelSupport
public import Networks
public import TensorFiles

/// One array for each parameter of a network, in the network's order: parameters, their moving average, their
/// gradients, or an optimiser's moments.
///
/// Operations are elementwise and parallel; results do not depend on the number of threads.
public struct ParameterSet: Equatable, Sendable {
    /// Names and shapes, in the order of `arrays`.
    public let parameters: [Parameter]

    /// The values of each parameter, last axis fastest.
    public private(set) var arrays: [[Float]]

    /// A set filled with one value.
    public init(_ parameters: [Parameter], repeating value: Float = 0) {
        self.parameters = parameters
        arrays = parameters.map { [Float](repeating: value, count: $0.shape.reduce(1, *)) }
    }

    /// A set with one array for each parameter.
    package init(_ parameters: [Parameter], arrays: [[Float]]) {
        precondition(
            parameters.map { $0.shape.reduce(1, *) } == arrays.map(\.count), "arrays do not fit their shapes")
        (self.parameters, self.arrays) = (parameters, arrays)
    }

    /// A set of the tensors with the parameters' names.
    ///
    /// - Throws: `ParameterSetError` if one is missing or has another shape.
    public init(_ parameters: [Parameter], _ tensors: (String) throws -> Tensor?) throws {
        self.parameters = parameters
        arrays = try parameters.map { parameter in
            guard let tensor = try tensors(parameter.name) else {
                throw ParameterSetError(name: parameter.name, found: nil, expected: parameter.shape)
            }
            guard tensor.shape == parameter.shape else {
                throw ParameterSetError(name: parameter.name, found: tensor.shape, expected: parameter.shape)
            }
            return tensor.values
        }
    }

    /// The values as tensors, by name, which share the set's storage.
    public var tensors: [String: Tensor] {
        Dictionary(
            uniqueKeysWithValues: zip(parameters, arrays).map {
                ($0.name, Tensor(shape: $0.shape, values: $1))
            })
    }

    /// The total number of values.
    public var count: Int { arrays.reduce(0) { $0 + $1.count } }

    /// Gives one parameter other values, of the same number.
    package mutating func replace(_ name: String, with values: [Float]) {
        guard let index = parameters.firstIndex(where: { $0.name == name }) else { return }
        precondition(arrays[index].count == values.count, "the values do not fit \(name)")
        arrays[index] = values
    }

    /// Sets all values to zero.
    package mutating func clear() {
        for index in arrays.indices {
            arrays[index].withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
        }
    }

    /// `self <- a self + b other`.
    package mutating func blend(_ a: Float, _ b: Float, _ other: ParameterSet) {
        for index in arrays.indices {
            other.arrays[index].withUnsafeBufferPointer { source in
                arrays[index].withUnsafeMutableBufferPointer { target in
                    // Threads have disjoint ranges.
                    nonisolated(unsafe) let (target, source) = (target, source)
                    inChunks(target.count) { for i in $0 { target[i] = a * target[i] + b * source[i] } }
                }
            }
        }
    }

    /// Multiplies all values by a factor.
    package mutating func scale(by factor: Float) {
        for index in arrays.indices {
            arrays[index].withUnsafeMutableBufferPointer { target in
                nonisolated(unsafe) let target = target
                inChunks(target.count) { for i in $0 { target[i] *= factor } }
            }
        }
    }

    /// The Euclidean norm of all values, summed in double precision and in a fixed order.
    public var norm: Double {
        let sums = arrays.map { array in
            // Each chunk is summed whole by one thread, and the sums of chunks in their order.
            concurrentMap((array.count + chunk - 1) / chunk) { number in
                array.withUnsafeBufferPointer {
                    Self.sumOfSquares($0, number * chunk..<min((number + 1) * chunk, array.count))
                }
            }
        }
        return sums.joined().reduce(0, +).squareRoot()
    }

    private static func sumOfSquares(_ numbers: UnsafeBufferPointer<Float>, _ range: Range<Int>) -> Double {
        var part = SIMD8<Double>.zero
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            let lanes = UnsafeRawPointer(numbers.baseAddress! + i).loadUnaligned(as: SIMD8<Float>.self)
            let wide = SIMD8<Double>(lanes)
            part += wide * wide
            i += 8
        }
        return (i..<range.upperBound).reduce(part.sum()) { $0 + Double(numbers[$1]) * Double(numbers[$1]) }
    }

    /// Calls `body` with ranges of each parameter's values in four sets, the first three to be changed in place.
    mutating func update(
        _ first: inout ParameterSet, _ second: inout ParameterSet, by third: ParameterSet,
        _ body: @Sendable (Range<Int>, Values, Values, Values, UnsafeBufferPointer<Float>) -> Void
    ) {
        for index in arrays.indices {
            third.arrays[index].withUnsafeBufferPointer { third in
                arrays[index].withUnsafeMutableBufferPointer { own in
                    first.arrays[index].withUnsafeMutableBufferPointer { first in
                        second.arrays[index].withUnsafeMutableBufferPointer { second in
                            nonisolated(unsafe) let values = (own, first, second, third)
                            inChunks(own.count) { body($0, values.0, values.1, values.2, values.3) }
                        }
                    }
                }
            }
        }
    }

    typealias Values = UnsafeMutableBufferPointer<Float>
}

/// Numbers that one thread processes: less takes less time than to wake a thread.
private let chunk = 1 << 16

/// Splits `0..<count` into chunks that are processed in parallel.
private func inChunks(_ count: Int, _ body: (Range<Int>) -> Void) {
    concurrentRuns(of: count, by: chunk, body)
}

/// A parameter that is missing or has an unexpected shape.
public struct ParameterSetError: LocalizedError, Equatable, CustomStringConvertible {
    /// The parameter's name.
    public let name: String
    /// The shape found, or nil if the parameter is missing.
    public let found: [Int]?
    /// The expected shape.
    public let expected: [Int]

    /// The same as ``description``.
    public var errorDescription: String? { description }

    /// The shape found and the one expected.
    public var description: String {
        "parameter \(name): found \(found.map { "shape \($0)" } ?? "none"); expected shape \(expected)"
    }
}
