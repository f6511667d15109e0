import CNIfTI
import Foundation
import Volumes

// The position of voxels in space: the three methods of nifti1.h, "3D image (volume) orientation and location in
// space".

extension nifti_2_header {
    /// The affine in millimetres and the method that gave it: the first of sform, qform and `pixdim` that is in use and
    /// has linearly independent axes. If a form is in use but its axes are linearly dependent, its code is set to zero.
    ///
    /// - Parameters:
    ///   - origin: the voxel of an ANALYZE file that is at the origin, counted from 1.
    ///   - warnings: receives what the forms do not agree on.
    mutating func placement(
        extents: SIMD3<Int>, origin: SIMD3<Double>? = nil, warnings: inout [VolumeIOWarning]
    ) throws(VolumeIOError.Reason) -> (affine: Affine, method: NIfTIHeader.Placement) {
        let spacing = spacing(extents: extents)
        let sform = sformAffine
        let qform = spacing.flatMap { qformAffine(spacing: $0) }
        if sform == nil, sform_code > 0 {
            warnings.append(.unusableForm("sform", code: Int(sform_code)))
            sform_code = 0
        }
        if qform == nil, qform_code > 0 {
            warnings.append(.unusableForm("qform", code: Int(qform_code)))
            qform_code = 0
        }
        if let sform {
            if let qform, let warning = disagreement(of: qform, from: sform, extents: extents) {
                warnings.append(warning)
            }
            return (sform, .sform)
        }
        guard let spacing else { throw .noUsablePlacement }
        if let qform { return (qform, .qform) }
        let affine = Affine.leftAnteriorSuperior(spacing: spacing, extents: extents, origin: origin)
        guard let affine = usable(affine) else { throw .noUsablePlacement }
        return (affine, .spacing)
    }

    /// Method 3, or `nil` if it is not in use or not usable.
    private var sformAffine: Affine? {
        guard sform_code > 0 else { return nil }
        return usable(
            Affine(
                rows: millimetres * SIMD4(srow_x.0, srow_x.1, srow_x.2, srow_x.3),
                millimetres * SIMD4(srow_y.0, srow_y.1, srow_y.2, srow_y.3),
                millimetres * SIMD4(srow_z.0, srow_z.1, srow_z.2, srow_z.3)))
    }

    /// Method 2, or `nil` if it is not in use or not usable.
    ///
    /// A quaternion longer than one is no rotation; the tolerance is for rounding.
    func qformAffine(spacing: SIMD3<Double>) -> Affine? {
        let length = quatern_b * quatern_b + quatern_c * quatern_c + quatern_d * quatern_d
        guard qform_code > 0, length <= 1.001 else { return nil }
        let matrix = nifti_quatern_to_dmat44(
            quatern_b, quatern_c, quatern_d, millimetres * qoffset_x, millimetres * qoffset_y,
            millimetres * qoffset_z, spacing.x, spacing.y, spacing.z, pixdim.0 < 0 ? -1 : 1)
        return usable(Affine(rows: row(matrix.m.0), row(matrix.m.1), row(matrix.m.2)))
    }

    /// The absolute values of `pixdim` in millimetres, or `nil` if one of them is not a distance. For an axis of one
    /// voxel, 1 mm is used instead.
    private func spacing(extents: SIMD3<Int>) -> SIMD3<Double>? {
        var spacing = SIMD3(abs(pixdim.1), abs(pixdim.2), abs(pixdim.3)) * millimetres
        for axis in 0..<3 where !(spacing[axis] > 0 && spacing[axis].isFinite) {
            guard extents[axis] == 1 else { return nil }
            spacing[axis] = 1
        }
        return spacing
    }

    /// The file's unit of length in millimetres. Most files without a unit are in millimetres.
    private var millimetres: Double {
        switch xyzt_units & 7 {
        case NIFTI_UNITS_METER: 1000
        case NIFTI_UNITS_MICRON: 0.001
        default: 1
        }
    }
}

