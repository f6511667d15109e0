import Foundation
import VoxelSupport

extension CommaSeparatedTable {
    /// The text of a file: UTF-8, UTF-16, or Latin-1 as older spreadsheets write it.
    ///
    /// - Returns: the text, and a note if its encoding was guessed.
    /// - Throws: the system's error; `NotText` if the file holds no text.
    package static func text(contentsOf file: URL) throws -> (text: String, note: String?) {
        let data = try Data(contentsOf: file, atMost: 1 << 26)
        // A byte order mark, or every other byte of the first characters is zero.
        let isLittle = data.starts(with: [0xFF, 0xFE]) || data.count > 3 && data[1] == 0 && data[3] == 0
        let isBig = data.starts(with: [0xFE, 0xFF]) || data.count > 3 && data[0] == 0 && data[2] == 0
        if isLittle || isBig {
            let encoding: String.Encoding = isLittle ? .utf16LittleEndian : .utf16BigEndian
            guard let text = String(data: data, encoding: encoding) else { throw NotText() }
            return (text, nil)
        }
        guard !data.contains(0) else { throw NotText() }
        if let text = String(data: data, encoding: .utf8) { return (text, nil) }
        guard let text = String(data: data, encoding: .isoLatin1) else { throw NotText() }
        return (text, "is not UTF-8, and is read as Latin-1; check names with accents, or save it as UTF-8")
    }

    /// A file is not text in an encoding that is known here.
    struct NotText: LocalizedError, CustomStringConvertible {
        var description: String { "it is not a text file; save the table as CSV in UTF-8" }
        var errorDescription: String? { description }
    }
}
