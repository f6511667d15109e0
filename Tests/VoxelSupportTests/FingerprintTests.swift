import Testing
import VoxelSupport

struct FingerprintTests {
    /// The published values of FNV-1a: words of one byte are as bytes.
    @Test func wordsOfOneByteAreAsPublished() {
        #expect(Fingerprint().value == 0xCBF2_9CE4_8422_2325)
        #expect(Fingerprint(of: "a".utf8.map(UInt64.init)).value == 0xAF63_DC4C_8601_EC8C)
        #expect(Fingerprint(of: "foobar".utf8.map(UInt64.init)).value == 0x8594_4171_F739_67E8)
    }

    @Test func numbersAreTakenByTheirBits() {
        var numbers = Fingerprint()
        numbers.combine([Float(1), -0.0])
        #expect(numbers == Fingerprint(of: [0x3F80_0000, 0x8000_0000]))
    }
}
