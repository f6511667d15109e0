import CNIfTI
import Volumes

/// What is to be written before the voxels of a file.
struct HeaderDraft {
    /// The grid of one volume.
    let grid: VoxelGrid
    /// Number of volumes of a series; `nil` for a single volume.
    var volumeCount: Int?
    /// Seconds between two volumes.
    var timeStep: Double?
    let type: VoxelType
    let scaling: Scaling
    let template: NIfTIHeader?
    let version: NIfTIHeader.Version?
    let space: NIfTISpace
    let text: String?
    let isPair: Bool

    /// The header, followed by the extensions: all bytes before the voxels, or those of a `.hdr` file.
    func bytes() throws(VolumeIOError.Reason) -> [UInt8] {
        let version = version ?? (fitsNIfTI1 ? template?.version ?? .nifti1 : .nifti2)
        let shape = [grid.shape.x, grid.shape.y, grid.shape.z]
        if version == .nifti1, !fitsNIfTI1 { throw .gridTooLargeForNIfTI1(shape: shape) }
        let extensions = extensionBytes
        var header = fields(version: version)
        let size =
            version == .nifti1
            ? MemoryLayout<nifti_1_header>.size : MemoryLayout<nifti_2_header>.size
        header.vox_offset = isPair ? 0 : Int64(size + extensions.count)
        if version == .nifti2 { return withUnsafeBytes(of: header) { Array($0) + extensions } }
        return withUnsafeBytes(of: nifti_1_header(narrowing: header)) { Array($0) + extensions }
    }

    private func fields(version: NIfTIHeader.Version) -> nifti_2_header {
        var header = template?.fields ?? nifti_2_header()
        header.sizeof_hdr = Int32(MemoryLayout<nifti_2_header>.size)
        let signature: [UInt8] = [0x6e, isPair ? 0x69 : 0x2b, 0x32, 0, 13, 10, 26, 10]
        withUnsafeMutableBytes(of: &header.magic) { $0.copyBytes(from: signature) }
        header.dim = (
            volumeCount == nil ? 3 : 4, Int64(grid.shape.x), Int64(grid.shape.y), Int64(grid.shape.z),
            Int64(volumeCount ?? 1), 1, 1, 1
        )
        (header.datatype, header.bitpix) = (type.rawValue, Int16(type.bytes * 8))
        (header.scl_slope, header.scl_inter) = (scaling.slope, scaling.intercept)
        // The display range is that of other intensities.
        (header.cal_min, header.cal_max) = (0, 0)
        if !header.places(grid) {
            header.place(on: grid, in: template?.space ?? space, version: version)
            // These are numbers of voxel axes and of slices.
            (header.dim_info, header.slice_code, header.slice_start, header.slice_end) = (0, 0, 0, 0)
            header.slice_duration = 0
        }
        if let timeStep {
            header.pixdim.4 = timeStep
            header.xyzt_units = header.xyzt_units & 7 | NIFTI_UNITS_SEC
        }
        if let text {
            withUnsafeMutableBytes(of: &header.descrip) { field in
                let prefix = text.utf8Prefix(79)
                field.copyBytes(from: prefix + [UInt8](repeating: 0, count: field.count - prefix.count))
            }
        }
        return header
    }

    /// The flag that says whether there are extensions, and the extensions, each a multiple of 16 bytes long.
    private var extensionBytes: [UInt8] {
        guard let extensions = template?.extensions, !extensions.isEmpty else { return [0, 0, 0, 0] }
        return extensions.reduce(into: [1, 0, 0, 0]) { bytes, record in
            let size = (8 + record.bytes.count + 15) / 16 * 16
            for number in [size, record.code] {
                withUnsafeBytes(of: Int32(truncatingIfNeeded: number)) { bytes.append(contentsOf: $0) }
            }
            bytes += record.bytes + [UInt8](repeating: 0, count: size - 8 - record.bytes.count)
        }
    }

    private var fitsNIfTI1: Bool {
        max(grid.shape.max(), volumeCount ?? 1) <= Int16.max
            && grid.affine.rows.allSatisfy { row in SIMD4<Float>(row).isFinite }
    }
}

extension nifti_2_header {
    /// Whether the forms, with their codes, place a grid.
    fileprivate func places(_ grid: VoxelGrid) -> Bool {
        var (copy, warnings) = (self, [VolumeIOWarning]())
        guard let placed = try? copy.placement(extents: grid.shape, warnings: &warnings) else { return false }
        return VoxelGrid(shape: grid.shape, affine: placed.affine)
            .matches(grid)
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
