import Foundation

/// The map from voxel indices to world coordinates in millimetres: `world = linear * voxel + translation`.
///
/// World axes are those of NIfTI, "RAS+": x grows to the patient's right, y to the front (anterior) and z to the head
/// (superior). Voxel indices count from zero at the centre of the first voxel.
public struct Affine: Hashable, Sendable {
    /// World displacement, in millimetres, of one step along the first, second and third voxel axis.
    public var columns: (x: SIMD3<Double>, y: SIMD3<Double>, z: SIMD3<Double>) {
        get { (packedX.vector, packedY.vector, packedZ.vector) }
        set { (packedX, packedY, packedZ) = (Packed3(newValue.x), Packed3(newValue.y), Packed3(newValue.z)) }
    }

    /// World position, in millimetres, of the centre of voxel (0, 0, 0).
    public var translation: SIMD3<Double> {
        get { packedTranslation.vector }
        set { packedTranslation = Packed3(newValue) }
    }

    private var packedX, packedY, packedZ, packedTranslation: Packed3<Double>

    /// An affine from its three columns and its translation, all in millimetres.
    public init(
        columns x: SIMD3<Double>, _ y: SIMD3<Double>, _ z: SIMD3<Double>, translation: SIMD3<Double> = .zero
    ) {
        (packedX, packedY, packedZ) = (Packed3(x), Packed3(y), Packed3(z))
        packedTranslation = Packed3(translation)
    }

    /// An affine whose axes are those of the world, with a spacing in millimetres along each.
    public init(spacing: SIMD3<Double>, translation: SIMD3<Double> = .zero) {
        self.init(
            columns: [spacing.x, 0, 0], [0, spacing.y, 0], [0, 0, spacing.z], translation: translation)
    }

    /// An affine from the top three rows of its 4 x 4 matrix, as NIfTI's `srow_x`, `srow_y`, `srow_z`.
    public init(rows x: SIMD4<Double>, _ y: SIMD4<Double>, _ z: SIMD4<Double>) {
        self.init(
            columns: [x[0], y[0], z[0]], [x[1], y[1], z[1]], [x[2], y[2], z[2]],
            translation: [x[3], y[3], z[3]])
    }

    /// The top three rows of the 4 x 4 matrix.
    public var rows: [SIMD4<Double>] {
        let (x, y, z) = columns
        return (0..<3).map { [x[$0], y[$0], z[$0], translation[$0]] }
    }

    /// Distance in millimetres between neighbouring voxels along each voxel axis.
    public var spacing: SIMD3<Double> { [columns.x.length, columns.y.length, columns.z.length] }

    /// The world position, in millimetres, of a voxel position (fractions allowed).
    public func callAsFunction(_ voxel: SIMD3<Double>) -> SIMD3<Double> {
        let (x, y, z) = columns
        return x * voxel.x + y * voxel.y + z * voxel.z + translation
    }

    /// The affine that applies `inner` first and this one to its result.
    public func after(_ inner: Affine) -> Affine {
        func direction(_ v: SIMD3<Double>) -> SIMD3<Double> { self(v) - translation }
        let c = inner.columns
        return Affine(
            columns: direction(c.x), direction(c.y), direction(c.z), translation: self(inner.translation))
    }

    /// The map from millimetres to voxel positions, or `nil` if the voxel axes are linearly dependent.
    ///
    /// They count as dependent if the determinant of their unit vectors is at most 1e-6: far below the shear of any
    /// scanner, far above rounding.
    public var inverse: Affine? {
        let (x, y, z) = columns
        let determinant = x.dot(y.cross(z))
        let scale = x.length * y.length * z.length
        guard determinant.isFinite, scale > 0, abs(determinant) > 1e-6 * scale else { return nil }
        let (rowX, rowY, rowZ) = (
            y.cross(z) / determinant, z.cross(x) / determinant, x.cross(y) / determinant
        )
        return Affine(
            rows: SIMD4(rowX, -rowX.dot(translation)), SIMD4(rowY, -rowY.dot(translation)),
            SIMD4(rowZ, -rowZ.dot(translation)))
    }

    /// The largest absolute difference between the twelve entries of two affines, in millimetres.
    public func largestDifference(from other: Affine) -> Double {
        zip(rows, other.rows).map { row, otherRow in
            let difference = row - otherRow
            return (0..<4).map { abs(difference[$0]) }.max()!
        }.max()!
    }
}

extension Affine: CustomStringConvertible {
    /// The top three rows of the matrix, a line each.
    public var description: String {
        let entries = rows.map { row in (0..<4).map { row[$0].shortText } }
        let widths = (0..<4).map { column in entries.map { $0[column].count }.max()! }
        return entries.map { row in
            zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

extension Double {
    /// Six significant digits, and no zeros at the end: `0.333333`, `2`.
    package var shortText: String { String(format: "%.6g", self) }
}

extension SIMD3<Double> {
    func dot(_ other: Self) -> Double { (self * other).sum() }

    var length: Double { dot(self).squareRoot() }

    func cross(_ other: Self) -> Self {
        [y * other.z - z * other.y, z * other.x - x * other.z, x * other.y - y * other.x]
    }
}
