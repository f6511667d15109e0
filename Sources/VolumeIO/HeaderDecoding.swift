import CNIfTI
import Foundation
import Volumes

extension NIfTIHeader {
    /// Reads and validates the header at the start of a file.
    ///
    /// - Parameter isNamedHeader: whether the file is named as the header of a pair, as ANALYZE files are.
    init(from reader: inout ByteReader, isNamedHeader: Bool) throws(VolumeIOError.Reason) {
        var stored = try StoredHeader(from: &reader, isNamedHeader: isNamedHeader)
        (version, isSwapped, isPair) = (stored.version, stored.isSwapped, stored.isPair)
        var warnings: [VolumeIOWarning] = []

        shape = try stored.fields.checkedShape(&warnings)
        try stored.refuseCIFTI(shape)
        let extents = SIMD3(shape[0], shape.count > 1 ? shape[1] : 1, shape.count > 2 ? shape[2] : 1)
        (sformCode, qformCode) = (
            Int(max(stored.fields.sform_code, 0)), Int(max(stored.fields.qform_code, 0))
        )
        if version == nil { warnings.append(.analyze) }
        let placed = try stored.fields.placement(
            extents: extents, origin: stored.analyzeOrigin, warnings: &warnings)
        (grid, placement) = (VoxelGrid(shape: extents, affine: placed.affine), placed.method)
        if version != nil, placement == .spacing { warnings.append(.noOrientation) }

        dataType = try stored.fields.checkedDataType()
        (slope, intercept) = try stored.checkedScaling()
        text = withUnsafeBytes(of: stored.fields.descrip) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                .filter { $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } }
        }
        dataOffset = try stored.checkedDataOffset(in: reader)
        if version != nil {
            extensions = try readExtensions(
                from: &reader, until: isPair ? reader.capacity : dataOffset, isSwapped: isSwapped, &warnings)
        }
        storedBytes = withUnsafeBytes(of: stored.fields) { Array($0) }
        self.warnings = warnings
    }
}

/// The header in this machine's byte order, with the fields of NIfTI-2.
private struct StoredHeader {
    var fields = nifti_2_header()
    /// `nil` for ANALYZE 7.5.
    let version: NIfTIHeader.Version?
    let isSwapped: Bool
    let isPair: Bool
    /// The voxel of an ANALYZE file that is at the origin, counted from 1: a field of SPM's.
    private(set) var analyzeOrigin: SIMD3<Double>?
    /// The unscaled and the scaled range of an ANALYZE file.
    private var ranges = (unscaled: 0.0, scaled: 0.0, least: 0.0)

