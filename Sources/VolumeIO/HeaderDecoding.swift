import CNIfTI
import Foundation
import Volumes

extension NIfTIHeader {
    /// Reads and validates the header at the start of a file.
    init(readingFrom reader: inout ByteReader) throws(VolumeIOError.Reason) {
        let (stored, version, isSwapped) = try readStoredHeader(from: &reader)
        self.version = version

        shape = try checkedShape(stored)
        let extents = SIMD3(shape[0], shape.count > 1 ? shape[1] : 1, shape.count > 2 ? shape[2] : 1)
        let placed = try stored.placement(extents: extents)
        (grid, placement) = (VoxelGrid(shape: extents, affine: placed.affine), placed.method)
        (sformCode, qformCode) = (Int(max(stored.sform_code, 0)), Int(max(stored.qform_code, 0)))

        dataType = try checkedDataType(stored)
        (slope, intercept) = try checkedScaling(stored)
        text = withUnsafeBytes(of: stored.descrip) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                .filter { $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } }
        }

        let offset = try checkedDataOffset(stored, version: version)
        layout = VoxelLayout(dataTypeCode: stored.datatype, isSwapped: isSwapped, offset: offset)
    }
}

/// The header in this machine's byte order, with the fields of NIfTI-2.
private func readStoredHeader(
    from reader: inout ByteReader
) throws(VolumeIOError.Reason) -> (nifti_2_header, NIfTIHeader.Version, isSwapped: Bool) {
    let size1 = MemoryLayout<nifti_1_header>.size
    let size2 = MemoryLayout<nifti_2_header>.size
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size2, alignment: 16)
    defer { bytes.deallocate() }

    let found = try reader.read(into: .init(rebasing: bytes[..<size1]))
    guard found >= 4 else {
        throw reader.isCompressed ? .truncated(expectedBytes: size1, foundBytes: found) : .notNIfTI
    }
    let storedSize = bytes.load(as: Int32.self)
    let isSwapped = storedSize.byteSwapped == Int32(size1) || storedSize.byteSwapped == Int32(size2)
    let size = Int(isSwapped ? storedSize.byteSwapped : storedSize)
    guard size == size1 || size == size2 else { throw .notNIfTI }
    guard found == size1 else { throw .truncated(expectedBytes: size, foundBytes: found) }

    if size == size1 {
        var header = bytes.loadUnaligned(as: nifti_1_header.self)
        try checkSignature(bytes[344..<348], version: 1)
        if isSwapped { nifti_swap_as_nifti1(&header) }
        return (try nifti_2_header(widening: header), .nifti1, isSwapped)
    }
    try reader.fill(.init(rebasing: bytes[size1...]), atLeast: size2 - size1, ofTotal: size2)
    var header = bytes.loadUnaligned(as: nifti_2_header.self)
    try checkSignature(bytes[4..<12], version: 2)
    if isSwapped { nifti_swap_as_nifti2(&header) }
    return (header, .nifti2, isSwapped)
}

/// Checks `magic`: `n+1` or `n+2` for one file, `ni1` or `ni2` for a pair of files. NIfTI-2 continues with line ends of
/// several kinds, which detect a transfer in text mode.
private func checkSignature(_ magic: Slice<UnsafeMutableRawBufferPointer>, version: UInt8)
    throws(VolumeIOError.Reason)
{
    let digit = UInt8(ascii: "0") + version
    let tail: [UInt8] = version == 1 ? [0] : [0, 0x0d, 0x0a, 0x1a, 0x0a]
    if magic.elementsEqual([UInt8(ascii: "n"), UInt8(ascii: "+"), digit] + tail) { return }
    if magic.elementsEqual([UInt8(ascii: "n"), UInt8(ascii: "i"), digit] + tail) { throw .headerOfPair }
    throw version == 1 && magic.allSatisfy { $0 == 0 } ? .analyze : .notNIfTI
}

/// The extents of `dim`. Sixteen times their product fits in an `Int`.
private func checkedShape(_ header: nifti_2_header) throws(VolumeIOError.Reason) -> [Int] {
    let dim = withUnsafeBytes(of: header.dim) { $0.bindMemory(to: Int64.self).map { Int($0) } }
    guard (1...7).contains(dim[0]) else { throw .invalidDimensions(dim) }
    let shape = Array(dim[1...dim[0]])
    var product = 1
    for extent in shape {
        let (next, overflow) = product.multipliedReportingOverflow(by: extent)
        guard extent >= 1, !overflow, next <= Int.max / 16 else { throw .invalidDimensions(dim) }
        product = next
    }
    return shape
}

/// The name of `datatype`, after checking that `bitpix` agrees with it.
private func checkedDataType(_ header: nifti_2_header) throws(VolumeIOError.Reason) -> String {
    var (size, swapSize): (CInt, CInt) = (0, 0)
    nifti_datatype_sizes(CInt(header.datatype), &size, &swapSize)
    guard size > 0 else { return "unknown type \(header.datatype)" }
    let name = String(cString: nifti_datatype_string(CInt(header.datatype))).lowercased()
    let (expected, found) = (Int(size) * 8, Int(header.bitpix))
    guard found == expected else {
        throw .bitsPerVoxelMismatch(dataType: name, expected: expected, found: found)
    }
    return name
}

/// Slope and intercept: 1 and 0 if the slope is zero (the standard) or not finite (NiBabel's convention for no scaling).
private func checkedScaling(_ header: nifti_2_header) throws(VolumeIOError.Reason) -> (Double, Double) {
    guard header.scl_slope.isFinite, header.scl_slope != 0 else { return (1, 0) }
    guard header.scl_inter.isFinite else {
        throw .invalidScaling(slope: header.scl_slope, intercept: header.scl_inter)
    }
    return (header.scl_slope, header.scl_inter)
}

/// The position of the first voxel. Zero stands for the position right after the header and its extension flag.
private func checkedDataOffset(
    _ header: nifti_2_header, version: NIfTIHeader.Version
) throws(VolumeIOError.Reason) -> Int {
    let headerEnd = version == .nifti1 ? 352 : 544
    if header.vox_offset == 0 { return headerEnd }
    guard (headerEnd...Int.max / 2).contains(Int(header.vox_offset)) else {
        throw .invalidDataOffset(Double(header.vox_offset))
    }
    return Int(header.vox_offset)
}
