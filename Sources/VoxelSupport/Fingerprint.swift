/// A 64-bit fingerprint of a sequence of words, which changes, with overwhelming probability, whenever the words do.
///
/// FNV-1a (Fowler, Noll and Vo) on words instead of bytes. It detects accidental changes, not malicious ones.
package struct Fingerprint: Hashable, Sendable {
    /// The fingerprint of the words so far.
    package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    /// The fingerprint of no words.
    package init() {}

    /// The fingerprint of a sequence. O(n).
    package init(of words: some Sequence<UInt64>) { for word in words { combine(word) } }

    /// Adds a word.
    package mutating func combine(_ word: UInt64) { value = (value ^ word) &* 0x100_0000_01B3 }

    /// Adds numbers by their bit patterns. O(n).
    package mutating func combine(_ numbers: some Sequence<Float>) {
        for number in numbers { combine(UInt64(number.bitPattern)) }
    }
}
