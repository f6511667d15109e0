import CNIfTI
import Foundation
import Volumes
import VoxelSupport

extension OpenVolume {
    /// Number of voxels that are converted at a time: few enough to stay in the cache.
    private static var chunk: Int { 1 << 16 }

    /// Checks that the file can hold its voxels as volumes.
    ///
    /// - Returns: the type of the voxels.
    func checkedVoxelType() throws(VolumeIOError.Reason) -> VoxelType {
        guard header.shape.count >= 2 else { throw .notOneVolume(shape: header.shape) }
        guard let type = header.voxelType else { throw .unsupportedDataType(header.dataType) }
        let claimed = header.grid.count * header.volumeCount * type.bytes
        guard header.dataOffset <= reader.capacity else { throw .invalidDataOffset(Double(header.dataOffset)) }
        guard claimed <= reader.capacity - header.dataOffset else {
            throw reader.isCompressed
                ? .impossibleSize(claimedBytes: claimed, fileBytes: reader.fileBytes)
                : .truncated(expectedBytes: header.dataOffset + claimed, foundBytes: reader.fileBytes)
        }
        guard header.grid.count <= 1 << 30 else { throw .tooManyVoxels(shape: header.shape) }
        return type
    }

    /// Reads the voxels of one volume as intensities, x fastest, those that are not finite as NaN. O(n), or O(n (index + 1)) in a compressed file.
    ///
    /// Volumes of a compressed file must be read in their order. Pages of memory are touched only as voxels are read: a
    /// truncated stream costs what it holds, not what its header claims.
    ///
    /// - Parameter index: the number of the volume.
    /// - Returns: the voxels, and what is to be said of them.
    mutating func readVolume(
        _ index: Int
    ) throws(VolumeIOError.Reason) -> (voxels: [Float], found: StoredRange, warnings: [VolumeIOWarning]) {
        let type = try checkedVoxelType()
        let count = header.grid.count
        try checkMemory(forVoxels: count)
        try reader.skip(to: header.dataOffset + index * count * type.bytes, ofTotal: totalBytes(type))
        var result: Result<StoredRange, VolumeIOError.Reason> = .success(StoredRange())
        let voxels = [Float](unsafeUninitializedCapacity: count) { voxels, initialized in
            useLargePages(UnsafeMutableRawBufferPointer(voxels))
            do throws(VolumeIOError.Reason) {
                result = .success(
                    try reader.isCompressed
                        ? readInOrder(type, into: voxels, count: count)
                        : readInParallel(type, into: voxels, count: count))
                initialized = count
            } catch { result = .failure(error) }
        }
        let found = try result.get()
        if index == header.volumeCount - 1 { try reader.finish() }
        var warnings: [VolumeIOWarning] = []
        if found.notFinite > 0 { warnings.append(.notFinite(count: found.notFinite)) }
        if let warning = found.coarseness(as: type, scaling) {
            if case .coarse(_, let low, let high, _) = warning, Float(low) == Float(high) {
                throw .indistinct(dataType: header.dataType, low: low, high: high)
            }
            warnings.append(warning)
        }
        return (voxels, found, warnings)
    }

    /// Reads all voxels in their order, and hands them on in pieces, those that are not finite as NaN. O(1) in memory.
    mutating func scan(_ body: (UnsafeBufferPointer<Float>) -> Void) throws(VolumeIOError.Reason) -> StoredRange
    {
        let type = try checkedVoxelType()
        try reader.skip(to: header.dataOffset, ofTotal: totalBytes(type))
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: Self.chunk)
        defer { buffer.deallocate() }
        let all = header.grid.count * header.volumeCount
        var (done, found) = (0, StoredRange())
        while done < all {
            let count = min(Self.chunk, all - done)
            found.formUnion(try readInOrder(type, into: buffer, count: count))
            body(UnsafeBufferPointer(rebasing: buffer[..<count]))
            done += count
        }
        try reader.finish()
        return found
    }

    private var scaling: Scaling { Scaling(slope: header.slope, intercept: header.intercept) }

    private func totalBytes(_ type: VoxelType) -> Int {
        header.dataOffset + header.grid.count * header.volumeCount * type.bytes
    }

    /// Reads voxels from the reader's position on.
    private mutating func readInOrder(
        _ type: VoxelType, into voxels: UnsafeMutableBufferPointer<Float>, count: Int
    ) throws(VolumeIOError.Reason) -> StoredRange {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunk * type.bytes, alignment: 16)
        defer { buffer.deallocate() }
        let (total, scaling) = (totalBytes(type), scaling)
        var (done, found) = (0, StoredRange())
        while done < count {
            let part = min(Self.chunk, count - done)
            let target = voxels.baseAddress! + done
            // 32-bit floats are converted where they are, if at all.
            let stored =
                type == .float32
                ? UnsafeMutableRawBufferPointer(start: target, count: part * 4)
                : UnsafeMutableRawBufferPointer(rebasing: buffer[..<(part * type.bytes)])
            try reader.fill(stored, ofTotal: total)
            swapIfNeeded(stored, type)
            found.formUnion(
                type.decode(UnsafeRawBufferPointer(stored), scaling, into: target))
            done += part
        }
        return found
    }

    /// Reads voxels of a plain file from the reader's position on, with all cores.
    private mutating func readInParallel(
        _ type: VoxelType, into voxels: UnsafeMutableBufferPointer<Float>, count: Int
    ) throws(VolumeIOError.Reason) -> StoredRange {
        // Each part is read and converted whole by one core; below a few, one core is as fast.
        let part = 16 * Self.chunk
        let parts = (count + part - 1) / part
        guard parts > 1 else {
            return try readInOrder(type, into: voxels, count: count)
        }
        let start = reader.position
        nonisolated(unsafe) let voxels = voxels
        let (header, file) = (header, reader.file)
        let ranges = try concurrentMap(parts) { (index) throws(VolumeIOError.Reason) in
            let first = index * part
            let slice = UnsafeMutableBufferPointer(rebasing: voxels[first..<min(first + part, count)])
            var own = OpenVolume(header: header, reader: ByteReader(of: file, from: start + first * type.bytes))
            return try own.readInOrder(type, into: slice, count: slice.count)
        }
        var found = StoredRange()
        for range in ranges { found.formUnion(range) }
        reader.position = start + count * type.bytes
        return found
    }

    private func swapIfNeeded(_ bytes: UnsafeMutableRawBufferPointer, _ type: VoxelType) {
        guard header.isSwapped, type.bytes > 1 else { return }
        nifti_swap_Nbytes(Int64(bytes.count / type.bytes), CInt(type.bytes), bytes.baseAddress)
    }
}

/// Asks for large pages, of usually 2 MiB, for memory that has several: to touch new small ones takes as long as to
/// decompress the voxels.
private func useLargePages(_ memory: UnsafeMutableRawBufferPointer) {
    #if os(Linux)
        let page = Int(getpagesize())
        guard memory.count >= 1 << 23, let start = memory.baseAddress?.alignedUp(toMultipleOf: page) else {
            return
        }
        madvise(start, memory.count - page, MADV_HUGEPAGE)
    #endif
}

/// Checks that the system can provide the memory: a Swift array that it cannot provide ends the program.
private func checkMemory(forVoxels count: Int) throws(VolumeIOError.Reason) {
    let bytes = count * MemoryLayout<Float>.stride
    let pages = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    guard pages != MAP_FAILED else { throw .insufficientMemory(neededBytes: bytes) }
    munmap(pages, bytes)
}
