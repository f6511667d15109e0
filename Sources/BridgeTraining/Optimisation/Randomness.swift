import Foundation
import VoxelSupport

/// The random numbers of a training run, each a pure function of the seed, the purpose and a counter.
///
/// There is no generator state to save: a run resumed at step k uses the same numbers.
package struct Randomness: Sendable {
    package let seed: UInt64

    package init(seed: UInt64) { self.seed = seed }

    /// Separates the random numbers of different uses.
    package enum Purpose: UInt32 {
        case weights = 1, order, example, validation, codes
    }

    /// The random block of a counter.
    package func block(_ purpose: Purpose, _ place: SIMD3<UInt32>) -> SIMD4<UInt32> {
        Philox4x32.block(
            counter: SIMD4(place.x, place.y, place.z, purpose.rawValue),
            key: Philox4x32.key(seed))
    }

    /// `count` numbers uniform on [-1, 1) for the parameter with an index.
    package func uniform(_ count: Int, of parameter: UInt32) -> [Float] {
        var numbers = [Float](repeating: 0, count: count)
        for first in stride(from: 0, to: count, by: 4) {
            let bits = block(
                .weights,
                SIMD3(
                    UInt32(truncatingIfNeeded: first / 4), UInt32(truncatingIfNeeded: first >> 34), parameter))
            for lane in 0..<min(4, count - first) {
                numbers[first + lane] = Float(bits[lane] >> 8) * 0x1p-23 - 1
            }
        }
        return numbers
    }

    /// `count` standard normal numbers for the parameter with an index, by the transform of Box and Muller.
    package func normal(_ count: Int, of parameter: UInt32) -> [Float] {
        let uniform = uniform(count + count % 2, of: parameter).map { Double($0) / 2 + 0.5 }
        return (0..<count).map { index in
            let (first, second) = (uniform[index & ~1], uniform[index | 1])
            let (radius, angle) = ((-2 * log(1 - first)).squareRoot(), 2 * Double.pi * second)
            return Float(radius * (index % 2 == 0 ? cos(angle) : sin(angle)))
        }
    }

    /// A uniformly distributed permutation of `0..<count`.
    package func permutation(of count: Int, epoch: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            let bits = block(
                .order,
                SIMD3(
                    UInt32(truncatingIfNeeded: last), UInt32(truncatingIfNeeded: epoch),
                    UInt32(truncatingIfNeeded: epoch >> 32)))
            order.swapAt(last, Self.number(below: last + 1, from: bits))
        }
        return order
    }

    /// A number in `0..<bound`: the high word of the product of 64 bits and the bound. The bias is below bound / 2^64.
    package static func number(below bound: Int, from bits: SIMD4<UInt32>) -> Int {
        let word = UInt64(bits[0]) << 32 | UInt64(bits[1])
        return Int(word.multipliedFullWidth(by: UInt64(bound)).high)
    }
}
