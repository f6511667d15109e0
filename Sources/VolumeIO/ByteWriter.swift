import Foundation
import VoxelSupport

/// Sequential writing of a file that is replaced whole or not at all, as a gzip stream or plain.
struct ByteWriter: ~Copyable {
    private var destination: AtomicFile
    private let file: FileDescriptor
    private let gzip: GzipDeflater?

    init(replacing url: URL, isCompressed: Bool) throws(SystemError) {
        let destination = try AtomicFile(replacing: url)
        let file = try FileDescriptor(open(destination.temporary.path, O_WRONLY | O_CLOEXEC))
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
        var done = 0
        while done < bytes.count {
            let count = Foundation.write(number, bytes.baseAddress! + done, bytes.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .current }
            done += count
        }
    }
}
