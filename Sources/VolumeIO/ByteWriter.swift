import Foundation
import VoxelSupport

/// Sequential writing of a file that is replaced whole or not at all, as a gzip stream or plain.
struct ByteWriter: ~Copyable {
    private var destination: AtomicFile
    private let file: FileDescriptor
    private let gzip: GzipDeflater?

    init(replacing url: URL, isCompressed: Bool) throws(SystemError) {
        let destination = try AtomicFile(replacing: url)
        let file = try FileDescriptor(fcntl(destination.descriptor, F_DUPFD_CLOEXEC, 0))
        self.destination = destination
        self.file = file
        gzip = isCompressed ? GzipDeflater(writing: file) : nil
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        if let gzip { try gzip.write(bytes, isLast: false) } else { try file.write(bytes) }
    }

    func write<Value: BitwiseCopyable>(_ values: [Value]) throws(SystemError) {
        var failure: SystemError?
        values.withUnsafeBytes { bytes in
            do throws(SystemError) { try write(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Ends the stream and puts the file in its place.
    mutating func commit() throws(SystemError) {
        try gzip?.write(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true)
        try destination.commit()
    }
}

extension FileDescriptor {
    /// Writes all of some bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try writeAll(bytes, to: number)
    }
}
