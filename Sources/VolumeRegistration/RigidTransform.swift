import Foundation

/// A rotation followed by a translation of the world: `y = R x + t`, in millimetres (RAS+).
///
/// ```swift
/// let turn = RigidTransform(degrees: [0, 0, 90], millimetres: [10, 0, 0])
/// print(turn)                                 // rotation 0, 0, 90 degrees about x, y, z; translation 10, 0, 0 mm
/// print(turn([1, 0, 0]))                      // about 10, 1, 0
/// print(turn.after(turn.inverse))             // rotation 0, 0, 0 degrees about x, y, z; translation 0, 0, 0 mm
/// ```
///
/// ## Laws
/// - Distances and handedness are kept.
/// - `a.after(b)` is associative, and `a.after(a.inverse)` is the identity, up to rounding.
public struct RigidTransform: Hashable, Sendable {
    /// t: where the world's origin goes, in millimetres.
    public var translation: SIMD3<Double> { [tx, ty, tz] }

    /// The rotation as a unit quaternion w + i, j, k with w >= 0: never far from a rotation, however many are composed.
    /// It and t are single numbers, since vectors of them are not safe in asynchronous functions (see `VoxelGrid`).
    private let w, i, j, k: Double
    private let tx, ty, tz: Double

    /// No motion.
    public static let identity = RigidTransform(quaternion: [1, 0, 0, 0], translation: .zero)

    private init(quaternion: SIMD4<Double>, translation: SIMD3<Double>) {
        let length = (quaternion * quaternion).sum().squareRoot()
        let unit = quaternion / (quaternion[0] < 0 ? -length : length)
        (w, i, j, k) = (unit[0], unit[1], unit[2], unit[3])
        (tx, ty, tz) = (translation.x, translation.y, translation.z)
    }

    private var quaternion: SIMD4<Double> { [w, i, j, k] }

    private var imaginary: SIMD3<Double> { [i, j, k] }

    /// Rotations about the world's axes through a point, about x first, then y, then z; then a translation.
    ///
    /// - Parameters:
    ///   - degrees: the angles, right-handed.
    ///   - millimetres: the translation.
    ///   - centre: the point that the rotation leaves in place, in millimetres.
    public init(
        degrees: SIMD3<Double> = .zero, millimetres: SIMD3<Double> = .zero, about centre: SIMD3<Double> = .zero
    ) {
        let half = degrees * (.pi / 360)
        func turn(_ axis: Int) -> SIMD4<Double> {
            var turn = SIMD4<Double>(cos(half[axis]), 0, 0, 0)
            turn[axis + 1] = sin(half[axis])
            return turn
        }
        self.init(quaternion: turn(2).times(turn(1)).times(turn(0)), millimetres, about: centre)
    }

    /// A rotation by the length of a vector in radians, about the vector; then a translation.
    init(radians: SIMD3<Double>, millimetres: SIMD3<Double>, about centre: SIMD3<Double>) {
        let angle = (radians * radians).sum().squareRoot()
        let axis = angle > 0 ? radians * (sin(angle / 2) / angle) : .zero
        self.init(quaternion: [cos(angle / 2), axis.x, axis.y, axis.z], millimetres, about: centre)
    }

    private init(
        quaternion: SIMD4<Double>, _ millimetres: SIMD3<Double>, about centre: SIMD3<Double>
    ) {
        let turn = RigidTransform(quaternion: quaternion, translation: .zero)
        self.init(quaternion: quaternion, translation: centre - turn(centre) + millimetres)
    }

    /// The rigid transform nearest to an affine map of the world, or `nil` if the map is not rigid: if its matrix differs
    /// by more than `tolerance` in an entry from the nearest rotation (in the sense of least squares).
    public init?(_ affine: Affine, tolerance: Double = 1e-3) {
        let t = affine.translation
        guard t.x.isFinite, t.y.isFinite, t.z.isFinite, let rotation = nearestRotation(to: affine),
            rotation.largestDifference(from: affine) <= tolerance
        else { return nil }
        self.init(quaternion: Self.quaternion(of: rotation), translation: affine.translation)
    }

