import Foundation

/// A smooth random map of the world onto itself: p goes to A (p + u(p)), where A is nearly the identity and the
/// displacement u is a sum of a few plane waves.
///
/// ## Law
/// The map is one to one, and the determinant of its Jacobian is above zero everywhere. For a wave
/// `a sin(k p + phase)` the derivative's norm is at most `|a| |k|`. The sum of these over all waves is held to
/// ``slope`` times the strength, below one, so that I + grad u is never singular; and the determinant of A is above zero.
package struct Deformation {
    /// The most by which neighbouring points part or meet, per millimetre of their distance.
    package static let slope = 0.3

    /// One wave of displacement.
    struct Wave {
        /// In millimetres, along each world axis.
        let amplitude: SIMD3<Float>
        /// k, in radians a millimetre.
        let frequency: SIMD3<Float>
        let phase: Float
    }

    private let waves: [Wave]
    private let columns: (SIMD3<Float>, SIMD3<Float>, SIMD3<Float>)
    private let shift: SIMD3<Float>

    /// The deformation of a subject.
    ///
    /// - Parameter strength: 0 for none, 1 for heads as different as those of healthy adults, 2 at most.
    init(_ random: SubjectRandom, strength: Double) {
        waves = Self.waves(random, strength: strength)
        // Rotations of up to 0.08 (4.6 degrees), sizes from 93 to 107 %, and shifts of up to 3 mm.
        let turn = random.point(.pose, 0, in: -0.08...0.08) * strength
        let size = 1 + random.point(.pose, 1, in: -0.07...0.07) * strength
        shift = SIMD3<Float>(random.point(.pose, 2, in: -3...3) * strength)
        columns = (
            SIMD3<Float>(Self.rotated([size.x, 0, 0], by: turn)),
            SIMD3<Float>(Self.rotated([0, size.y, 0], by: turn)),
            SIMD3<Float>(Self.rotated([0, 0, size.z], by: turn))
        )
    }

    /// Where a point goes to, in millimetres.
    @inline(__always)
    package func callAsFunction(_ point: SIMD3<Float>) -> SIMD3<Float> {
        var p = point
        for wave in waves {
            p += wave.amplitude * sin((wave.frequency * point).sum() + wave.phase)
        }
        return columns.0 * p.x + columns.1 * p.y + columns.2 * p.z + shift
    }

    private static func waves(_ random: SubjectRandom, strength: Double) -> [Wave] {
        let drawn = (0..<8).map { index in
            // Wavelengths of 70 to 220 mm: whole lobes move, and no gyrus on its own.
            let length = random.uniform(.waves, 10 * index, in: 70...220)
            let direction = SubjectRandom.direction(
                random.uniform(.waves, 10 * index + 1), random.uniform(.waves, 10 * index + 2))
            let push = SubjectRandom.direction(
                random.uniform(.waves, 10 * index + 3), random.uniform(.waves, 10 * index + 4))
            return (
                // Long waves are the higher ones, so that each bends the head about as much.
                amplitude: push * length * random.uniform(.waves, 10 * index + 5, in: 0.5...1),
                frequency: direction * (2 * .pi / length),
                phase: random.uniform(.waves, 10 * index + 6, in: 0...2 * .pi)
            )
        }
        let steepness = drawn.reduce(0) {
            $0 + ($1.amplitude * $1.amplitude).sum().squareRoot()
                * ($1.frequency * $1.frequency).sum().squareRoot()
        }
        return drawn.map {
            Wave(
                amplitude: SIMD3<Float>($0.amplitude * (strength * slope / steepness)),
                frequency: SIMD3<Float>($0.frequency), phase: Float($0.phase))
        }
    }

    /// A vector turned about each world axis in turn.
    private static func rotated(_ v: SIMD3<Double>, by angles: SIMD3<Double>) -> SIMD3<Double> {
        var v = v
        for axis in 0..<3 {
            let (a, b) = ((axis + 1) % 3, (axis + 2) % 3)
            let (sine, cosine) = (sin(angles[axis]), cos(angles[axis]))
            (v[a], v[b]) = (cosine * v[a] - sine * v[b], sine * v[a] + cosine * v[b])
        }
        return v
    }
}

extension SubjectRandom {
    /// The direction that two even numbers from 0 to 1 make, evenly over the sphere.
    fileprivate static func direction(_ first: Double, _ second: Double) -> SIMD3<Double> {
        let (z, angle) = (2 * first - 1, 2 * .pi * second)
        let radius = (1 - z * z).squareRoot()
        return [radius * cos(angle), radius * sin(angle), z]
    }
}
