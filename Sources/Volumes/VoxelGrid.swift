/// Where the voxels of a volume lie: how many there are, and their positions in millimetres.
public struct VoxelGrid: Hashable, Sendable {
    /// Number of voxels along each axis, all at least one.
    public let shape: SIMD3<Int>

    /// From voxel indices to millimetres, RAS+. Always invertible.
    public let affine: Affine

    /// From millimetres to voxel positions.
    public let inverseAffine: Affine

    /// A grid of `shape` voxels placed by `affine`.
    ///
    /// - Precondition: every extent is at least one, and the affine is invertible. Readers of files check
    ///   both before they come here.
    public init(shape: SIMD3<Int>, affine: Affine) {
        precondition(shape.x > 0 && shape.y > 0 && shape.z > 0, "a grid needs at least one voxel each way")
        guard let inverse = affine.inverse else { preconditionFailure("the affine is not invertible") }
        self.shape = shape
        self.affine = affine
        self.inverseAffine = inverse
    }

    /// A grid along the world's axes, with voxel (0, 0, 0) at the origin.
    ///
    /// - Parameters:
    ///   - shape: number of voxels along each axis, all at least one.
    ///   - spacing: distance between voxels in millimetres, above zero.
    public init(shape: SIMD3<Int>, spacing: SIMD3<Double> = .one) {
        self.init(shape: shape, affine: Affine(spacing: spacing))
    }

    /// Number of voxels in all.
    public var count: Int { shape.x * shape.y * shape.z }

    /// Distance in millimetres between neighbouring voxels along each axis.
    public var spacing: SIMD3<Double> { affine.spacing }

    /// The orientation code nearest to the affine.
    public var orientation: Orientation { Orientation(nearestTo: affine) }

    /// The position in millimetres of a voxel position (fractions allowed).
    public func world(atVoxel voxel: SIMD3<Double>) -> SIMD3<Double> { affine(voxel) }

    /// The voxel position (with fractions; perhaps outside the grid) of a point in millimetres.
    public func voxel(atWorld world: SIMD3<Double>) -> SIMD3<Double> { inverseAffine(world) }

    /// Where voxel (x, y, z) lies in storage: x fastest.
    public func offset(_ x: Int, _ y: Int, _ z: Int) -> Int { (z * shape.y + y) * shape.x + x }

    /// Whether two grids have one shape and place each voxel within `tolerance` millimetres of the other's.
    public func matches(_ other: VoxelGrid, tolerance: Double = 1e-3) -> Bool {
        guard shape == other.shape else { return false }
        let far = SIMD3<Double>(shape &- 1)
        return (0..<8).allSatisfy { corner in
            let voxel = SIMD3<Double>(
                corner & 1 == 0 ? 0 : far.x, corner & 2 == 0 ? 0 : far.y, corner & 4 == 0 ? 0 : far.z)
            return (world(atVoxel: voxel) - other.world(atVoxel: voxel)).length <= tolerance
        }
    }
}
