import CNIfTI
import Foundation

/// Where and how a file stores its voxels.
struct VoxelLayout: Hashable, Sendable {
    /// The standard's `DT_` code.
    let dataTypeCode: Int16

    /// Whether the bytes of a number are in the order that this machine does not use.
    let isSwapped: Bool

    /// Position of the first voxel in the file, in bytes, decompressed.
    let offset: Int

    /// Reads all voxels of a volume as intensities, x fastest, and counts those that were not finite.
    ///
    /// Memory is taken only once it is known that a file of this size can hold the voxels. Pages of it are
    /// used only as voxels come, so a stream that ends early costs what it holds and not what it claims.
    func readVoxels(
        of header: NIfTIHeader, from reader: inout ByteReader
    ) throws(VolumeIOError.Reason) -> (voxels: [Float], replaced: Int) {
        guard header.shape.count >= 2, header.shape.dropFirst(3).allSatisfy({ $0 == 1 }) else {
            throw .notOneVolume(shape: header.shape)
        }
        guard let type = RealType(rawValue: dataTypeCode) else { throw .unsupportedDataType(header.dataType) }
        let count = header.grid.count
        try checkSize(ofVoxels: count * type.bytes, in: reader)
        try checkMemory(forVoxels: count)
        let total = offset + count * type.bytes

        let chunk = 1 << 16
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk * 9, alignment: 16)
        let intensities = UnsafeMutableBufferPointer<Float>.allocate(capacity: chunk)
        defer {
            buffer.deallocate()
            intensities.deallocate()
        }
        while reader.position < offset {
            let skipped = min(buffer.count, offset - reader.position)
            try reader.fill(.init(rebasing: buffer[..<skipped]), atLeast: skipped, ofTotal: total)
        }
        let scaling = Scaling(slope: header.slope, intercept: header.intercept)
        var voxels: [Float] = []
        voxels.reserveCapacity(count)
        var replaced = 0
        while voxels.count < count {
            let wanted = min(chunk, count - voxels.count)
            let stored = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(wanted * type.bytes)])
            // The last read asks for more than the voxels, so that it meets the stream's end and checksum.
            let isLast = voxels.count + wanted == count
            try reader.fill(isLast ? buffer : stored, atLeast: stored.count, ofTotal: total)
            if isSwapped, type.bytes > 1 {
                nifti_swap_Nbytes(Int64(wanted), CInt(type.bytes), stored.baseAddress)
            }
            replaced += type.decode(UnsafeRawBufferPointer(stored), scaling, into: intensities)
            voxels.append(contentsOf: intensities[..<wanted])
        }
        return (voxels, replaced)
    }

    /// Checks that a file of this size can hold the voxels.
    private func checkSize(
        ofVoxels claimed: Int, in reader: borrowing ByteReader
    ) throws(VolumeIOError.Reason) {
        guard offset <= reader.capacity else { throw .invalidDataOffset(Double(offset)) }
        guard claimed <= reader.capacity - offset else {
            throw reader.isCompressed
                ? .impossibleSize(claimedBytes: claimed, fileBytes: reader.fileBytes)
                : .truncated(expectedBytes: offset + claimed, foundBytes: reader.fileBytes)
        }
    }
}

/// Checks that the system would lend the memory, where taking it unasked would end the program.
private func checkMemory(forVoxels count: Int) throws(VolumeIOError.Reason) {
    let bytes = count * MemoryLayout<Float>.stride
    let pages = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    guard pages != MAP_FAILED else { throw .insufficientMemory(neededBytes: bytes) }
    munmap(pages, bytes)
}
