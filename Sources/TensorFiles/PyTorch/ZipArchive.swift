/// Finds the entries of a zip archive that are stored as they are, as PyTorch writes them.
///
/// PKWARE: *.ZIP File Format Specification* (APPNOTE.TXT) 6.3.10, sections 4.3 and 4.5.3. Entries that are
/// compressed or encrypted, overlap, or are named twice are refused, so that no byte of the file
/// means two things. Checksums are not compared: PyTorch can leave them out.
struct ZipArchive {
    /// The most entries that are read, and the most bytes of a name: far more than networks have.
    static let mostEntries = 1 << 18
    static let longestName = 1024

    /// Where the bytes of each entry lie in the file, by name.
    private(set) var entries: [String: Range<Int>] = [:]

    private let file: ZipBytes
    /// The headers of entries, which lie elsewhere than the directory.
    private let headers: ZipBytes

    /// Reads the directory at the end of an archive, and checks the header before each entry against it.
    init(_ stored: StoredFile) throws {
        (file, headers) = (ZipBytes(stored, window: 1 << 18), ZipBytes(stored, window: 1 << 11))
        let directory = try directory()
        // Where each entry's header and its bytes lie, to check that none overlap.
        var places: [Range<Int>] = []
        places.reserveCapacity(directory.count)
        entries.reserveCapacity(directory.count)
        var place = directory.bytes.lowerBound
        for _ in 0..<directory.count {
            let entry = try entry(at: &place, within: directory.bytes)
            let bytes = try checkedBytes(of: entry, before: directory.bytes.lowerBound)
            guard entries.updateValue(bytes, forKey: entry.name) == nil else {
                throw PyTorchError.Problem.entry(name: entry.name, reason: "there are two of this name")
            }
            places.append(entry.header..<bytes.upperBound)
        }
        guard place == directory.bytes.upperBound else {
            throw PyTorchError.Problem.archive(
                reason: "its directory is longer than its \(directory.count) entries")
        }
        places.sort { $0.lowerBound < $1.lowerBound }
        for (first, second) in zip(places, places.dropFirst()) where first.upperBound > second.lowerBound {
            throw PyTorchError.Problem.archive(
                reason: "the entries at bytes \(first.lowerBound) and \(second.lowerBound) overlap")
        }
    }

    /// What the directory says of an entry.
    private struct Entry {
        let name: String
        /// Where its own header begins, and how long its bytes are.
        let header, size: Int
    }

    private struct Directory {
        let count: Int
        let bytes: Range<Int>
    }

    /// Finds the directory through the record at the end of the file (4.3.14 to 4.3.16).
    private func directory() throws(PyTorchError.Problem) -> Directory {
        guard file.number(at: 0, bytes: 4) == 0x0403_4B50 else {
            throw .archive(reason: "it does not begin as a zip archive")
        }
        guard let end = endRecord else {
            throw .archive(reason: "the end of the archive is missing: the file was cut short")
        }
        var (count, size) = (file.number(at: end + 10, bytes: 2), file.number(at: end + 12, bytes: 4))
        var (start, limit) = (file.number(at: end + 16, bytes: 4), end)
        var disks = [file.number(at: end + 4, bytes: 2), file.number(at: end + 6, bytes: 2)]
        var countHere = file.number(at: end + 8, bytes: 2)
        if end >= 20, file.number(at: end - 20, bytes: 4) == 0x0706_4B50 {
            guard let record = file.number(at: end - 12, bytes: 8), record <= end - 20 - 56,
                file.number(at: record, bytes: 4) == 0x0606_4B50
            else { throw .archive(reason: "its ZIP64 record is not where it should be") }
            disks = [file.number(at: record + 16, bytes: 4), file.number(at: record + 20, bytes: 4)]
            countHere = file.number(at: record + 24, bytes: 8)
            (count, size) = (file.number(at: record + 32, bytes: 8), file.number(at: record + 40, bytes: 8))
            (start, limit) = (file.number(at: record + 48, bytes: 8), record)
        }
        guard disks == [0, 0], countHere == count else {
            throw .archive(reason: "it is one of several parts")
        }
        guard let count, let size, let start, start <= limit, size == limit - start else {
            throw .archive(reason: "its directory does not lie before its end")
        }
        guard count <= Self.mostEntries, count <= size / 46 else {
            throw .archive(reason: "it is said to have \(count) entries, which is more than are read")
        }
        return Directory(count: count, bytes: start..<start + size)
    }

    /// Where the record at the end begins, whose last field is the length of a comment that ends the file.
    private var endRecord: Int? {
        let last = file.count - 22
        guard last >= 0 else { return nil }
        // All of it at once, since it is searched backwards.
        _ = file.slice(at: max(0, last - 0xFFFF), length: file.count - max(0, last - 0xFFFF))
        return (max(0, last - 0xFFFF)...last).reversed().first {
            file.number(at: $0, bytes: 4) == 0x0605_4B50 && file.number(at: $0 + 20, bytes: 2) == last - $0
        }
    }

