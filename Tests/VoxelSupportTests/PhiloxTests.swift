import Testing
import VoxelSupport

struct PhiloxTests {
    @Test func blocksAreThePublishedOnes() {
        // The test vectors that its authors publish with it (Random123, philox4x32, 10 rounds).
        func block(_ counter: SIMD4<UInt32>, _ key: SIMD2<UInt32>) -> SIMD4<UInt32> {
            Philox4x32.block(counter: counter, key: key)
        }
        #expect(block(.zero, .zero) == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
        let ones = UInt32.max
        #expect(
            block(SIMD4(repeating: ones), SIMD2(repeating: ones))
                == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
        #expect(
            block(SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), SIMD2(0xA409_3822, 0x299F_31D0))
                == SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
    }

    @Test func aSeedIsTheWholeKey() {
        #expect(Philox4x32.key(0x0123_4567_89AB_CDEF) == SIMD2(0x89AB_CDEF, 0x0123_4567))
    }
}
