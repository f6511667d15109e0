import Foundation
import Dispatch
public import Networks
public import TensorFiles

/// One array of numbers for each parameter of a network, in the network's order: the parameters themselves, their
/// moving average, their gradients, or an optimiser's moments.
///
/// A set is a value. Work on its numbers is split between threads number by number, so that no result depends on
/// how many there are.
public struct ParameterSet: Equatable, Sendable {
    /// Names and shapes, in the order of `arrays`.
    public let parameters: [Parameter]

    /// The numbers of each parameter, last axis fastest.
    public private(set) var arrays: [[Float]]

    /// Zeros, or any other number, for each parameter.
    public init(_ parameters: [Parameter], repeating value: Float = 0) {
        self.parameters = parameters
        arrays = parameters.map { [Float](repeating: value, count: $0.shape.reduce(1, *)) }
    }

    /// Numbers that are known to fit their parameters.
    init(_ parameters: [Parameter], arrays: [[Float]]) {
        precondition(
            parameters.map { $0.shape.reduce(1, *) } == arrays.map(\.count), "numbers do not fit their shapes")
        (self.parameters, self.arrays) = (parameters, arrays)
    }

    /// Numbers by the names of their parameters.
    ///
    /// - Throws: `ParameterSetError` where one is missing or has another shape.
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

    /// The numbers as tensors, by name. They share the set's storage.
    public var tensors: [String: Tensor] {
        Dictionary(
            uniqueKeysWithValues: zip(parameters, arrays).map {
                ($0.name, Tensor(shape: $0.shape, values: $1))
            })
    }

    /// How many numbers there are.
    public var count: Int { arrays.reduce(0) { $0 + $1.count } }

    /// Sets every number to zero.
    mutating func clear() {
        for index in arrays.indices {
            arrays[index].withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
        }
    }

    /// `self <- a self + b other`.
    mutating func blend(_ a: Float, _ b: Float, _ other: ParameterSet) {
        for index in arrays.indices {
            other.arrays[index].withUnsafeBufferPointer { source in
                arrays[index].withUnsafeMutableBufferPointer { target in
                    let (target, source) = (Run(target), ReadRun(source))
                    inChunks(target.numbers.count) { range in
                        let (target, source) = (target.numbers, source.numbers)
                        for i in range { target[i] = a * target[i] + b * source[i] }
                    }
                }
            }
        }
    }

    /// Multiplies every number.
    mutating func scale(by factor: Float) {
        for index in arrays.indices {
            arrays[index].withUnsafeMutableBufferPointer { target in
                let target = Run(target)
                inChunks(target.numbers.count) { for i in $0 { target.numbers[i] *= factor } }
            }
        }
    }

    /// The Euclidean norm of all numbers together, in double precision and in a fixed order.
    public var norm: Double {
        var sum = 0.0
        for array in arrays {
            array.withUnsafeBufferPointer { numbers in
                for start in stride(from: 0, to: numbers.count, by: 4096) {
                    var part = SIMD8<Double>.zero
                    let end = min(start + 4096, numbers.count)
                    var i = start
                    while i + 8 <= end {
                        let lanes = UnsafeRawPointer(numbers.baseAddress! + i)
                            .loadUnaligned(as: SIMD8<Float>.self)
                        let wide = SIMD8<Double>(lanes)
                        part += wide * wide
                        i += 8
                    }
                    sum += part.sum()
                    while i < end {
                        sum += Double(numbers[i]) * Double(numbers[i])
                        i += 1
                    }
                }
            }
        }
        return sum.squareRoot()
    }

    /// Calls `body` with each parameter's numbers, to be changed in place, and those of other sets beside them.
    mutating func update(
        _ first: inout ParameterSet, _ second: inout ParameterSet, by third: ParameterSet,
        _ body: @Sendable (Range<Int>, Run, Run, Run, ReadRun) -> Void
    ) {
        for index in arrays.indices {
            third.arrays[index].withUnsafeBufferPointer { third in
                arrays[index].withUnsafeMutableBufferPointer { own in
                    first.arrays[index].withUnsafeMutableBufferPointer { first in
                        second.arrays[index].withUnsafeMutableBufferPointer { second in
                            let runs = (Run(own), Run(first), Run(second), ReadRun(third))
                            inChunks(own.count) { body($0, runs.0, runs.1, runs.2, runs.3) }
                        }
                    }
                }
            }
        }
    }
}

/// Numbers that several threads change, each its own part.
struct Run: @unchecked Sendable {
    let numbers: UnsafeMutableBufferPointer<Float>

    init(_ numbers: UnsafeMutableBufferPointer<Float>) { self.numbers = numbers }
}

/// Numbers that several threads read.
struct ReadRun: @unchecked Sendable {
    let numbers: UnsafeBufferPointer<Float>

    init(_ numbers: UnsafeBufferPointer<Float>) { self.numbers = numbers }
}

/// Splits `0..<count` into parts that threads work on at the same time, unless there are too few to be worth it.
private func inChunks(_ count: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let size = 1 << 16
    let chunks = (count + size - 1) / size
    guard chunks > 1 else { return body(0..<count) }
    DispatchQueue.concurrentPerform(iterations: chunks) { body($0 * size..<min(($0 + 1) * size, count)) }
}

/// A parameter that is missing, or has another shape than the network gives it.
public struct ParameterSetError: LocalizedError, Equatable, CustomStringConvertible {
    /// The parameter.
    public let name: String
    /// The shape found, or nil where there was none.
    public let found: [Int]?
    /// The shape that the network gives it.
    public let expected: [Int]

    /// The description.
    public var errorDescription: String? { description }

    /// What was found and what was expected.
    public var description: String {
        "parameter \(name): found \(found.map { "shape \($0)" } ?? "none"); expected shape \(expected)"
    }
}
