import CISAL
import Foundation
import VoxelSupport

/// A gzip stream that is decompressed piece by piece: one member or several, with anything else after them ignored.
///
/// ISA-L decompresses several times as fast as zlib; see Documentation/Performance.md.
final class GzipInflater {
    private let state = UnsafeMutablePointer<inflate_state>.allocate(capacity: 1)
    private let input = UnsafeMutablePointer<UInt8>.allocate(capacity: bufferBytes)
    private let file: FileDescriptor
    private var inputIsAtEnd = false

    /// Whether the last member has ended, with the right checksum and length.
    private(set) var isFinished = false

    init(reading file: FileDescriptor) {
        self.file = file
        isal_inflate_init(state)
        state.pointee.crc_flag = UInt32(ISAL_GZIP)
        state.pointee.next_in = input
        state.pointee.avail_in = 0
    }

    deinit {
        state.deallocate()
        input.deallocate()
    }

    /// Fills a buffer, or as much of it as the stream has left. Returns the number of bytes.
    func read(into output: UnsafeMutableRawBufferPointer) throws(VolumeIOError.Reason) -> Int {
        let start = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        var count = 0
        while count < output.count, !isFinished {
            if state.pointee.avail_in == 0 { try refill() }
            let (room, available) = (min(output.count - count, 1 << 30), state.pointee.avail_in)
            state.pointee.next_out = start! + count
            state.pointee.avail_out = UInt32(room)
            guard isal_inflate(state) == ISAL_DECOMP_OK else { throw .corruptGzip }
            let made = room - Int(state.pointee.avail_out)
            count += made
            if state.pointee.block_state == ISAL_BLOCK_FINISH {
                isFinished = try !beginNextMember()
            } else if made == 0, state.pointee.avail_in == available {
                // Without input there is nothing more to come; with input, a valid stream makes progress.
                guard available == 0, inputIsAtEnd else { throw .corruptGzip }
                break
            }
        }
        return count
    }

    /// Starts on the member after the one that ended. Returns whether there is one.
    private func beginNextMember() throws(VolumeIOError.Reason) -> Bool {
        if state.pointee.avail_in < 2 { try refill() }
        guard state.pointee.avail_in >= 2, state.pointee.next_in[0] == 0x1f, state.pointee.next_in[1] == 0x8b
        else { return false }
        isal_inflate_reset(state)
        state.pointee.crc_flag = UInt32(ISAL_GZIP)
        return true
    }

    /// Reads on, behind the input that is left.
    private func refill() throws(VolumeIOError.Reason) {
        let left = Int(state.pointee.avail_in)
        if left > 0 { memmove(input, state.pointee.next_in, left) }
        state.pointee.next_in = input
        guard !inputIsAtEnd else { return }
        let count = Foundation.read(file.number, input + left, bufferBytes - left)
        guard count >= 0 else { throw .unreadable("\(SystemError.current)") }
        inputIsAtEnd = count == 0
        state.pointee.avail_in = UInt32(left + count)
    }
}

/// A gzip stream of one member that is compressed piece by piece. Equal pieces give equal bytes on one machine.
///
/// ISA-L's level 2 compresses volumes as well as zlib's level 1 to 4, several times as fast.
final class GzipDeflater {
    private let state = UnsafeMutablePointer<isal_zstream>.allocate(capacity: 1)
    private let levelBuffer = UnsafeMutablePointer<UInt8>.allocate(capacity: levelBytes)
    private let output = UnsafeMutablePointer<UInt8>.allocate(capacity: bufferBytes)
    private let file: FileDescriptor

    init(writing file: FileDescriptor) {
        self.file = file
        isal_deflate_init(state)
        state.pointee.level = 2
        state.pointee.level_buf = levelBuffer
        state.pointee.level_buf_size = UInt32(levelBytes)
        state.pointee.gzip_flag = UInt16(IGZIP_GZIP)
    }

    deinit {
        state.deallocate()
        levelBuffer.deallocate()
        output.deallocate()
    }

    /// Compresses some bytes; the last ones end the stream.
    func write(_ bytes: UnsafeRawBufferPointer, isLast: Bool) throws(SystemError) {
        var rest = bytes
        repeat {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
            // ISA-L reads its input only; the pointer is not declared so.
            state.pointee.next_in = UnsafeMutablePointer(
                mutating: piece.baseAddress?.assumingMemoryBound(to: UInt8.self))
            state.pointee.avail_in = UInt32(piece.count)
            state.pointee.end_of_stream = isLast && rest.isEmpty ? 1 : 0
            repeat {
                state.pointee.next_out = output
                state.pointee.avail_out = UInt32(bufferBytes)
                guard isal_deflate(state) == COMP_OK else { throw SystemError(code: EIO) }
                let made = bufferBytes - Int(state.pointee.avail_out)
                try file.write(UnsafeRawBufferPointer(start: output, count: made))
            } while state.pointee.avail_out == 0
        } while !rest.isEmpty
    }
}

private let bufferBytes = 1 << 18
private let levelBytes = isal_level2_buffer_bytes
