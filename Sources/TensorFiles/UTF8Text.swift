/// Whether bytes are text in UTF-8 (RFC 3629). O(n), and nothing is kept.
func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var place = 0
    while place < bytes.count {
        let lead = bytes[place]
        if lead < 0x80 {
            // Most text is ASCII: eight characters at a time.
            while place + 8 <= bytes.count,
                bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
            {
                place += 8
            }
            while place < bytes.count, bytes[place] < 0x80 { place += 1 }
            continue
        }
        let count: Int
        // The byte after the lead is held to less than 80...BF where a character would be written longer than
        // it need be, be half of a pair, or lie beyond the last one.
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: count = 2
        case 0xE0: (count, second) = (3, 0xA0...0xBF)
        case 0xED: (count, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: count = 3
        case 0xF0: (count, second) = (4, 0x90...0xBF)
        case 0xF4: (count, second) = (4, 0x80...0x8F)
        case 0xF1...0xF3: count = 4
        default: return false
        }
        guard place + count <= bytes.count, second.contains(bytes[place + 1]),
            count < 3 || bytes[place + 2] & 0xC0 == 0x80, count < 4 || bytes[place + 3] & 0xC0 == 0x80
        else { return false }
        place += count
    }
    return true
}
