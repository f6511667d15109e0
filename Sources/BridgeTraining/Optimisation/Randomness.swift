import VoxelSupport

/// Random numbers of a training run: each a pure function of the seed, of what it is for, and of its place.
///
/// Nothing is drawn in turn, so there is no generator whose state must be kept: a run that goes on at step k draws
/// what it would have drawn.
struct Randomness: Sendable {
    let seed: UInt64

    /// What numbers are for: no two uses share any.
    enum Purpose: UInt32 {
        case weights = 1, order, example, validation
    }

    /// The random block at a place.
    func block(_ purpose: Purpose, _ place: SIMD3<UInt32>) -> SIMD4<UInt32> {
        Philox4x32.block(
            counter: SIMD4(place.x, place.y, place.z, purpose.rawValue),
            key: Philox4x32.key(seed))
    }

    /// `count` numbers spread evenly over [-1, 1), those of a parameter by its index.
    func evenlySpread(_ count: Int, of parameter: UInt32) -> [Float] {
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

    /// An order of `0..<count` in which each of them comes once, every order as likely as any other.
    func permutation(of count: Int, epoch: Int) -> [Int] {
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

    /// A number from `0..<bound` out of 64 of the bits: their product with the bound, cut off. Its bias is below
    /// bound / 2^64.
    static func number(below bound: Int, from bits: SIMD4<UInt32>) -> Int {
        let word = UInt64(bits[0]) << 32 | UInt64(bits[1])
        return Int(word.multipliedFullWidth(by: UInt64(bound)).high)
    }
}
