import CNIfTI
import Foundation

/// Where and how a file stores its voxels, and the conversion to intensities.
struct VoxelLayout: Hashable, Sendable {
    /// The standard's `DT_` code.
    let dataTypeCode: Int16

    /// Whether the byte order is not that of this machine.
    let isSwapped: Bool

    /// Position of the first voxel in the decompressed file, in bytes.
    let offset: Int

    /// Reads all voxels as intensities, x fastest, and counts those that were not finite. O(n).
    ///
    /// Memory is allocated only after checking that a file of this size can hold the voxels, and its pages are touched
    /// only as voxels are read: a truncated stream costs what it holds, not what its header claims.
    func readVoxels(
        of header: NIfTIHeader, from reader: inout ByteReader, keepsNotFinite: Bool
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
            // The last read asks for more than the voxels, so that zlib reaches and verifies the stream's checksum.
            let isLast = voxels.count + wanted == count
            try reader.fill(isLast ? buffer : stored, atLeast: stored.count, ofTotal: total)
            if isSwapped, type.bytes > 1 {
                nifti_swap_Nbytes(Int64(wanted), CInt(type.bytes), stored.baseAddress)
            }
            let notFinite = type.decode(UnsafeRawBufferPointer(stored), scaling, into: intensities)
            if notFinite > 0, !keepsNotFinite {
                for index in 0..<wanted where !intensities[index].isFinite { intensities[index] = 0 }
            }
            replaced += notFinite
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

/// Checks that the system can provide the memory: a Swift array that it cannot provide ends the program.
private func checkMemory(forVoxels count: Int) throws(VolumeIOError.Reason) {
    let bytes = count * MemoryLayout<Float>.stride
    let pages = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    guard pages != MAP_FAILED else { throw .insufficientMemory(neededBytes: bytes) }
    munmap(pages, bytes)
}

// MARK: Stored types

/// Intensity = slope x stored value + intercept, in 64-bit floats.
struct Scaling {
    let slope: Double
    let intercept: Double

    var isIdentity: Bool { slope == 1 && intercept == 0 }
}

/// The data types that hold one real number per voxel, by their `DT_` codes.
enum RealType: Int16 {
    case uint8 = 2
    case int16 = 4
    case int32 = 8
    case float32 = 16
    case float64 = 64
    case int8 = 256
    case uint16 = 512
    case uint32 = 768
    case int64 = 1024
    case uint64 = 1280

    var bytes: Int {
        switch self {
        case .uint8, .int8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// Converts stored numbers to intensities. Returns how many are not finite.
    func decode(
        _ stored: UnsafeRawBufferPointer, _ scaling: Scaling,
        into intensities: UnsafeMutableBufferPointer<Float>
    ) -> Int {
        switch self {
        case .uint8: scale(UInt8.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int8: scale(Int8.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .uint16: scale(UInt16.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int16: scale(Int16.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .uint32: scale(UInt32.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int32: scale(Int32.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .uint64: scale(UInt64.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int64: scale(Int64.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .float32: scale(Float.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .float64: scale(Double.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        }
    }
}

@inline(__always)
private func scale<Stored>(
    _: Stored.Type, _ bytes: UnsafeRawBufferPointer, _ scaling: Scaling, _ float: (Stored) -> Float,
    _ double: (Stored) -> Double, _ intensities: UnsafeMutableBufferPointer<Float>
) -> Int {
    let stored = bytes.assumingMemoryBound(to: Stored.self)
    if scaling.isIdentity {
        for i in stored.indices { intensities[i] = float(stored[i]) }
    } else {
        for i in stored.indices {
            intensities[i] = Float(double(stored[i]) * scaling.slope + scaling.intercept)
        }
    }
    return stored.indices.count { !intensities[$0].isFinite }
}
