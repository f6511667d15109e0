import CLAPACKE
import Volumes

/// The rotation R that is nearest to a matrix A in the sense of least squares, or `nil` if A is not finite.
///
/// R = U diag(1, 1, det(U V^T)) V^T of the singular values A = U S V^T (Kabsch 1976; Umeyama 1991, equation 40).
func nearestRotation(to matrix: Affine) -> Affine? {
    let columns = [matrix.columns.x, matrix.columns.y, matrix.columns.z]
    var a = columns.flatMap { [$0.x, $0.y, $0.z] }
    guard a.allSatisfy(\.isFinite) else { return nil }
    var (s, u, vt) = ([0.0, 0, 0], [Double](repeating: 0, count: 9), [Double](repeating: 0, count: 9))
    var work = [0.0, 0, 0]
    guard LAPACKE_dgesvd(LAPACK_COL_MAJOR, 65, 65, 3, 3, &a, 3, &s, &u, 3, &vt, 3, &work) == 0 else {
        return nil  // 65 is "A": all of U and of V^T.
    }
    func determinant(_ m: [Double]) -> Double {
        let (x, y, z) = (SIMD3(m[0], m[1], m[2]), SIMD3(m[3], m[4], m[5]), SIMD3(m[6], m[7], m[8]))
        return (x * y.cross(z)).sum()
    }
    // The last singular value is the smallest: its axis is the cheapest to reflect.
    let sign: SIMD3<Double> = [1, 1, determinant(u) * determinant(vt) < 0 ? -1 : 1]
    func column(_ index: Int) -> SIMD3<Double> {
        (0..<3).reduce(into: SIMD3<Double>.zero) { sum, k in
            sum += SIMD3(u[3 * k], u[3 * k + 1], u[3 * k + 2]) * (sign[k] * vt[3 * index + k])
        }
    }
    return Affine(columns: column(0), column(1), column(2), translation: matrix.translation)
}

/// The solution x of A x = b for a symmetric, positive definite matrix A, by Cholesky's factors; `nil` if A is not
/// positive definite.
func solve(_ matrix: [Double], _ right: [Double]) -> [Double]? {
    var (factors, x) = (matrix, right)
    let n = Int32(right.count)
    // 76 is "L": the lower triangle is read.
    return LAPACKE_dposv(LAPACK_COL_MAJOR, 76, n, 1, &factors, n, &x, n) == 0 ? x : nil
}
