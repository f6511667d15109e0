import Foundation

/// The bytes of a file, mapped into memory: only what is accessed is read.
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
        // Without O_NONBLOCK, `open` of a pipe without a writer would never return.
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

    /// Calls `body` with the bytes.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Releases the memory of some of the bytes, which are read from the file again on the next access.
    ///
    /// Otherwise every page that was accessed counts as memory in use, up to the whole file.
    func release(_ range: Range<Int>) {
        guard let start, !range.isEmpty else { return }
        let page = Int(getpagesize())
        let first = range.lowerBound / page * page
        _ = madvise(start + first, range.upperBound - first, MADV_DONTNEED)
    }
}

/// The place of a tensor's numbers in a file.
struct StoredTensor {
    let type: TensorType
    let shape: [Int]
    /// The numbers from an element to its neighbour along each axis.
    let strides: [Int]
    /// The byte at which the first number begins.
    let offset: Int

    /// A contiguous tensor, last axis fastest.
    init(type: TensorType, shape: [Int], offset: Int) {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
        self.init(type: type, shape: shape, strides: strides, offset: offset)
    }

    init(type: TensorType, shape: [Int], strides: [Int], offset: Int) {
        (self.type, self.shape, self.strides, self.offset) = (type, shape, strides, offset)
    }

    /// Reads the numbers, with the bytes of no more than 16 MB of them in memory at a time.
    func read(from file: MappedFile) -> Tensor {
        Tensor(shape: shape) { values in
            guard !values.isEmpty else { return }
            let axes = self.axes
            let row = axes.last ?? (extent: 1, stride: 1)
            var index = [Int](repeating: 0, count: max(0, axes.count - 1))
            var (place, done, held) = (0, 0, 0)
            while done < values.count {
                for first in stride(from: 0, to: row.extent, by: Self.piece) {
                    let count = min(Self.piece, row.extent - first)
                    file.withBytes { bytes in
                        let start = offset + (place + first * row.stride) * type.size
                        type.decode(
                            UnsafeRawBufferPointer(rebasing: bytes[start...]), stride: row.stride,
                            into: UnsafeMutableBufferPointer(rebasing: values[done..<done + count]))
                    }
                    (done, held) = (done + count, held + count)
                    if held >= Self.piece || done == values.count {
                        file.release(bytes)
                        held = 0
                    }
                }
                for axis in index.indices.reversed() {
                    (index[axis], place) = (index[axis] + 1, place + axes[axis].stride)
                    if index[axis] < axes[axis].extent { break }
                    (index[axis], place) = (0, place - axes[axis].extent * axes[axis].stride)
                }
            }
        }
    }

    private static let piece = 1 << 22

    /// From the first number to the end of the last.
    private var bytes: Range<Int> {
        let last = zip(shape, strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
        return offset..<offset + (last + 1) * type.size
    }

    /// The fewest axes that describe the same numbers: none of extent 1, and contiguous ones joined.
    private var axes: [(extent: Int, stride: Int)] {
        zip(shape, strides).reduce(into: []) { axes, axis in
            guard axis.0 != 1 else { return }
            if let last = axes.last, last.stride == axis.0 * axis.1 {
                axes[axes.count - 1] = (last.extent * axis.0, axis.1)
            } else {
                axes.append((axis.0, axis.1))
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are valid UTF-8. O(n), without allocation.
    var isUTF8: Bool {
        var parser = Unicode.UTF8.ForwardParser()
        var bytes = makeIterator()
        while true {
            switch parser.parseScalar(from: &bytes) {
            case .valid: continue
            case .emptyInput: return true
            case .error: return false
            }
        }
    }
}
