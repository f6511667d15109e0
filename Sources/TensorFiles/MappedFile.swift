import Foundation

/// The bytes of a file, mapped into memory: only what is looked at is read.
///
/// The file must not be changed in place while it is mapped.
final class MappedFile: @unchecked Sendable {  // It never changes.
    /// Why a file could not be mapped.
    struct Failure: Error {
        let reason: String
    }

    /// How many bytes there are.
    let count: Int

    private let start: UnsafeMutableRawPointer?

    /// Maps a file.
    init(contentsOf url: URL) throws(Failure) {
        // A pipe without a writer would hold `open` up for ever.
        let descriptor = url.withUnsafeFileSystemRepresentation { path in
            path.map { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) } ?? -1
        }
        guard descriptor >= 0 else { throw Self.systemFailure() }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.systemFailure() }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(reason: "it is a folder or a device; expected a file")
        }
        count = Int(status.st_size)
        guard count > 0 else {
            start = nil
            return
        }
        start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard start != MAP_FAILED else { throw Self.systemFailure() }
    }

    deinit {
        if let start { munmap(start, count) }
    }

    private static func systemFailure() -> Failure {
        errno == ENOENT
            ? Failure(reason: "there is no such file; check the path")
            : Failure(reason: String(cString: strerror(errno)))
    }

    /// Looks at the bytes.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Lets go of the memory that holds some of the bytes. They are read again when they are looked at again.
    ///
    /// Without it every page that was looked at counts as memory in use, up to the whole file.
    func release(_ range: Range<Int>) {
        guard let start, !range.isEmpty else { return }
        let page = Int(getpagesize())
        let first = range.lowerBound / page * page
        _ = madvise(start + first, range.upperBound - first, MADV_DONTNEED)
    }
}