extension nifti_2_header {
    /// Sets the sform, `pixdim`, and, if it can represent the affine, the qform.
    ///
    /// A qform represents a rotation and a spacing, but no shear. Its code is set to zero if it would misplace some
    /// voxel by more than a hundredth of a voxel in the precision of `version`.
    mutating func place(on grid: VoxelGrid, in space: NIfTISpace, version: NIfTIHeader.Version) {
        let rows = grid.affine.rows
        (srow_x, srow_y, srow_z) = (tuple(rows[0]), tuple(rows[1]), tuple(rows[2]))
        sform_code = Int32(space.rawValue)
        xyzt_units = NIFTI_UNITS_MM | xyzt_units & 0x38

        var matrix = nifti_dmat44()
        matrix.m = (tuple(rows[0]), tuple(rows[1]), tuple(rows[2]), (0, 0, 0, 1))
        nifti_dmat44_to_quatern(
            matrix, &quatern_b, &quatern_c, &quatern_d, &qoffset_x, &qoffset_y, &qoffset_z, &pixdim.1,
            &pixdim.2, &pixdim.3, &pixdim.0)
        qform_code = Int32(space.rawValue)
        if !qformMatches(grid, version: version) {
            qform_code = 0
            (quatern_b, quatern_c, quatern_d, pixdim.0) = (0, 0, 0, 1)
            (qoffset_x, qoffset_y, qoffset_z) = (0, 0, 0)
        }
    }

    private func qformMatches(_ grid: VoxelGrid, version: NIfTIHeader.Version) -> Bool {
        var stored = self
        if version == .nifti1 {
            guard let narrowed = try? nifti_2_header(widening: nifti_1_header(narrowing: self)) else {
                return false
            }
            stored = narrowed
        }
        let spacing = SIMD3(stored.pixdim.1, stored.pixdim.2, stored.pixdim.3)
        guard let affine = stored.qformAffine(spacing: spacing) else { return false }
        return VoxelGrid(shape: grid.shape, affine: affine).matches(grid)
    }
}

/// A warning if two forms place some voxel more than a tenth of a voxel apart.
private func disagreement(of qform: Affine, from sform: Affine, extents: SIMD3<Int>) -> VolumeIOWarning? {
    let (q, s) = (VoxelGrid(shape: extents, affine: qform), VoxelGrid(shape: extents, affine: sform))
    let distance = q.distance(to: s)
    guard distance > 0.1 * s.spacing.min() else { return nil }
    let (a, b) = (qform.columns, sform.columns)
    let cosines = [(a.x, b.x), (a.y, b.y), (a.z, b.z)].map { a, b in
        (a * b).sum() / ((a * a).sum() * (b * b).sum()).squareRoot()
    }
    let degrees = acos(min(max(cosines.min()!, -1), 1)) * 180 / .pi
    return .formsDisagree(degrees: degrees, millimetres: distance)
}

extension Affine {
    /// The placement of a file that has no orientation, as NiBabel and SPM take it: LAS axes, and the origin in the
    /// centre of the volume, or in the voxel that an ANALYZE file names, counted from 1, if it is near the volume.
    fileprivate static func leftAnteriorSuperior(
        spacing: SIMD3<Double>, extents: SIMD3<Int>, origin: SIMD3<Double>?
    ) -> Affine {
        let shape = SIMD3<Double>(extents)
        var centre = (shape - 1) / 2
        if let origin, origin != .zero, all(origin .> -shape), all(origin .< 2 * shape) { centre = origin - 1 }
        return Affine(
            columns: [-spacing.x, 0, 0], [0, spacing.y, 0], [0, 0, spacing.z],
            translation: spacing * centre * [1, -1, -1])
    }
}

/// The affine, or `nil` unless it is finite, its spacing is from 1e-9 to 1e9 mm, and its axes are independent.
private func usable(_ affine: Affine) -> Affine? {
    let spacing = affine.spacing
    let isFinite = affine.rows.allSatisfy { $0.x.isFinite && $0.y.isFinite && $0.z.isFinite && $0.w.isFinite }
    guard isFinite, spacing.min() >= 1e-9, spacing.max() <= 1e9, affine.inverse != nil else { return nil }
    return affine
}

private func row(_ row: (Double, Double, Double, Double)) -> SIMD4<Double> { [row.0, row.1, row.2, row.3] }

private func tuple(_ row: SIMD4<Double>) -> (Double, Double, Double, Double) { (row.x, row.y, row.z, row.w) }
