/// Reads a JSON text of known form from its beginning to its end, in one pass and without keeping anything.
///
/// RFC 8259. The text must be UTF-8.
struct JSONScanner {
    /// What the text breaks.
    struct Failure: Error, CustomStringConvertible {
        /// The byte at which it does, from the beginning of the text.
        let place: Int
        let expected: String

        var description: String { "expected \(expected), at byte \(place)" }
    }

    /// A string of the text.
    struct Text {
        /// The bytes between its quotation marks.
        let bytes: Range<Int>
        /// Whether the bytes mean what they are.
        let isPlain: Bool
    }

    private let json: UnsafeRawBufferPointer
    private(set) var place: Int

    /// A scanner at the beginning of a text.
    init(_ json: UnsafeRawBufferPointer) { (self.json, place) = (json, 0) }

    /// A scanner of the same text at another byte.
    func moved(to place: Int) -> JSONScanner {
        var scanner = self
        scanner.place = place
        return scanner
    }

    /// The next byte that is not white space, or nil at the end.
    mutating func peek() -> UInt8? {
        while place < json.count {
            switch json[place] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): place += 1
            default: return json[place]
            }
        }
        return nil
    }

    /// Skips a character.
    mutating func expect(_ character: Unicode.Scalar) throws(Failure) {
        guard peek() == UInt8(ascii: character) else { throw failure("'\(character)'") }
        place += 1
    }

    /// Whether an object or array, after its opening bracket, has another member; skips the comma before it, or the
    /// closing bracket.
    mutating func hasNext(first: Bool, closing: Unicode.Scalar) throws(Failure) -> Bool {
        let next = peek()
        if next == UInt8(ascii: closing) {
            place += 1
            return false
        }
        if !first {
            guard next == UInt8(ascii: ",") else { throw failure("',' or '\(closing)'") }
            place += 1
        }
        return true
    }

    /// Skips a string.
    mutating func text() throws(Failure) -> Text {
        try expect("\"")
        let start = place
        var isPlain = true
        while place < json.count {
            switch json[place] {
            case UInt8(ascii: "\""):
                place += 1
                return Text(bytes: start..<place - 1, isPlain: isPlain)
            case UInt8(ascii: "\\"):
                isPlain = false
                guard escape(at: &place) != nil else { throw failure("an escape of JSON") }
            case ..<0x20: throw failure("no control character")
            default: place += 1
            }
        }
        throw failure("'\"'")
    }

    /// Reads a whole number.
    mutating func integer() throws(Failure) -> Int {
        let isNegative = peek() == UInt8(ascii: "-")
        if isNegative { place += 1 }
        let start = place
        var value = 0
        while place < json.count, let digit = Self.digit(json[place]) {
            let (tenfold, beyond) = value.multipliedReportingOverflow(by: 10)
            let (next, overflow) = tenfold.subtractingReportingOverflow(digit)
            guard !beyond, !overflow else { throw failure("a number of 64 bits") }
            (value, place) = (next, place + 1)
        }
        guard place > start, json[start] != UInt8(ascii: "0") || place == start + 1 else {
            throw failure("a whole number")
        }
        // Negative so far, for there is one more of those.
        guard isNegative || value != .min else { throw failure("a number of 64 bits") }
        return isNegative ? value : -value
    }

    /// Reads an array of whole numbers.
    mutating func integers(atMost limit: Int) throws(Failure) -> [Int] {
        var numbers: [Int] = []
        try expect("[")
        while try hasNext(first: numbers.isEmpty, closing: "]") {
            guard numbers.count < limit else { throw failure("at most \(limit) numbers") }
            numbers.append(try integer())
        }
        return numbers
    }

    private static func digit(_ byte: UInt8) -> Int? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte - UInt8(ascii: "0")) : nil
    }

    func failure(_ expected: String) -> Failure { Failure(place: place, expected: expected) }
}

extension JSONScanner {
    /// What a string says.
    func string(_ text: Text) -> String {
        guard !text.isPlain else {
            return String(decoding: UnsafeRawBufferPointer(rebasing: json[text.bytes]), as: UTF8.self)
        }
        return String(unsafeUninitializedCapacity: text.bytes.count) { buffer in
            var (place, count) = (text.bytes.lowerBound, 0)
            while place < text.bytes.upperBound {
                if json[place] == UInt8(ascii: "\\"), let scalar = escape(at: &place) {
                    for byte in scalar.utf8 { (buffer[count], count) = (byte, count + 1) }
                } else {
                    (buffer[count], count, place) = (json[place], count + 1, place + 1)
                }
            }
            return count
        }
    }

    /// Whether a string says this.
    func isEqual(_ text: Text, to other: String) -> Bool {
        text.isPlain ? json[text.bytes].elementsEqual(other.utf8) : string(text).utf8.elementsEqual(other.utf8)
    }

    /// A hash of what a string says, which no file can foresee.
    func hash(_ text: Text) -> Int {
        guard text.isPlain else { return Self.hash(string(text)) }
        return Self.hash(UnsafeRawBufferPointer(rebasing: json[text.bytes]))
    }

    /// The hash of a string that says this.
    static func hash(_ string: String) -> Int {
        var string = string
        return string.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: bytes)
        return hasher.finalize()
    }

    /// The character of an escape at `place`, which is skipped; nil where it is not valid.
    private func escape(at place: inout Int) -> Unicode.Scalar? {
        guard place + 1 < json.count else { return nil }
        let kind = json[place + 1]
        guard kind == UInt8(ascii: "u") else {
            place += 2
            switch kind {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
            case UInt8(ascii: "b"): return "\u{8}"
            case UInt8(ascii: "f"): return "\u{C}"
            case UInt8(ascii: "n"): return "\n"
            case UInt8(ascii: "r"): return "\r"
            case UInt8(ascii: "t"): return "\t"
            default: return nil
            }
        }
        guard let unit = unit(at: place) else { return nil }
        place += 6
        guard UTF16.isLeadSurrogate(unit) else { return Unicode.Scalar(unit) }
        guard let second = self.unit(at: place), UTF16.isTrailSurrogate(second) else { return nil }
        place += 6
        return Unicode.Scalar(0x10000 + (UInt32(unit) & 0x3FF) << 10 + UInt32(second) & 0x3FF)
    }

    /// The number in `\uXXXX`, or nil.
    private func unit(at place: Int) -> UInt16? {
        guard place + 6 <= json.count, json[place] == UInt8(ascii: "\\"), json[place + 1] == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt16 = 0
        for index in place + 2..<place + 6 {
            let digit: UInt8
            switch json[index] {
            case let byte where (0x30...0x39).contains(byte): digit = byte - 0x30
            case let byte where (0x41...0x46).contains(byte & 0xDF): digit = byte & 0xDF - 0x37
            default: return nil
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}
