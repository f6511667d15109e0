import TestSupport
import Testing
import VoxelSupport

struct FingerprintTests {
    /// Any one or two bits, the highest included, in any words.
    @Test func changedBitsChangeIt() async {
        await checkLaw(cases: 2000) { generator in
            let words = (0..<generator.size(in: 1...20)).map { _ in generator.next() }
            var changed = words
            for _ in 0..<2 {
                let bit = Bool.random(using: &generator) ? 63 : Int.random(in: 0..<64, using: &generator)
                changed[Int.random(in: 0..<words.count, using: &generator)] ^= 1 << UInt64(bit)
            }
            try #require(changed == words || Fingerprint(of: changed) != Fingerprint(of: words))
        }
    }

    @Test func numbersAreTakenByTheirBits() {
        var numbers = Fingerprint()
        numbers.combine([Float(1), -0.0])
        #expect(numbers == Fingerprint(of: [0x3F80_0000, 0x8000_0000]))
    }
}
