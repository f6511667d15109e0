/// Trilinear interpolation of a volume with its gradient, at positions in voxels.
struct Interpolator {
    private let voxels: UnsafePointer<Float>
    private let last: SIMD4<Float>
    /// The offsets of the next voxel along each axis; 0 along an axis of one voxel.
    private let next: SIMD3<Int>
    private let row: Int
    private let slice: Int
    private let lastCell: SIMD4<Float>

    /// The voxels must outlive the interpolator.
    init(_ voxels: UnsafeBufferPointer<Float>, shape: SIMD3<Int>) {
        self.voxels = voxels.baseAddress!
        (row, slice) = (shape.x, shape.x * shape.y)
        next = SIMD3(shape.x > 1 ? 1 : 0, shape.y > 1 ? row : 0, shape.z > 1 ? slice : 0)
        last = SIMD4(Float(shape.x - 1), Float(shape.y - 1), Float(shape.z - 1), 0)
        lastCell = SIMD4(
            Float(max(shape.x - 2, 0)), Float(max(shape.y - 2, 0)), Float(max(shape.z - 2, 0)), 0)
    }

    /// The gradient per voxel (x, y, z) and the value (w) at a position (x, y, z; w is ignored), or `nil` if it is more than
    /// half a voxel outside. 8 loads, 7 interpolations of values and 7 of differences.
    @inline(__always)
    func callAsFunction(_ position: SIMD4<Float>) -> SIMD4<Float>? {
        let (x, y, z) = (position.x, position.y, position.z)
        guard x >= -0.5, y >= -0.5, z >= -0.5, x <= last.x + 0.5, y <= last.y + 0.5, z <= last.z + 0.5 else {
            return nil
        }
        let (ix, iy, iz) = (cell(x, lastCell.x), cell(y, lastCell.y), cell(z, lastCell.z))
        let (fx, fy, fz) = (
            fraction(x, ix, last.x), fraction(y, iy, last.y), fraction(z, iz, last.z)
        )
        let p = voxels + (iz * slice + iy * row + ix)
        let q = p + next.z
        let (a, b, c, d) = (p[0], p[next.x], p[next.y], p[next.y + next.x])
        let (e, f, g, h) = (q[0], q[next.x], q[next.y], q[next.y + next.x])
        let (ab, cd, ef, gh) = (b - a, d - c, f - e, h - g)
        let (low, high) = (a + fx * ab, c + fx * cd)
        let (lowNext, highNext) = (e + fx * ef, g + fx * gh)
        let (rise, riseNext) = (high - low, highNext - lowNext)
        let (plane, planeNext) = (low + fy * rise, lowNext + fy * riseNext)
        let (slope, slopeNext) = (ab + fy * (cd - ab), ef + fy * (gh - ef))
        return SIMD4(
            slope + fz * (slopeNext - slope), rise + fz * (riseNext - rise), planeNext - plane,
            plane + fz * (planeNext - plane))
    }

    @inline(__always)
    private func cell(_ x: Float, _ last: Float) -> Int {
        Int(truncatingIfNeeded: Int32(min(max(x, 0), last)))
    }

    @inline(__always)
    private func fraction(_ x: Float, _ cell: Int, _ last: Float) -> Float {
        min(max(x, 0), last) - Float(Int32(truncatingIfNeeded: cell))
    }
}
