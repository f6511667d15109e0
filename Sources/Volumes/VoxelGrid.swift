import Foundation

/// The sampling grid of a volume: its shape, and the position of each voxel in millimetres.
public struct VoxelGrid: Hashable, Sendable {
    /// Number of voxels along each axis, at least one.
    public var shape: SIMD3<Int> { packedShape.vector }

    private let packedShape: Packed3<Int>

    /// The map from voxel indices to millimetres (RAS+). Always invertible.
    public let affine: Affine

    /// The map from millimetres (RAS+) to voxel positions.
    public let inverseAffine: Affine

    /// A grid of `shape` voxels placed by `affine`.
    ///
    /// - Precondition: every extent is at least one, and the affine is invertible.
    public init(shape: SIMD3<Int>, affine: Affine) {
        precondition(shape.min() > 0, "a grid needs at least one voxel along each axis")
        guard let inverse = affine.inverse else { preconditionFailure("the affine is not invertible") }
        packedShape = Packed3(shape)
        self.affine = affine
        self.inverseAffine = inverse
    }

    /// A grid whose axes are those of the world, with voxel (0, 0, 0) at the origin.
    ///
    /// - Parameters:
    ///   - shape: number of voxels along each axis, at least one.
    ///   - spacing: distance between voxels in millimetres, above zero.
    public init(shape: SIMD3<Int>, spacing: SIMD3<Double> = .one) {
        self.init(shape: shape, affine: Affine(spacing: spacing))
    }

    /// Total number of voxels.
    public var count: Int { shape.x * shape.y * shape.z }

    /// Distance in millimetres between neighbouring voxels along each axis.
    public var spacing: SIMD3<Double> { affine.spacing }

    /// The anatomical orientation closest to the affine.
    public var orientation: Orientation { Orientation(nearestTo: affine) }

    /// The position in millimetres of a voxel position, which may be fractional.
    public func world(atVoxel voxel: SIMD3<Double>) -> SIMD3<Double> { affine(voxel) }

    /// The voxel position of a point in millimetres: fractional, and possibly outside the grid.
    public func voxel(atWorld world: SIMD3<Double>) -> SIMD3<Double> { inverseAffine(world) }

    /// The index of voxel (x, y, z) in storage, x fastest.
    public func offset(_ x: Int, _ y: Int, _ z: Int) -> Int { (z * shape.y + y) * shape.x + x }

    /// Whether two grids have the same shape, and the positions of each voxel differ by at most `tolerance` millimetres.
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

/// Three numbers with the alignment of one.
///
/// A `SIMD3` of eight-byte numbers is aligned to 32 bytes. Swift 6.3 may give an asynchronous function that keeps such a
/// value while it waits a frame that is up to 16 bytes too small, and then writes past its end. So nothing that is stored
/// in a volume has that alignment.
struct Packed3<Scalar: SIMDScalar & Hashable & Sendable>: Hashable, Sendable {
    private let x, y, z: Scalar

    init(_ vector: SIMD3<Scalar>) { (x, y, z) = (vector.x, vector.y, vector.z) }

    var vector: SIMD3<Scalar> { SIMD3(x, y, z) }
}

extension VoxelGrid: CustomStringConvertible {
    /// Shape, spacing and orientation: `91 x 109 x 91 voxels of 2 x 2 x 2 mm, LAS`.
    public var description: String {
        let distances = (0..<3).map { String(format: "%.4g", spacing[$0]) }.joined(separator: " x ")
        return "\(shape.text) voxels of \(distances) mm, \(orientation)"
    }
}

extension SIMD3<Int> {
    /// `91 x 109 x 91`.
    package var text: String { "\(x) x \(y) x \(z)" }
}
