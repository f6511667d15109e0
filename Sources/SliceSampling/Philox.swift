/// The counter-based random generator Philox 4x32-10: each block of 128 random bits is a function of a counter and
/// a key, and of nothing that came before.
///
/// Salmon, Moraes, Dror, Shaw: *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011.
package enum Philox4x32 {
    /// The random block for a counter and a key, after ten rounds.
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
}
