import Foundation
import TestSupport
import Testing

/// The Swift files of a folder of the package.
struct SwiftSources {
    /// The text of each file, by its path from the package's root.
    let text: [String: String]

    init(in folder: String) throws {
        let paths = try #require(
            FileManager.default.subpaths(atPath: Fixtures.packageRoot.appending(path: folder).path),
            "there is no folder \(folder)")
        text = try Dictionary(
            uniqueKeysWithValues: paths.filter { $0.hasSuffix(".swift") }.map {
                let path = "\(folder)/\($0)"
                return (
                    path, try String(contentsOf: Fixtures.packageRoot.appending(path: path), encoding: .utf8)
                )
            })
    }

    /// The modules that each file imports.
    var imports: [String: Set<String>] { text.mapValues(Self.imports) }

    /// The modules that a file's text imports.
    static func imports(of text: String) -> Set<String> {
        let line = /^\s*(?:@\w+\s+|public\s+|package\s+|internal\s+|fileprivate\s+|private\s+)*import\s+/
            .anchorsMatchLineEndings()
        let kinds: Set = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var", "actor"]
        let modules = text.split(separator: "\n").compactMap { row -> String? in
            guard let match = row.prefixMatch(of: line) else { return nil }
            let words = row[match.range.upperBound...].split { $0 == " " || $0 == "." }.map(String.init)
            return words.first { !kinds.contains($0) }
        }
        return Set(modules)
    }
}
