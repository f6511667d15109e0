import Foundation
import Synchronization
import TestSupport
import Testing
import VoxelSupport

/// Reading and writing open files.
struct DescriptorTests {
    /// Signals that interrupt a read, as timers and the ends of child processes do, do not end it.
    @Test func aSignalDoesNotEndARead() async throws {
        var action = sigaction()
        #if os(Linux)
            action.__sigaction_handler.sa_handler = { _ in }
        #else
            action.__sigaction_u.__sa_handler = { _ in }
        #endif
        // Without SA_RESTART.
        try #require(sigaction(SIGUSR2, &action, nil) == 0)
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (from, into) = (ends[0], ends[1])
        defer { ends.forEach { close($0) } }
        let reader = Mutex<pthread_t?>(nil)
        let bytes = await withCheckedContinuation { (continuation: CheckedContinuation<[UInt8]?, Never>) in
            Thread.detachNewThread {
                reader.withLock { $0 = pthread_self() }
                var buffer = [UInt8](repeating: 0, count: 4)
                let count = buffer.withUnsafeMutableBytes { try? readAll(into: $0, from: from) }
                continuation.resume(returning: count == 4 ? buffer : nil)
            }
            Thread.detachNewThread {
                var thread: pthread_t?
                while thread == nil {
                    usleep(1000)
                    thread = reader.withLock { $0 }
                }
                for byte: UInt8 in 1...4 {
                    for _ in 0..<5 {
                        usleep(2000)
                        pthread_kill(thread!, SIGUSR2)
                    }
                    usleep(2000)
                    _ = withUnsafeBytes(of: byte) { write(into, $0.baseAddress!, 1) }
                }
            }
        }
        #expect(bytes == [1, 2, 3, 4])
    }

    @Test func aReadEndsWhereTheFileDoes() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "abc")
            try Data("abc".utf8).write(to: url)
            let file = open(url.path, O_RDONLY)
            defer { close(file) }
            var buffer = [UInt8](repeating: 0, count: 2)
            for (place, expected) in [(nil, "ab"), (nil, "c"), (nil, ""), (1, "bc"), (2, "c"), (5, "")] {
                let count = try buffer.withUnsafeMutableBytes { try readAll(into: $0, from: file, at: place) }
                #expect(String(decoding: buffer[..<count], as: UTF8.self) == expected)
            }
            #expect(throws: SystemError.self) {
                _ = try buffer.withUnsafeMutableBytes { try readAll(into: $0, from: -1) }
            }
        }
    }
}