    init(from reader: inout ByteReader, isNamedHeader: Bool) throws(VolumeIOError.Reason) {
        let size1 = MemoryLayout<nifti_1_header>.size
        let size2 = MemoryLayout<nifti_2_header>.size
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size2, alignment: 16)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)

        let found = try reader.read(into: .init(rebasing: bytes[..<size1]))
        let storedSize = bytes.load(as: Int32.self)
        isSwapped = storedSize.byteSwapped == Int32(size1) || storedSize.byteSwapped == Int32(size2)
        let size = Int(isSwapped ? storedSize.byteSwapped : storedSize)
        guard found >= 4, size == size1 || size == size2 else {
            if found < 4, reader.isCompressed { throw .truncated(expectedBytes: size1, foundBytes: found) }
            throw reasonNotNIfTI(UnsafeRawBufferPointer(rebasing: bytes[..<found]))
        }
        guard found == size1 else { throw .truncated(expectedBytes: size, foundBytes: found) }

        if size == size2 {
            try reader.fill(.init(rebasing: bytes[size1...]), ofTotal: size2)
            fields = bytes.loadUnaligned(as: nifti_2_header.self)
            guard let isPair = Self.isPair(signature: bytes[4..<12], version: 2) else { throw .notNIfTI }
            (version, self.isPair) = (.nifti2, isPair)
            if isSwapped { nifti_swap_as_nifti2(&fields) }
        } else {
            var header = bytes.loadUnaligned(as: nifti_1_header.self)
            let signature = bytes[344..<348]
            if isSwapped { nifti_swap_as_nifti1(&header) }
            if let isPair = Self.isPair(signature: signature, version: 1) {
                (version, self.isPair) = (.nifti1, isPair)
                fields = try nifti_2_header(widening: header)
            } else {
                let reason = reasonNotNIfTI(UnsafeRawBufferPointer(rebasing: bytes[..<size1]))
                guard isNamedHeader, reason == .notNIfTI else {
                    throw reason == .notNIfTI && signature.allSatisfy { $0 == 0 } ? .analyze : reason
                }
                (version, isPair) = (nil, true)
                fields = try nifti_2_header(widening: header).asAnalyze
                let origin = (0..<3).map { axis -> Double in
                    let number = bytes.loadUnaligned(fromByteOffset: 253 + 2 * axis, as: Int16.self)
                    return Double(isSwapped ? number.byteSwapped : number)
                }
                analyzeOrigin = SIMD3(origin)
                ranges = (
                    Double(header.glmax) - Double(header.glmin), Double(header.cal_max - header.cal_min),
                    Double(header.glmin)
                )
                fields.cal_min = Double(header.cal_min)
            }
        }
        guard !isPair || isNamedHeader else { throw .headerOfPair }
    }

    /// `magic` is `n+1` or `n+2` for one file, `ni1` or `ni2` for a pair of files. NIfTI-2 continues with line ends of
    /// several kinds, which detect a transfer in text mode.
    ///
    /// - Returns: `nil` if it is neither.
    private static func isPair(signature: Slice<UnsafeMutableRawBufferPointer>, version: UInt8) -> Bool? {
        let tail: [UInt8] = version == 1 ? [0] : [0, 0x0d, 0x0a, 0x1a, 0x0a]
        for (kind, isPair) in [("n+", false), ("ni", true)] {
            if signature.elementsEqual(kind.utf8 + [UInt8(ascii: "0") + version] + tail) { return isPair }
        }
        return nil
    }

    func refuseCIFTI(_ shape: [Int]) throws(VolumeIOError.Reason) {
        // The standard's codes 3000 to 3099, with the matrix in the axes from the fifth on.
        if (3000..<3100).contains(fields.intent_code), shape.count > 4, shape[..<4].allSatisfy({ $0 == 1 }) {
            throw .cifti(shape: Array(shape[4...]))
        }
    }

    /// Slope and intercept: 1 and 0 if the slope is zero (the standard) or not finite (NiBabel's convention for no
    /// scaling). In an ANALYZE file as SPM 2 reads it: from the calibrated range, if there is no slope.
    func checkedScaling() throws(VolumeIOError.Reason) -> (Double, Double) {
        let isScaled = fields.scl_slope.isFinite && fields.scl_slope != 0
        if version == nil {
            if isScaled { return (fields.scl_slope, fields.scl_inter.isFinite ? fields.scl_inter : 0) }
            let slope = ranges.scaled / ranges.unscaled
            guard slope.isFinite, slope != 0 else { return (1, 0) }
            return (slope, fields.cal_min - slope * ranges.least)
        }
        guard isScaled else { return (1, 0) }
        guard fields.scl_inter.isFinite else {
            throw .invalidScaling(slope: fields.scl_slope, intercept: fields.scl_inter)
        }
        return (fields.scl_slope, fields.scl_inter)
    }

    /// The position of the first voxel. Zero stands for the position right after the header and its extension flag.
    ///
    /// In a compressed file it is at most 256 MiB, since all bytes before it must be decompressed.
    func checkedDataOffset(in reader: ByteReader) throws(VolumeIOError.Reason) -> Int {
        let headerEnd = isPair ? 0 : version == .nifti1 ? 352 : 544
        if fields.vox_offset == 0 { return headerEnd }
        let limit = isPair || reader.isCompressed ? 1 << 28 : Int.max / 2
        guard (headerEnd...limit).contains(Int(fields.vox_offset)) else {
            throw .invalidDataOffset(Double(fields.vox_offset))
        }
        return Int(fields.vox_offset)
    }
}

extension nifti_2_header {
    /// The fields that an ANALYZE header shares with NIfTI.
    fileprivate var asAnalyze: nifti_2_header {
        var header = nifti_2_header()
        (header.dim, header.pixdim) = (dim, pixdim)
        (header.datatype, header.bitpix, header.vox_offset) = (datatype, bitpix, vox_offset)
        (header.scl_slope, header.scl_inter) = (scl_slope, scl_inter)
        (header.descrip, header.aux_file) = (descrip, aux_file)
        return header
    }

