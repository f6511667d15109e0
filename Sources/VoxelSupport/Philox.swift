import Foundation

/// The counter-based random generator Philox 4x32-10: each block of 128 random bits is a pure function of a counter and a
/// key.
///
/// Salmon, Moraes, Dror, Shaw: *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011.
package enum Philox4x32 {
    /// The random block for a counter and a key, after ten rounds.
    @inlinable
    package static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var (counter, key) = (counter, key)
        for _ in 0..<10 {
            let first = UInt32(0xD251_1F53).multipliedFullWidth(by: counter[0])
            let second = UInt32(0xCD9E_8D57).multipliedFullWidth(by: counter[2])
            counter = SIMD4(
                second.high ^ counter[1] ^ key[0], second.low, first.high ^ counter[3] ^ key[1], first.low)
            key &+= SIMD2(0x9E37_79B9, 0xBB67_AE85)
        }
        return counter
    }

    /// The random block for a counter and a seed, as four standard normal values (Box and Muller, 1958).
    @inlinable
    package static func normals(counter: SIMD4<UInt32>, seed: UInt64) -> SIMD4<Float> {
        func pair(_ first: UInt32, _ second: UInt32) -> (Float, Float) {
            // In (0, 1], since the logarithm of zero is infinite.
            let radius = (-2 * log((Float(first) + 1) * 0x1p-32)).squareRoot()
            let angle = Float(second) * 0x1p-32 * 2 * .pi
            return (radius * cos(angle), radius * sin(angle))
        }
        let bits = block(counter: counter, key: key(seed))
        let (low, high) = (pair(bits[0], bits[1]), pair(bits[2], bits[3]))
        return SIMD4(low.0, low.1, high.0, high.1)
    }

    /// The key of a seed.
    @inlinable
    package static func key(_ seed: UInt64) -> SIMD2<UInt32> {
        SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    }
}
