import CZlib
import Foundation

/// Bytes as a gzip stream (RFC 1952).
func gzip(_ bytes: [UInt8]) -> Data {
    var stream = z_stream()
    // 15 bits of window, plus 16 for gzip's header.
    let version = ZLIB_VERSION
    let started = deflateInit2_(
        &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY, version,
        CInt(MemoryLayout<z_stream>.size))
    precondition(started == Z_OK, "zlib cannot allocate memory")
    defer { deflateEnd(&stream) }
    var result = Data(count: Int(deflateBound(&stream, uLong(bytes.count))))
    bytes.withUnsafeBufferPointer { input in
        result.withUnsafeMutableBytes { output in
            // zlib reads its input through a pointer to mutable bytes, and leaves them as they are.
            stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.avail_in = uInt(input.count)
            stream.next_out = output.bindMemory(to: UInt8.self).baseAddress
            stream.avail_out = uInt(output.count)
            let ended = deflate(&stream, Z_FINISH)
            precondition(ended == Z_STREAM_END, "zlib needs no more than its bound")
        }
    }
    return result.prefix(Int(stream.total_out))
}
