/// Numbers at one place in memory, 64-byte aligned, for kernels to read and write.
///
/// Whoever holds one sees to it that nobody reads what another thread is writing.
final class FloatBuffer: @unchecked Sendable {
    let start: UnsafeMutablePointer<Float>
    let count: Int

    /// Room for `count` numbers, which hold nothing yet.
    init(uninitialized count: Int) {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * 4, alignment: 64)
        start = bytes.bindMemory(to: Float.self, capacity: count)
        self.count = count
    }

    /// `count` numbers at 0.
    convenience init(zeros count: Int) {
        self.init(uninitialized: count)
        start.update(repeating: 0, count: count)
    }

    /// The numbers given, and zeros up to a whole number of blocks.
    convenience init(_ values: [Float]) {
        self.init(zeros: blocks(values.count) * lanes)
        start.update(from: values, count: values.count)
    }

    deinit { UnsafeMutableRawPointer(start).deallocate() }
}

/// The channels of a block.
let lanes = 16

/// How many blocks hold so many channels.
func blocks(_ channels: Int) -> Int { (channels + lanes - 1) / lanes }
