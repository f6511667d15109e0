import Foundation

/// A file that is replaced whole or not at all.
///
/// It is written under a hidden name in the same folder, ending in `.partial`. ``commit()`` flushes it to disk and renames
/// it; otherwise it is removed when the value goes out of scope. Symbolic links are resolved: the file that a link leads to
/// is replaced.
///
/// ```swift
/// try AtomicFile.write(data, to: url)
/// ```
package struct AtomicFile: ~Copyable {
    /// The file to write, which is empty at first.
    package let temporary: URL

    private let destination: URL
    private var isCommitted = false

    /// Creates the temporary file.
    ///
    /// - Throws: the system's error: `ENOENT` or `ENOTDIR` if the folder does not exist.
    package init(replacing destination: URL) throws(SystemError) {
        let destination = destination.resolvingSymlinksInPath()
        let temporary = destination.deletingLastPathComponent()
            .appending(path: ".voxelbridge-\(UUID().uuidString).partial")
        let descriptor = open(temporary.path, O_WRONLY | O_CREAT | O_EXCL, 0o666)
        guard descriptor >= 0 else { throw .current }
        close(descriptor)
        (self.destination, self.temporary) = (destination, temporary)
    }

    deinit {
        if !isCommitted { unlink(temporary.path) }
    }

    /// Flushes the temporary file, which must be closed, to disk, and renames it.
    ///
    /// - Throws: the system's error.
    package mutating func commit() throws(SystemError) {
        let descriptor = open(temporary.path, O_RDONLY)
        guard descriptor >= 0 else { throw .current }
        let isFlushed = fsync(descriptor) == 0
        let failure = SystemError.current
        close(descriptor)
        guard isFlushed else { throw failure }
        guard rename(temporary.path, destination.path) == 0 else { throw .current }
        isCommitted = true
    }
}

extension AtomicFile {
    /// Replaces a file with what `body` writes.
    ///
    /// - Throws: the system's error; what `body` throws.
    package static func write(to url: URL, _ body: (FileHandle) throws -> Void) throws {
        var file = try AtomicFile(replacing: url)
        let handle = try FileHandle(forWritingTo: file.temporary)
        do {
            try body(handle)
            try handle.close()
        } catch {
            try? handle.close()
            throw error
        }
        try file.commit()
    }

    /// Replaces a file with data.
    ///
    /// - Throws: the system's error.
    package static func write(_ data: Data, to url: URL) throws {
        try write(to: url) { try $0.write(contentsOf: data) }
    }
}

/// An error of the operating system, by its `errno`.
package struct SystemError: LocalizedError, CustomStringConvertible, Hashable {
    package let code: Int32

    /// The error of the last failed call on this thread.
    package static var current: SystemError { SystemError(code: errno) }

    package init(code: Int32) { self.code = code }

    /// The system's message, such as `No space left on device`.
    package var description: String { String(cString: strerror(code)) }

    /// The same as `description`.
    package var errorDescription: String? { description }
}
