extension String {
    /// The text as a field of a comma-separated file (RFC 4180): quoted where it holds a comma, a quotation mark or a line
    /// break.
    package var commaSeparatedField: String {
        guard contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return self }
        return "\"" + replacing("\"", with: "\"\"") + "\""
    }
}
