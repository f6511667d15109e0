import Foundation

/// The records of a comma-separated file (RFC 4180): fields with commas, line breaks or quotation marks are quoted, and
/// quotation marks in them are doubled. Blank lines and lines that begin with `#` are skipped.
///
/// The separator may also be a semicolon or a tab, as spreadsheets write it.
package struct CommaSeparatedTable {
    /// One record.
    package struct Record: Equatable {
        /// The number of its first line, from 1.
        package let line: Int
        package let fields: [String]
    }

    package let records: [Record]

    /// The numbers of the lines that begin with `#`.
    let comments: [Int]

    /// A table whose separator is the one with which its first record has the most of some columns.
    package init(_ text: String, columns: [String]) {
        func known(_ table: CommaSeparatedTable) -> Int {
            table.records.first?.fields.count { columns.contains($0.trimmed.lowercased()) } ?? 0
        }
        let tables = [",", ";", "\t"].map { CommaSeparatedTable(text, separator: $0) }
        // The first of those that are equally good: max(by:) would give the last.
        self = tables.dropFirst().reduce(tables[0]) { known($1) > known($0) ? $1 : $0 }
    }

    init(_ text: String, separator: Character = ",") {
        var records: [Record] = []
        var comments: [Int] = []
        var fields: [String] = []
        var field = ""
        var (line, firstLine) = (1, 1)
        var isQuoted = false
        func endRecord() {
            fields.append(field)
            if fields[0].trimmed.first == "#" {
                comments.append(firstLine)
            } else if !fields.allSatisfy(\.trimmed.isEmpty) {
                records.append(Record(line: firstLine, fields: fields))
            }
            (fields, field) = ([], "")
        }
        // A byte order mark is ignored. "\r\n" is one character.
        let characters = Array(text.first == "\u{FEFF}" ? text.dropFirst() : text[...])
        var index = 0
        while index < characters.count {
            let character = characters[index]
            let next = index + 1 < characters.count ? characters[index + 1] : nil
            if isQuoted {
                if character == "\"", next == "\"" {
                    field.append(character)
                    index += 1
                } else if character == "\"" {
                    isQuoted = false
                } else {
                    field.append(character)
                }
            } else if character == "\"", field.allSatisfy(\.isWhitespace) {
                (isQuoted, field) = (true, "")
            } else if character == separator {
                fields.append(field)
                field = ""
            } else if character.isNewline {
                endRecord()
            } else {
                field.append(character)
            }
            if character.isNewline {
                line += 1
                if !isQuoted { firstLine = line }
            }
            index += 1
        }
        endRecord()
        (self.records, self.comments) = (records, comments)
    }
}

extension String {
    /// Without white space at both ends.
    var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
