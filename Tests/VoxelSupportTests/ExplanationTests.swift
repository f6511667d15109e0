import Foundation
import TestSupport
import Testing
import VoxelSupport

/// What people are told.
struct ExplanationTests {
    /// Foundation's errors show neither domains nor codes.
    @Test func foundationsErrorsAreInWords() throws {
        try withTemporaryFolder { folder in
            let missing = folder.appending(path: "none/a.txt")
            let attempts: [() throws -> Void] = [
                { _ = try Data(contentsOf: missing) },
                { _ = try FileManager.default.contentsOfDirectory(atPath: missing.path) },
                { _ = try FileManager.default.attributesOfItem(atPath: missing.path) },
                { try FileManager.default.removeItem(at: missing) },
                { try FileManager.default.createDirectory(at: missing, withIntermediateDirectories: false) },
                { throw NSError(domain: NSPOSIXErrorDomain, code: Int(ENOENT)) },
            ]
            for (index, attempt) in attempts.enumerated() {
                let error = try #require(throws: (any Error).self) { try attempt() }
                #expect(error.explanation == "No such file or directory", "\(index)")
                if index < 5 { #expect(error.filePath == missing.path, "\(index)") }
            }
        }
    }

    @Test func thePackagesErrorsDescribeThemselves() {
        struct Plain: Error, CustomStringConvertible { var description: String { "plain" } }
        #expect(Plain().explanation == "plain")
        #expect(SystemError(code: ENOSPC).explanation == "No space left on device")
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([Int].self, from: Data("[1, \"a\"]".utf8))
        }
        #expect(error?.explanation.hasPrefix("[1]: found ") == true)
    }

    @Test func namesFromFilesAreCut() {
        #expect("weight".shortened == "weight")
        #expect(String(repeating: "a", count: 200).shortened.count == 200)
        #expect(String(repeating: "a", count: 40 << 20).shortened == String(repeating: "a", count: 200) + "...")
        // One character of many scalars.
        #expect(("e" + String(repeating: "\u{301}", count: 1000)).shortened.unicodeScalars.count == 203)
        #expect("a\u{1B}[2Jb\n".shortened == "a\\u{1B}[2Jb\\n")
    }

    @Test func textFilesAreBounded() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "a.json")
            try Data(count: 1000).write(to: file)
            #expect(try Data(contentsOf: file, atMost: 1000).count == 1000)
            #expect(throws: Data.TooLarge.self) { try Data(contentsOf: file, atMost: 999) }
            #expect(throws: Data.TooLarge.self) {
                try Data(contentsOf: URL(filePath: "/dev/zero"), atMost: 1 << 20)
            }
            let error = #expect(throws: JSONFieldError.self) {
                try JSONValue(contentsOf: URL(filePath: "/dev/zero"))
            }
            #expect(error?.found.contains("more than 16 MiB") == true)
        }
    }
}
