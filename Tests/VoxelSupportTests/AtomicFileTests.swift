import Foundation
import TestSupport
import Testing
import VoxelSupport

struct AtomicFileTests {
    private func names(in folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    @Test func aFileIsReplacedWhole() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "a.txt")
            for text in ["first, and longer", "second"] {
                try AtomicFile.write(Data(text.utf8), to: file)
                #expect(try String(contentsOf: file, encoding: .utf8) == text)
                #expect(try names(in: folder) == ["a.txt"])
            }
        }
    }

    @Test func aFileStaysWhereWritingFails() throws {
        struct Failure: Error {}
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "a.txt")
            try Data("old".utf8).write(to: file)
            #expect(throws: Failure.self) {
                try AtomicFile.write(to: file) {
                    try $0.write(contentsOf: Data("new".utf8))
                    throw Failure()
                }
            }
            #expect(try String(contentsOf: file, encoding: .utf8) == "old")
            #expect(try names(in: folder) == ["a.txt"])
        }
    }

    @Test func theFileThatALinkLeadsToIsReplaced() throws {
        try withTemporaryFolder { folder in
            let (file, link) = (folder.appending(path: "a.txt"), folder.appending(path: "link.txt"))
            try Data("old".utf8).write(to: file)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: file)
            try AtomicFile.write(Data("new".utf8), to: link)
            #expect(try String(contentsOf: file, encoding: .utf8) == "new")
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == file.path)
        }
    }

    @Test func theErrorIsTheSystems() throws {
        try withTemporaryFolder { folder in
            let error = #expect(throws: SystemError.self) {
                try AtomicFile.write(Data(), to: folder.appending(path: "none/a.txt"))
            }
            #expect(error?.code == ENOENT)
            #expect(error?.description == "No such file or directory")
            #expect(error?.localizedDescription == error?.description)
            let inside = folder.appending(path: "a.txt/kept")
            try FileManager.default.createDirectory(at: inside, withIntermediateDirectories: true)
            #expect(throws: SystemError.self) {
                try AtomicFile.write(Data(), to: folder.appending(path: "a.txt"))
            }
            #expect(try names(in: folder) == ["a.txt"])
        }
    }
}
