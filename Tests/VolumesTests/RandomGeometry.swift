import TestSupport
import Volumes

extension SeededGenerator {
    mutating func vector(_ range: ClosedRange<Double>) -> SIMD3<Double> {
        SIMD3((0..<3).map { _ in Double.random(in: range, using: &self) })
    }

    /// An oblique affine with unequal spacings and a little shear, of either handedness.
    mutating func affine() -> Affine {
        // A random rotation, from a unit quaternion.
        var quaternion = SIMD4<Double>.zero
        repeat {
            quaternion = SIMD4((0..<4).map { _ in Double.random(in: -1...1, using: &self) })
        } while (quaternion * quaternion).sum() < 0.01
        quaternion /= (quaternion * quaternion).sum().squareRoot()
        let (w, x, y, z) = (quaternion[0], quaternion[1], quaternion[2], quaternion[3])
        let spacing = vector(0.3...5)
        let shear = vector(-0.1...0.1)
        let handedness = Bool.random(using: &self) ? 1.0 : -1
        let first = SIMD3(1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
        let second = SIMD3(2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
        let third = SIMD3(2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))
        return Affine(
            columns: (first + shear.x * second) * spacing.x, (second + shear.y * third) * spacing.y,
            (third + shear.z * first) * spacing.z * handedness, translation: vector(-100...100))
    }

    mutating func shape(_ range: ClosedRange<Int>) -> SIMD3<Int> {
        SIMD3((0..<3).map { _ in Int.random(in: range, using: &self) })
    }

    mutating func volume(_ range: ClosedRange<Int> = 1...7) -> Volume {
        let grid = VoxelGrid(shape: shape(range), affine: affine())
        return Volume(grid: grid, voxels: floats(grid.count))
    }
}

extension AxisPermutation {
    /// All 48 orders of three axes, each way round.
    static let all: [AxisPermutation] = [
        [0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0],
    ]
    .flatMap { sources in
        (0..<8).map { bits in
            AxisPermutation(sources: sources, isReversed: (0..<3).map { bits >> $0 & 1 == 1 })
        }
    }
}

extension Orientation {
    /// All 48 orientations.
    static let all: [Orientation] = AxisPermutation.all.map { order in
        let pairs = ["RL", "AP", "SI"].map(Array.init)
        return Orientation(
            code: String((0..<3).map { pairs[order.sources[$0]][order.isReversed[$0] ? 1 : 0] }))!
    }
}

/// The largest absolute coordinate of a difference.
func distance(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double {
    let difference = a - b
    return max(abs(difference.x), abs(difference.y), abs(difference.z))
}
