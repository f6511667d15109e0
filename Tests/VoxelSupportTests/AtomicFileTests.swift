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

    @Test func aLinkThatLeadsNowhereIsWrittenThrough() throws {
        try withTemporaryFolder { folder in
            let (file, link) = (folder.appending(path: "a.txt"), folder.appending(path: "link.txt"))
            try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: "a.txt")
            try AtomicFile.write(Data("new".utf8), to: link)
            #expect(try String(contentsOf: file, encoding: .utf8) == "new")
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == "a.txt")
            // In a circle.
            let other = folder.appending(path: "other.txt")
            try FileManager.default.createSymbolicLink(atPath: other.path, withDestinationPath: "other.txt")
            let error = #expect(throws: SystemError.self) { try AtomicFile.write(Data(), to: other) }
            #expect(error?.code == ELOOP)
        }
    }

    @Test(arguments: [true, false]) func theModeIsKept(isNameless: Bool) throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "a.txt")
            func write(_ text: String) throws {
                var atomic = try AtomicFile(replacing: file, isNameless: isNameless)
                try atomic.write(contentsOf: Data(text.utf8))
                try atomic.commit()
            }
            func mode() throws -> UInt32 {
                var status = stat()
                try #require(stat(file.path, &status) == 0)
                return UInt32(status.st_mode) & 0o7777
            }
            try write("old")
            let mask = umask(0)
            umask(mask)
            #expect(try mode() == 0o666 & ~UInt32(mask))
            chmod(file.path, 0o640)
            try write("new")
            #expect(try mode() == 0o640)
            #expect(try String(contentsOf: file, encoding: .utf8) == "new")
        }
    }

    /// A process that is killed now would leave nothing.
    @Test(.enabled(if: AtomicFileTests.hasNamelessFiles, "there are no files without names here"))
    func aFileInTheMakingHasNoName() throws {
        try withTemporaryFolder { folder in
            let file = try AtomicFile(replacing: folder.appending(path: "a.txt"))
            try file.write(contentsOf: Data(count: 100_000))
            #expect(try names(in: folder).isEmpty)
        }
    }

    private static var hasNamelessFiles: Bool {
        let file = open(FileManager.default.temporaryDirectory.path, 0o20000000 | O_DIRECTORY | O_RDWR, 0o600)
        return file >= 0 && close(file) == 0
    }

    /// Where there are none, what a killed process has left is removed, and what another is writing is not.
    @Test func leftoversAreRemoved() throws {
        try withTemporaryFolder { folder in
            let file = try AtomicFile(replacing: folder.appending(path: "a.txt"), isNameless: false)
            let hidden = try names(in: folder)
            try #require(hidden.count == 1 && hidden[0].hasPrefix(".voxelbridge-"))
            let left = folder.appending(path: ".voxelbridge-0.partial")
            try Data("half".utf8).write(to: left)
            try Data("kept".utf8).write(to: folder.appending(path: ".other.partial"))
            AtomicFile.removeLeftovers(in: folder.path)
            #expect(try names(in: folder) == ([".other.partial"] + hidden).sorted())
            _ = consume file
            #expect(try names(in: folder) == [".other.partial"])
            // By the first file that is written into the folder, too.
            let second = folder.appending(path: "second")
            try FileManager.default.createDirectory(at: second, withIntermediateDirectories: false)
            try Data("half".utf8).write(to: second.appending(path: ".voxelbridge-0.partial"))
            try AtomicFile.write(Data(), to: second.appending(path: "a.txt"))
            #expect(try names(in: second) == ["a.txt"])
        }
    }

    @Test func devicesAreNotReplaced() throws {
        try withTemporaryFolder { folder in
            let pipe = folder.appending(path: "pipe")
            try #require(mkfifo(pipe.path, 0o600) == 0)
            let error = #expect(throws: SystemError.self) { try AtomicFile.write(Data(), to: pipe) }
            #expect(error?.code == ENOTSUP)
            #expect(try names(in: folder) == ["pipe"])
        }
    }

    @Test func aLockIsExclusive() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "lock")
            var lock: FileLock? = try FileLock(file)
            let error = #expect(throws: SystemError.self) { try FileLock(file) }
            #expect(error?.code == EWOULDBLOCK)
            lock?.removeFile()
            // Another file of the same name is another lock.
            let other = try FileLock(file)
            lock = nil
            _ = withExtendedLifetime(other) { #expect(throws: SystemError.self) { try FileLock(file) } }
        }
    }
}
