import Foundation

// Reading and writing open files whole. A signal that interrupts a call does not end it.

/// Reads bytes until a buffer is full or the file ends.
///
/// - Parameter place: where to begin; nil for where the last read ended, as of a pipe.
/// - Returns: the number of bytes.
/// - Throws: the system's error.
package func readAll(
    into buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, at place: Int? = nil
) throws(SystemError) -> Int {
    var done = 0
    while done < buffer.count {
        let (start, left) = (buffer.baseAddress! + done, buffer.count - done)
        let count =
            place.map { pread(descriptor, start, left, off_t($0 + done)) } ?? read(descriptor, start, left)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw .current }
        if count == 0 { break }
        done += count
    }
    return done
}

/// Writes all of some bytes to an open file.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws(SystemError) {
    var done = 0
    while done < bytes.count {
        let count = write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw .current }
        done += count
    }
}