    /// An entry of the directory (4.3.12), and the place of the next.
    private func entry(
        at place: inout Int, within directory: Range<Int>
    ) throws(PyTorchError.Problem) -> Entry {
        guard directory.upperBound - place >= 46, file.number(at: place, bytes: 4) == 0x0201_4B50,
            let flags = file.number(at: place + 8, bytes: 2),
            let method = file.number(at: place + 10, bytes: 2),
            let packed = file.number(at: place + 20, bytes: 4),
            let size = file.number(at: place + 24, bytes: 4),
            let nameLength = file.number(at: place + 28, bytes: 2),
            let extraLength = file.number(at: place + 30, bytes: 2),
            let commentLength = file.number(at: place + 32, bytes: 2),
            let disk = file.number(at: place + 34, bytes: 2),
            let header = file.number(at: place + 42, bytes: 4),
            directory.upperBound - place - 46 >= nameLength + extraLength + commentLength
        else { throw .archive(reason: "its directory breaks off at byte \(place)") }
        let name = try name(at: place + 46, length: nameLength)
        let extra = place + 46 + nameLength..<place + 46 + nameLength + extraLength
        place = extra.upperBound + commentLength
        guard flags & 0x41 == 0 else { throw .entry(name: name, reason: "it is encrypted") }
        guard method == 0 else {
            throw .entry(name: name, reason: "it is compressed; save the checkpoint with torch.save")
        }
        guard disk == 0 else { throw .entry(name: name, reason: "it lies in another file") }
        let large = [size, packed, header].filter { $0 == 0xFFFF_FFFF }.count
        var numbers = try large64(large, in: extra, of: name)
        func widened(_ number: Int) -> Int { number == 0xFFFF_FFFF ? numbers.removeFirst() : number }
        let wide = (size: widened(size), packed: widened(packed), header: widened(header))
        guard wide.size == wide.packed else {
            throw .entry(name: name, reason: "\(wide.packed) bytes are said to be \(wide.size)")
        }
        return Entry(name: name, header: wide.header, size: wide.size)
    }

    private func name(at place: Int, length: Int) throws(PyTorchError.Problem) -> String {
        guard length <= Self.longestName, let name = file.text(at: place, length: length) else {
            throw .archive(
                reason: "the name at byte \(place) is not text in UTF-8 of at most \(Self.longestName) bytes")
        }
        return name
    }

    /// The 64-bit numbers in place of those that 32 bits cannot hold (4.5.3).
    private func large64(
        _ count: Int, in extra: Range<Int>, of name: String
    ) throws(PyTorchError.Problem) -> [Int] {
        guard count > 0 else { return [] }
        var place = extra.lowerBound
        while place + 4 <= extra.upperBound, let kind = file.number(at: place, bytes: 2),
            let length = file.number(at: place + 2, bytes: 2), place + 4 + length <= extra.upperBound
        {
            if kind == 1, length >= 8 * count {
                let numbers = (0..<count).compactMap { file.number(at: place + 4 + 8 * $0, bytes: 8) }
                if numbers.count == count { return numbers }
            }
            place += 4 + length
        }
        throw .entry(name: name, reason: "its size or place is missing")
    }

    /// The bytes of an entry, whose own header (4.3.7) must say the same as the directory.
    private func checkedBytes(of entry: Entry, before limit: Int) throws(PyTorchError.Problem) -> Range<Int> {
        guard entry.header <= limit - 30, headers.number(at: entry.header, bytes: 4) == 0x0403_4B50,
            let flags = headers.number(at: entry.header + 6, bytes: 2),
            let method = headers.number(at: entry.header + 8, bytes: 2),
            let size = headers.number(at: entry.header + 22, bytes: 4),
            let nameLength = headers.number(at: entry.header + 26, bytes: 2),
            let extraLength = headers.number(at: entry.header + 28, bytes: 2),
            limit - entry.header - 30 >= nameLength + extraLength
        else {
            throw .entry(name: entry.name, reason: "there is no header of an entry at byte \(entry.header)")
        }
        // Where bit 3 is set the size follows the bytes, and is 0 here.
        let sizeAgrees = size == entry.size || size == 0xFFFF_FFFF || flags & 8 != 0 && size == 0
        guard headers.equals(entry.name, at: entry.header + 30, length: nameLength), method == 0,
            flags & 0x41 == 0,
            sizeAgrees
        else {
            throw .entry(name: entry.name, reason: "its own header and the archive's directory disagree")
        }
        let start = entry.header + 30 + nameLength + extraLength
        guard entry.size <= limit - start else {
            throw .entry(name: entry.name, reason: "its \(entry.size) bytes end beyond the archive's entries")
        }
        return start..<start + entry.size
    }
}

/// Little-endian numbers and text in the bytes of a file, of which one piece is in memory at a time.
private final class ZipBytes {
    private let file: StoredFile
    /// How many bytes are read at a time, at least.
    private let window: Int
    private var start = 0
    private var bytes: [UInt8] = []

    init(_ file: StoredFile, window: Int) { (self.file, self.window) = (file, window) }

    var count: Int { file.count }

    /// An unsigned number; nil where it lies beyond the file, or is beyond `Int`.
    func number(at place: Int, bytes count: Int) -> Int? {
        guard let bytes = slice(at: place, length: count) else { return nil }
        return Int(exactly: bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    func text(at place: Int, length: Int) -> String? {
        guard let bytes = slice(at: place, length: length) else { return nil }
        return bytes.withUnsafeBytes { $0.isUTF8 ? String(decoding: $0, as: UTF8.self) : nil }
    }

    func equals(_ name: String, at place: Int, length: Int) -> Bool {
        slice(at: place, length: length)?.elementsEqual(name.utf8) ?? false
    }

    /// Some bytes; nil where they lie beyond the file, or it cannot be read any more.
    func slice(at place: Int, length: Int) -> ArraySlice<UInt8>? {
        guard place >= 0, length >= 0, place <= file.count - length else { return nil }
        if place < start || place + length > start + bytes.count {
            let end = min(file.count, place + max(length, window))
            guard let piece = try? file.bytes(place..<end) else { return nil }
            (start, bytes) = (place, piece)
        }
        return bytes[place - start..<place - start + length]
    }
}
