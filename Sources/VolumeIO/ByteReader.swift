import CNIfTI
import Foundation
import VoxelSupport

/// Sequential reading of a file, decompressed if its first bytes are those of a gzip stream.
///
/// Only the regular file at the path is opened; libnifti's `nifti_image_read` also tries other names and formats.
struct ByteReader: ~Copyable {
    /// Size of the file on disk, in bytes.
    let fileBytes: Int

    let isCompressed: Bool

    /// The maximum size of the decompressed file, in bytes: the compression factor of deflate is at most 1032 (zlib
    /// technical details).
    var capacity: Int {
        guard isCompressed else { return fileBytes }
        let (product, overflow) = fileBytes.multipliedReportingOverflow(by: 1032)
        return overflow ? .max : product
    }

    /// Number of decompressed bytes read so far.
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

    /// Fills a buffer, or as much of it as the file has left. Returns the number of bytes read.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(VolumeIOError.Reason) -> Int {
        let count = znzread(buffer.baseAddress, 1, buffer.count, file)
        guard count >= 0 else { throw .corruptGzip }
        position += count
        return count
    }

    /// Fills a buffer, or at least its first `count` bytes.
    ///
    /// - Parameter total: the expected size of the file in bytes, for the error.
    /// - Throws: `truncated` if the file ends before that.
    mutating func fill(
        _ buffer: UnsafeMutableRawBufferPointer, atLeast count: Int, ofTotal total: Int
    ) throws(VolumeIOError.Reason) {
        guard try read(into: buffer) >= count else {
            throw .truncated(expectedBytes: total, foundBytes: position)
        }
    }

    /// Closes the file.
    ///
    /// - Throws: `corruptGzip` if a compressed stream was read to its end and its checksum is missing.
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
