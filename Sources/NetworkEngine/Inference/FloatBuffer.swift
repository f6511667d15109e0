import Synchronization

/// Numbers at one place in memory, 64-byte aligned, for kernels to read and write.
///
/// Whoever holds one sees to it that nobody reads what another thread is writing.
final class FloatBuffer: @unchecked Sendable {
    let start: UnsafeMutablePointer<Float>
    let count: Int

    private let pool: BufferPool?

    /// Room for `count` numbers, which hold nothing yet: what `pool` has left, if it is given.
    init(uninitialized count: Int, from pool: BufferPool? = nil) {
        self.count = count
        self.pool = pool
        if let known = pool?.take(count) {
            start = known
            return
        }
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * 4, alignment: 64)
        start = bytes.bindMemory(to: Float.self, capacity: count)
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

    deinit {
        if let pool { pool.give(start, count) } else { UnsafeMutableRawPointer(start).deallocate() }
    }
}

/// Memory that is used again and again in the same sizes, and given back when the pool is.
final class BufferPool: Sendable {
    private let free = Mutex<[Int: [UInt]]>([:])

    fileprivate func take(_ count: Int) -> UnsafeMutablePointer<Float>? {
        free.withLock { $0[count]?.popLast() }.flatMap(UnsafeMutablePointer.init(bitPattern:))
    }

    fileprivate func give(_ start: UnsafeMutablePointer<Float>, _ count: Int) {
        free.withLock { $0[count, default: []].append(UInt(bitPattern: start)) }
    }

    deinit {
        for address in free.withLock({ Array($0.values.joined()) }) {
            UnsafeMutableRawPointer(bitPattern: address)?.deallocate()
        }
    }
}

/// The channels of a block.
let lanes = 16

/// How many blocks hold so many channels.
func blocks(_ channels: Int) -> Int { (channels + lanes - 1) / lanes }