    /// The map as a matrix.
    public var affine: Affine {
        let v = imaginary
        func column(_ axis: Int) -> SIMD3<Double> {
            var unit = SIMD3<Double>.zero
            unit[axis] = 1
            return unit * (2 * w * w - 1) + v * (2 * v[axis]) + v.cross(unit) * (2 * w)
        }
        return Affine(columns: column(0), column(1), column(2), translation: translation)
    }

    /// The angles of the rotations about the world's axes in degrees, about x first, then y, then z. The second is in
    /// -90...90, the others in -180...180.
    public var degrees: SIMD3<Double> {
        let (x, y, z) = affine.columns
        let flat = (x.x * x.x + x.y * x.y).squareRoot()
        // Where y is at 90 degrees, rotations about x and z are the same: all is put into x.
        return flat > 1e-9
            ? SIMD3(atan2(y.z, z.z), atan2(-x.z, flat), atan2(x.y, x.x)) * (180 / .pi)
            : SIMD3(atan2(-z.y, y.y), atan2(-x.z, flat), 0) * (180 / .pi)
    }

    /// The angle of the whole rotation about its one axis, in degrees, 0...180.
    public var angle: Double {
        let v = imaginary
        return 2 * atan2((v * v).sum().squareRoot(), w) * (180 / .pi)
    }

    /// The rotation alone, about the world's origin.
    var rotation: RigidTransform { RigidTransform(quaternion: quaternion, translation: .zero) }

    /// Where a point goes, in millimetres.
    public func callAsFunction(_ point: SIMD3<Double>) -> SIMD3<Double> {
        let v = imaginary
        let turned = v.cross(point) * 2
        return point + turned * w + v.cross(turned) + translation
    }

    /// The transform that applies `inner` first and this one to its result.
    public func after(_ inner: RigidTransform) -> RigidTransform {
        RigidTransform(quaternion: quaternion.times(inner.quaternion), translation: self(inner.translation))
    }

    /// The transform that undoes this one.
    public var inverse: RigidTransform {
        let back = RigidTransform(quaternion: quaternion * [1, -1, -1, -1], translation: .zero)
        return RigidTransform(quaternion: back.quaternion, translation: -back(translation))
    }

    /// The quaternion of a rotation, from the largest of its four components (Shepperd 1978).
    private static func quaternion(of rotation: Affine) -> SIMD4<Double> {
        let (x, y, z) = rotation.columns
        let squares = SIMD4(
            1 + x.x + y.y + z.z, 1 + x.x - y.y - z.z, 1 - x.x + y.y - z.z, 1 - x.x - y.y + z.z)
        switch (0..<4).max(by: { squares[$0] < squares[$1] })! {
        case 0: return [squares[0], y.z - z.y, z.x - x.z, x.y - y.x]
        case 1: return [y.z - z.y, squares[1], x.y + y.x, z.x + x.z]
        case 2: return [z.x - x.z, x.y + y.x, squares[2], y.z + z.y]
        default: return [x.y - y.x, z.x + x.z, y.z + z.y, squares[3]]
        }
    }
}

extension RigidTransform: CustomStringConvertible {
    /// The parameters in one line: `rotation 1.5, 0, -3 degrees about x, y, z; translation 4, 0.25, -11 mm`.
    public var description: String {
        func list(_ values: SIMD3<Double>) -> String {
            (0..<3).map { ((values[$0] * 1e4).rounded() / 1e4 + 0).shortText }.joined(separator: ", ")
        }
        return "rotation \(list(degrees)) degrees about x, y, z; translation \(list(translation)) mm"
    }
}

extension SIMD4<Double> {
    /// The product of two quaternions (w, x, y, z).
    fileprivate func times(_ other: Self) -> Self {
        let (a, b) = (SIMD3(self[1], self[2], self[3]), SIMD3(other[1], other[2], other[3]))
        let v = b * self[0] + a * other[0] + a.cross(b)
        return [self[0] * other[0] - (a * b).sum(), v.x, v.y, v.z]
    }
}

extension SIMD3<Double> {
    func cross(_ other: Self) -> Self {
        [y * other.z - z * other.y, z * other.x - x * other.z, x * other.y - y * other.x]
    }
}
