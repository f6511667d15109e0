import CNIfTI
import Foundation
import Volumes
import VoxelSupport

extension Volume {
    /// Writes the volume as 32-bit floats to a NIfTI file, compressed if the name ends in `.nii.gz`.
    ///
    /// ```swift
    /// try volume.write(to: "mri.nii.gz")
    /// ```
    ///
    /// The file is written beside its destination, flushed and renamed: it is replaced whole or, if writing fails, left
    /// as it was. Equal volumes give equal bytes.
    ///
    /// The affine is written as the sform and, unless it has shear, as the qform, both with the code of `space`. To keep
    /// the space of the file that a volume was read or computed from, pass `file.header.space ?? .aligned`.
    ///
    /// - Parameters:
    ///   - url: the file, ending in `.nii` or `.nii.gz`, in a folder that exists.
    ///   - version: the version of the format; by default NIfTI-1, or NIfTI-2 if the grid does not fit in NIfTI-1.
    ///   - space: the coordinate system of the world coordinates.
    ///   - text: a description for the header (`descrip`), cut at 79 bytes.
    /// - Throws: `VolumeIOError`.
    public func write(
        to url: URL, version: NIfTIHeader.Version? = nil, space: NIfTISpace = .aligned, text: String = ""
    ) throws(VolumeIOError) {
        do throws(VolumeIOError.Reason) {
            let name = url.lastPathComponent.lowercased()
            let isCompressed = name.hasSuffix(".nii.gz")
            guard isCompressed || name.hasSuffix(".nii") else { throw .unknownExtension }
            let header = try headerBytes(version: version, space: space, text: text)
            do throws(SystemError) {
                var file = try AtomicFile(replacing: url)
                try write(header, to: file.temporary.path, isCompressed: isCompressed)
                try file.commit()
            } catch {
                guard error.code == ENOENT || error.code == ENOTDIR else { throw .unwritable("\(error)") }
                throw .missingFolder(url.resolvingSymlinksInPath().deletingLastPathComponent().path)
            }
        } catch { throw VolumeIOError(path: url.path, reason: error) }
    }

    /// Writes the volume as 32-bit floats to the NIfTI file at a path; see `write(to:)` with a URL.
    ///
    /// - Throws: `VolumeIOError`.
    public func write(
        to path: String, version: NIfTIHeader.Version? = nil, space: NIfTISpace = .aligned, text: String = ""
    ) throws(VolumeIOError) {
        try write(to: URL(filePath: path), version: version, space: space, text: text)
    }
}

extension Volume {
    /// The header, followed by the four bytes that mean that there is no extension.
    private func headerBytes(
        version wanted: NIfTIHeader.Version?, space: NIfTISpace, text: String
    ) throws(VolumeIOError.Reason) -> [UInt8] {
        let version = wanted ?? (fitsNIfTI1 ? .nifti1 : .nifti2)
        if version == .nifti1, !fitsNIfTI1 {
            throw .gridTooLargeForNIfTI1(shape: [shape.x, shape.y, shape.z])
        }
        var header = nifti_2_header()
        header.sizeof_hdr = Int32(MemoryLayout<nifti_2_header>.size)
        withUnsafeMutableBytes(of: &header.magic) { $0.copyBytes(from: [0x6e, 0x2b, 0x32, 0, 13, 10, 26, 10]) }
        header.dim = (3, Int64(shape.x), Int64(shape.y), Int64(shape.z), 1, 1, 1, 1)
        (header.datatype, header.bitpix) = (Int16(DT_FLOAT32), 32)
        (header.scl_slope, header.scl_inter) = (1, 0)
        header.vox_offset = version == .nifti1 ? 352 : 544
        header.place(on: grid, in: space, version: version)
        withUnsafeMutableBytes(of: &header.descrip) { $0.copyBytes(from: text.utf8Prefix(79)) }

        let noExtension = [UInt8](repeating: 0, count: 4)
        if version == .nifti2 { return withUnsafeBytes(of: header) { Array($0) + noExtension } }
        return withUnsafeBytes(of: nifti_1_header(narrowing: header)) { Array($0) + noExtension }
    }

    /// Writes the header and the voxels to a file, as a gzip stream or plain.
    private func write(_ header: [UInt8], to path: String, isCompressed: Bool) throws(SystemError) {
        var file = znzopen(path, "wb", isCompressed ? 1 : 0)
        guard file != nil else { throw .current }
        func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
            znzwrite(bytes.baseAddress, 1, bytes.count, file) == bytes.count
        }
        let isWritten = header.withUnsafeBytes(write) && voxels.withUnsafeBytes(write)
        let failure = SystemError.current
        guard Xznzclose(&file) == 0 else { throw isWritten ? .current : failure }
        guard isWritten else { throw failure }
    }

    private var fitsNIfTI1: Bool {
        shape.max() <= Int16.max && grid.affine.rows.allSatisfy { row in SIMD4<Float>(row).isFinite }
    }
}

extension SIMD4<Float> {
    fileprivate var isFinite: Bool { x.isFinite && y.isFinite && z.isFinite && w.isFinite }
}

extension String {
    /// The longest prefix of whole characters that fits in a number of bytes.
    fileprivate func utf8Prefix(_ bytes: Int) -> [UInt8] {
        var prefix: [UInt8] = []
        for character in self {
            let next = Array(character.utf8)
            guard prefix.count + next.count <= bytes else { break }
            prefix += next
        }
        return prefix
    }
}
