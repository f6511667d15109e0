import CNIfTI
import Foundation
import VoxelSupport

/// A file's bytes in order, decompressed on the way where the file begins as a gzip stream does.
///
/// Only a regular file is opened, and only the one at the path: libnifti's own `nifti_image_read` would also
/// look for other names and formats.
struct ByteReader: ~Copyable {
    /// Size of the file as it lies on disk, in bytes.
    let fileBytes: Int

    let isCompressed: Bool

    /// The most bytes that the file can hold: deflate writes at least one bit for each 129 bytes (zlib
    /// technical details: "maximum compression factor", 1032).
    var capacity: Int {
        guard isCompressed else { return fileBytes }
        let (product, overflow) = fileBytes.multipliedReportingOverflow(by: 1032)
        return overflow ? .max : product
    }

    /// Bytes read so far, decompressed.
    private(set) var position = 0

    private var file: znzFile?

    init(path: String) throws(VolumeIOError.Reason) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw errno == ENOENT ? .missing : .unreadable(systemMessage)
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile }
        guard status.st_size > 0 else { throw .empty }
        let isCompressed = try beginsAsGzip(path)
        guard let file = znzopen(path, "rb", isCompressed ? 1 : 0) else { throw .unreadable(systemMessage) }
        (self.file, self.isCompressed, fileBytes) = (file, isCompressed, Int(status.st_size))
    }

    deinit {
        var file = file
        if file != nil { Xznzclose(&file) }
    }

    /// Fills a buffer as far as the file goes and returns how many bytes came.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(VolumeIOError.Reason) -> Int {
        let count = znzread(buffer.baseAddress, 1, buffer.count, file)
        guard count >= 0 else { throw .corruptGzip }
        position += count
        return count
    }

    /// Fills a buffer, or its first `count` bytes at least.
    ///
    /// - Parameter total: how many bytes the whole file must hold, for the error.
    /// - Throws: `truncated` where the file ends before.
    mutating func fill(
        _ buffer: UnsafeMutableRawBufferPointer, atLeast count: Int, ofTotal total: Int
    ) throws(VolumeIOError.Reason) {
        guard try read(into: buffer) >= count else {
            throw .truncated(expectedBytes: total, foundBytes: position)
        }
    }

    /// Closes the file.
    ///
    /// - Throws: `corruptGzip` where a compressed stream was read to its end and its checksum is missing.
    mutating func finish() throws(VolumeIOError.Reason) {
        defer { file = nil }
        guard Xznzclose(&file) == 0 else { throw isCompressed ? .corruptGzip : .unreadable(systemMessage) }
    }
}

private func beginsAsGzip(_ path: String) throws(VolumeIOError.Reason) -> Bool {
    guard let file = fopen(path, "rb") else { throw .unreadable(systemMessage) }
    defer { fclose(file) }
    return getc(file) == 0x1f && getc(file) == 0x8b
}

private var systemMessage: String { "\(SystemError.current)" }
