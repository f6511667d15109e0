import CVoxelKernels
import Foundation
import Synchronization

/// Sixteen neighbouring channels of an image, `[pixels][16]`: one vector register a pixel, and what kernels work on.
enum Block {
    /// The channels of a block.
    static let lanes = 16

    /// The kernels for this machine. C function pointers are not Sendable, but the table is constant and the
    /// functions have no state.
    nonisolated(unsafe) static let kernels: voxel_kernels = voxel_kernels_here().pointee

    /// Number of blocks for a number of channels.
    static func count(_ channels: Int) -> Int { (channels + lanes - 1) / lanes }

    /// Where `count` blocks of one piece of memory begin, `stride` numbers apart.
    static func starts(_ first: UnsafePointer<Float>, count: Int, stride: Int) -> [UnsafePointer<Float>?] {
        (0..<count).map { first + $0 * stride }
    }
}

/// Numbers at one place in memory, 64-byte aligned, for kernels to read and write.
///
/// Its users ensure that no thread accesses numbers that another is writing: each worker writes its own part.
final class FloatBuffer: @unchecked Sendable {
    let start: UnsafeMutablePointer<Float>
    let count: Int

    private let memory: BufferPool.Memory
    private let pool: BufferPool?

    /// Space for `count` numbers, not initialised; from `pool` where it is given.
    init(uninitialized count: Int, from pool: BufferPool? = nil) {
        (self.count, self.pool) = (count, pool)
        memory = pool?.take(count) ?? BufferPool.Memory(count)
        start = memory.start
    }

    /// `count` zeros.
    convenience init(zeros count: Int) {
        self.init(uninitialized: count)
        start.update(repeating: 0, count: count)
    }

    /// The given numbers, and zeros up to a whole number of blocks.
    convenience init(_ values: [Float]) {
        self.init(zeros: Block.count(values.count) * Block.lanes)
        start.update(from: values, count: values.count)
    }

    deinit { pool?.give(memory, count) }
}

/// A place in a buffer, which it keeps alive.
struct BufferPlace: Sendable {
    let buffer: FloatBuffer
    var offset = 0

    var start: UnsafeMutablePointer<Float> { buffer.start + offset }

    /// The place `distance` numbers further on.
    static func + (place: BufferPlace, distance: Int) -> BufferPlace {
        BufferPlace(buffer: place.buffer, offset: place.offset + distance)
    }
}

/// Memory of buffers that are no longer used, for new ones of the same sizes; released with the pool.
final class BufferPool: Sendable {
    /// Memory that is free, by its size, and how much of it has been free since the last release.
    private struct Free {
        var memory: [Memory] = []
        var unused = 0
    }

    private let free = Mutex<[Int: Free]>([:])

    /// Memory for some numbers.
    final class Memory: @unchecked Sendable {
        let start: UnsafeMutablePointer<Float>

        fileprivate init(_ count: Int) {
            let size = max(1, count) * MemoryLayout<Float>.size
            let isLarge = size >= 16 << 20
            let bytes = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: isLarge ? 2 << 20 : 64)
            #if os(Linux)
                // Large pages: volumes are entered page by page for the first time in every evaluation.
                if isLarge { madvise(bytes, size, MADV_HUGEPAGE) }
            #endif
            start = bytes.bindMemory(to: Float.self, capacity: count)
        }

        deinit { UnsafeMutableRawPointer(start).deallocate() }
    }

    fileprivate func take(_ count: Int) -> Memory? {
        free.withLock { free in
            guard var entry = free[count], let memory = entry.memory.popLast() else { return nil }
            entry.unused = min(entry.unused, entry.memory.count)
            free[count] = entry
            return memory
        }
    }

    fileprivate func give(_ memory: Memory, _ count: Int) {
        free.withLock { $0[count, default: Free()].memory.append(memory) }
    }

    /// Releases what has not been used since the last call.
    func releaseUnused() {
        free.withLock { free in
            for (count, entry) in free {
                let memory = Array(entry.memory.dropFirst(entry.unused))
                free[count] = memory.isEmpty ? nil : Free(memory: memory, unused: memory.count)
            }
        }
    }
}

/// A cache of at most `capacity` values by key; the least recently used is evicted.
final class RecentValues<Key: Equatable & Sendable, Value: Sendable>: Sendable {
    private let capacity: Int
    /// The most recently used first.
    private let entries = Mutex<[(key: Key, value: Value)]>([])

    init(capacity: Int) { self.capacity = capacity }

    /// The value of a key, computed by `make` if it is not cached. If several threads compute it, all get the first.
    func value<Failure: Error>(of key: Key, make: () throws(Failure) -> Value) throws(Failure) -> Value {
        if let known = entries.withLock({ Self.use(key, among: &$0) }) { return known }
        let value = try make()
        return entries.withLock { entries in
            if let known = Self.use(key, among: &entries) { return known }
            entries = [(key, value)] + entries.prefix(capacity - 1)
            return value
        }
    }

    private static func use(_ key: Key, among entries: inout [(key: Key, value: Value)]) -> Value? {
        guard let index = entries.firstIndex(where: { $0.key == key }) else { return nil }
        let entry = entries.remove(at: index)
        entries.insert(entry, at: 0)
        return entry.value
    }
}
