import Foundation

/// A 64-bit fingerprint of a sequence of words, which changes, with overwhelming probability, whenever the words do.
///
/// FNV-1a (Fowler, Noll and Vo) on words instead of bytes, with its high bits folded back: a product alone would never carry
/// them down, and two changed signs would cancel. It detects accidental changes, not malicious ones.
package struct Fingerprint: Hashable, Sendable {
    /// The fingerprint of the words so far.
    package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    /// The fingerprint of no words.
    package init() {}

    /// The fingerprint of a sequence. O(n).
    package init(of words: some Sequence<UInt64>) { for word in words { combine(word) } }

    /// Adds a word.
    package mutating func combine(_ word: UInt64) {
        value = (value ^ word) &* 0x100_0000_01B3
        value ^= value >> 32
    }

    /// Adds numbers by their bit patterns. O(n).
    package mutating func combine(_ numbers: [Float]) {
        for number in numbers { combine(UInt64(number.bitPattern)) }
    }
}

extension Fingerprint {
    /// The fingerprint of a file's bytes. O(n).
    ///
    /// - Throws: Foundation's error if the file cannot be read.
    package init(contentsOf file: URL) throws {
        self.init()
        let data = try Data(contentsOf: file, options: .mappedIfSafe)
        combine(UInt64(data.count))
        data.withUnsafeBytes { bytes in
            let whole = bytes.count & ~7
            for offset in stride(from: 0, to: whole, by: 8) {
                combine(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            }
            var rest: UInt64 = 0
            for byte in bytes[whole...] { rest = rest << 8 | UInt64(byte) }
            combine(rest)
        }
    }

    /// The value in hexadecimal digits.
    package var text: String { String(value, radix: 16) }
}
