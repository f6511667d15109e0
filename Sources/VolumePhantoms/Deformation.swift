import Foundation

/// A smooth random diffeomorphism: p is mapped to A (p + u(p)), where A is close to the identity and the displacement u is
/// a sum of plane waves.
///
/// ## Law
/// The map is one to one, and the determinant of its Jacobian is above zero everywhere. The norm of the derivative of a
/// wave `a sin(k p + phase)` is at most `|a| |k|`. The sum over all waves is ``slope`` times the strength, below one, so that
/// I + grad u is never singular; and the determinant of A is above zero.
package struct Deformation {
    /// The largest relative change of the distance between two close points, for a strength of one.
    package static let slope = 0.3

    /// One wave of displacement.
    struct Wave {
        /// In millimetres, along each world axis.
        let amplitude: SIMD3<Float>
        /// k, in radians per millimetre.
        let frequency: SIMD3<Float>
        let phase: Float
    }

    private let waves: [Wave]
    private let columns: (SIMD3<Float>, SIMD3<Float>, SIMD3<Float>)
    private let shift: SIMD3<Float>

    /// The deformation of a subject.
    ///
    /// - Parameter strength: 0 for the identity, 1 for the variation among healthy adults, at most 2.
    init(_ random: SubjectRandom, strength: Double) {
        waves = Self.waves(random, strength: strength)
        // Rotations of up to 0.08 radians, scales from 93 to 107 %, translations of up to 3 mm.
        let rotation = random.point(.pose, 0, in: -0.08...0.08) * strength
        let size = 1 + random.point(.pose, 1, in: -0.07...0.07) * strength
        shift = SIMD3<Float>(random.point(.pose, 2, in: -3...3) * strength)
        columns = (
            SIMD3<Float>(Self.rotated([size.x, 0, 0], by: rotation)),
            SIMD3<Float>(Self.rotated([0, size.y, 0], by: rotation)),
            SIMD3<Float>(Self.rotated([0, 0, size.z], by: rotation))
        )
    }

    /// The image of a point, in millimetres.
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
            // Wavelengths of 70 to 220 mm move whole lobes, not single gyri.
            let length = random.uniform(.waves, 10 * index, in: 70...220)
            let direction = SubjectRandom.direction(
                random.uniform(.waves, 10 * index + 1), random.uniform(.waves, 10 * index + 2))
            let push = SubjectRandom.direction(
                random.uniform(.waves, 10 * index + 3), random.uniform(.waves, 10 * index + 4))
            return (
                // The amplitude is proportional to the wavelength, so that slopes are comparable.
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

    /// A vector rotated about each world axis in turn.
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
    /// A direction from two uniform numbers from 0 to 1, uniform over the sphere.
    fileprivate static func direction(_ first: Double, _ second: Double) -> SIMD3<Double> {
        let (z, angle) = (2 * first - 1, 2 * .pi * second)
        let radius = (1 - z * z).squareRoot()
        return [radius * cos(angle), radius * sin(angle), z]
    }
}