    /// The extents of `dim`. Sixteen times their product fits in an `Int`.
    ///
    /// As in libnifti, AFNI and ITK, an extent of 0 after the first is read as 1.
    fileprivate func checkedShape(_ warnings: inout [VolumeIOWarning]) throws(VolumeIOError.Reason) -> [Int] {
        let dim = withUnsafeBytes(of: dim) { $0.bindMemory(to: Int64.self).map { Int($0) } }
        guard (1...7).contains(dim[0]) else { throw .invalidDimensions(dim) }
        var shape = Array(dim[1...dim[0]])
        for axis in shape.indices.dropFirst() where shape[axis] == 0 {
            shape[axis] = 1
            warnings.append(.extentOfZero(axis: axis + 1))
        }
        var product = 1
        for extent in shape {
            let (next, overflow) = product.multipliedReportingOverflow(by: extent)
            guard extent >= 1, !overflow, next <= Int.max / 16 else { throw .invalidDimensions(dim) }
            product = next
        }
        return shape
    }

    /// The name of `datatype`, after checking that `bitpix` agrees with it.
    fileprivate func checkedDataType() throws(VolumeIOError.Reason) -> String {
        var (size, swapSize): (CInt, CInt) = (0, 0)
        nifti_datatype_sizes(CInt(datatype), &size, &swapSize)
        guard size > 0 else { return "unknown type \(datatype)" }
        let name = String(cString: nifti_datatype_string(CInt(datatype))).lowercased()
        let (expected, found) = (Int(size) * 8, Int(bitpix))
        guard found == expected else {
            throw .bitsPerVoxelMismatch(dataType: name, expected: expected, found: found)
        }
        return name
    }
}

/// What a file is that does not begin with a header, by its first bytes.
private func reasonNotNIfTI(_ bytes: UnsafeRawBufferPointer) -> VolumeIOError.Reason {
    func begins(_ text: String, at offset: Int = 0) -> Bool {
        bytes.dropFirst(offset).starts(with: text.utf8)
    }
    let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        .lowercased()
    if begins("version https://git-lfs.github.com/spec/") { return .pointer(.gitLFS) }
    if text.hasPrefix("/annex/objects/") || text.contains(".git/annex/objects/") { return .pointer(.gitAnnex) }
    if text.hasPrefix("<!doctype html") || text.hasPrefix("<html") { return .webPage }
    // With its preamble, or with a first element of group 8 right away.
    if begins("DICM", at: 128) || bytes.count > 4 && bytes[..<2].elementsEqual([8, 0]) && bytes[3] == 0 {
        return .dicom
    }
    return .notNIfTI
}

/// Reads the extensions between the header and the voxels. Damaged ones are left out, with a warning, as are those
/// that are longer than 64 MiB together.
private func readExtensions(
    from reader: inout ByteReader, until end: Int, isSwapped: Bool, _ warnings: inout [VolumeIOWarning]
) throws(VolumeIOError.Reason) -> [NIfTIHeader.Extension] {
    func read(_ count: Int) throws(VolumeIOError.Reason) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { buffer.deallocate() }
        return Array(UnsafeRawBufferPointer(buffer).prefix(try reader.read(into: buffer)))
    }
    var extensions: [NIfTIHeader.Extension] = []
    // The first of four bytes says whether there are any.
    guard reader.position + 4 <= end, try read(4).first ?? 0 != 0 else { return [] }
    let limit = min(end, reader.capacity, reader.position + 1 << 26)
    while reader.position + 8 <= limit {
        let start = reader.position
        let numbers = try read(8).withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
            .map { Int(isSwapped ? $0.byteSwapped : $0) }
        // The file, or what fills the place before the voxels.
        guard numbers.count == 2, numbers[0] != 0 else { break }
        guard numbers[0] >= 8, numbers[0] <= limit - start else {
            warnings.append(.damagedExtension(offset: start))
            break
        }
        let bytes = try read(numbers[0] - 8)
        guard bytes.count == numbers[0] - 8 else { break }
        extensions.append(.init(code: numbers[1], bytes: bytes))
    }
    return extensions
}
