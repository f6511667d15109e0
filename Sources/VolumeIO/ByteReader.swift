import Foundation
import VoxelSupport

/// Sequential reading of a file, decompressed if its first bytes are those of a gzip stream.
struct ByteReader {
    /// Size of the file on disk, in bytes.
    let fileBytes: Int

    /// The maximum size of the decompressed file, in bytes: the compression factor of deflate is at most 1032 (zlib
    /// technical details).
    var capacity: Int {
        guard isCompressed else { return fileBytes }
        let (product, overflow) = fileBytes.multipliedReportingOverflow(by: 1032)
        return overflow ? .max : product
    }

    var isCompressed: Bool { gzip != nil }

    /// The position of the next byte in the decompressed file.
    var position = 0

    let file: FileDescriptor
    private let gzip: GzipInflater?

    init(path: String) throws(VolumeIOError.Reason) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            let reason: VolumeIOError.Reason =
                errno == ENOENT ? .missing : .unreadable("\(SystemError.current)")
            if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) {
                throw reason == .missing ? .danglingLink(target: target) : reason
            }
            throw reason
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile }
        guard status.st_size > 0 else { throw .empty }
        fileBytes = Int(status.st_size)
        do throws(SystemError) { file = try FileDescriptor(open(path, O_RDONLY | O_CLOEXEC)) } catch {
            throw .unreadable("\(error)")
        }
        var signature: (UInt8, UInt8) = (0, 0)
        let isCompressed = pread(file.number, &signature, 2, 0) == 2 && signature == (0x1f, 0x8b)
        gzip = isCompressed ? GzipInflater(reading: file) : nil
    }

    /// Another reader of an open plain file, from a position on.
    init(of file: FileDescriptor, from position: Int) {
        (self.file, self.position, gzip, fileBytes) = (file, position, nil, .max)
    }

    /// Fills a buffer, or as much of it as the file has left. Returns the number of bytes read.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(VolumeIOError.Reason) -> Int {
        let count: Int
        if let gzip { count = try gzip.read(into: buffer) } else { count = try readPlain(into: buffer) }
        position += count
        return count
    }

    /// Fills a buffer.
    ///
    /// - Parameter total: the expected size of the file in bytes, for the error.
    /// - Throws: `truncated` if the file ends before that.
    mutating func fill(
        _ buffer: UnsafeMutableRawBufferPointer, ofTotal total: Int
    ) throws(VolumeIOError.Reason) {
        guard try read(into: buffer) == buffer.count else {
            throw .truncated(expectedBytes: total, foundBytes: position)
        }
    }

    /// Moves on to a position. O(1), or O(n) in a compressed file.
    mutating func skip(to target: Int, ofTotal total: Int) throws(VolumeIOError.Reason) {
        guard isCompressed else { return position = target }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { buffer.deallocate() }
        while position < target {
            try fill(.init(rebasing: buffer.prefix(target - position)), ofTotal: total)
        }
    }

    /// Checks the end of a compressed file, if it comes within 64 KiB.
    ///
    /// - Throws: `corruptGzip` if its checksum or length is wrong or missing.
    mutating func finish() throws(VolumeIOError.Reason) {
        guard let gzip, !gzip.isFinished else { return }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { buffer.deallocate() }
        guard try read(into: buffer) == buffer.count || gzip.isFinished else { throw .corruptGzip }
    }

    /// Fills a buffer with the next bytes of a plain file, or as much of it as the file has left.
    private func readPlain(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(VolumeIOError.Reason) -> Int {
        do { return try readAll(into: buffer, from: file.number, at: position) } catch {
            throw .unreadable("\(error)")
        }
    }
}

/// An open file, which is closed when nothing refers to it any more.
final class FileDescriptor: Sendable {
    let number: CInt

    /// - Throws: the system's error if `open` returned none.
    init(_ number: CInt) throws(SystemError) {
        guard number >= 0 else { throw .current }
        self.number = number
    }

    deinit { close(number) }
}
