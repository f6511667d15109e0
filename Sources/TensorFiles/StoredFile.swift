import Foundation
import VoxelSupport

/// An open file whose bytes are read when they are asked for.
///
/// It is not mapped into memory: a file that is cut while it is open then gives an error, and not a signal that ends the
/// process.
final class StoredFile: Sendable {
    /// Why a file could not be read.
    struct Failure: Error {
        let reason: String
    }

    /// How many bytes there were when it was opened.
    let count: Int

    private let descriptor: Int32

    /// Opens a file.
    init(contentsOf url: URL) throws(Failure) {
        // Without O_NONBLOCK, `open` of a pipe without a writer would never return.
        let descriptor = url.withUnsafeFileSystemRepresentation { path in
            path.map { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) } ?? -1
        }
        guard descriptor >= 0 else { throw Self.systemFailure() }
        self.descriptor = descriptor
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.systemFailure() }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(reason: "it is a folder or a device; expected a file")
        }
        count = Int(status.st_size)
    }

    deinit { close(descriptor) }

    private static func systemFailure() -> Failure {
        errno == ENOENT
            ? Failure(reason: "there is no such file; check the path")
            : Failure(reason: "\(SystemError.current)")
    }

    /// Reads bytes from a place on.
    func read(at place: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Failure) {
        let read: Int
        do { read = try readAll(into: buffer, from: descriptor, at: place) } catch {
            throw Failure(reason: "\(error)")
        }
        guard read == buffer.count else {
            var status = stat()
            fstat(descriptor, &status)
            throw Failure(
                reason:
                    "it was cut to \(status.st_size) bytes while it was read, of \(count); write or copy it again"
            )
        }
    }

    /// The bytes of a range.
    func bytes(_ range: Range<Int>) throws(Failure) -> [UInt8] {
        var failure: Failure?
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, initialized in
            do throws(Failure) {
                try read(
                    at: range.lowerBound,
                    into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: range.count))
                initialized = range.count
            } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
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

    /// Reads the numbers. Contiguous ones take no memory beside them; of others, all bytes between the first and the last
    /// are held.
    func read(from file: StoredFile) throws(StoredFile.Failure) -> Tensor {
        var failure: StoredFile.Failure?
        let tensor = Tensor(shape: shape) { values in
            guard !values.isEmpty else { return }
            do throws(StoredFile.Failure) {
                let axes = self.axes
                if axes.allSatisfy({ $0.stride == 1 }) {
                    try readContiguous(from: file, into: values)
                } else {
                    gather(axes, from: try file.bytes(bytes), into: values)
                }
            } catch {
                values.update(repeating: 0)
                failure = error
            }
        }
        if let failure { throw failure }
        return tensor
    }

    private func readContiguous(
        from file: StoredFile, into values: UnsafeMutableBufferPointer<Float>
    ) throws(StoredFile.Failure) {
        // Numbers of the same size are converted where they are.
        let isInPlace = type == .f32
        let space = UnsafeMutableRawBufferPointer.allocate(
            byteCount: isInPlace ? 0 : min(values.count, Self.piece) * type.size, alignment: 16)
        defer { space.deallocate() }
        for first in stride(from: 0, to: values.count, by: Self.piece) {
            let part = UnsafeMutableBufferPointer(
                rebasing: values[first..<min(first + Self.piece, values.count)])
            let stored = UnsafeMutableRawBufferPointer(
                rebasing: (isInPlace ? UnsafeMutableRawBufferPointer(part) : space)[..<(part.count * type.size)]
            )
            try file.read(at: offset + first * type.size, into: stored)
            type.decode(UnsafeRawBufferPointer(stored), stride: 1, into: part)
        }
    }

    /// Copies the numbers along axes from the bytes that begin with the first of them.
    private func gather(
        _ axes: [(extent: Int, stride: Int)], from bytes: [UInt8],
        into values: UnsafeMutableBufferPointer<Float>
    ) {
        let row = axes.last ?? (extent: 1, stride: 1)
        var index = [Int](repeating: 0, count: max(0, axes.count - 1))
        var (place, done) = (0, 0)
        while done < values.count {
            bytes.withUnsafeBytes { bytes in
                type.decode(
                    UnsafeRawBufferPointer(rebasing: bytes[(place * type.size)...]), stride: row.stride,
                    into: UnsafeMutableBufferPointer(rebasing: values[done..<done + row.extent]))
            }
            done += row.extent
            for axis in index.indices.reversed() {
                (index[axis], place) = (index[axis] + 1, place + axes[axis].stride)
                if index[axis] < axes[axis].extent { break }
                (index[axis], place) = (0, place - axes[axis].extent * axes[axis].stride)
            }
        }
    }

    private static let piece = 1 << 20

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
