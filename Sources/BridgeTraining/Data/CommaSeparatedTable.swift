/// The records of a comma-separated file (RFC 4180): fields with commas, line breaks or quotation marks are quoted, and
/// quotation marks in them are doubled. Empty lines are skipped.
package struct CommaSeparatedTable {
    /// One record.
    package struct Record: Equatable {
        /// The number of its first line, from 1.
        package let line: Int
        package let fields: [String]
    }

    package let records: [Record]

    package init(_ text: String) {
        var records: [Record] = []
        var fields: [String] = []
        var field = ""
        var (line, firstLine) = (1, 1)
        var isQuoted = false
        func endRecord() {
            fields.append(field)
            if fields.count > 1 || !field.allSatisfy(\.isWhitespace) {
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
            } else if character == "," {
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
        self.records = records
    }

    /// A field, quoted if necessary.
    static func quoted(_ field: String) -> String {
        guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
        return "\"" + field.replacing("\"", with: "\"\"") + "\""
    }
}
