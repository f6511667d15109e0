import Foundation
import TestSupport
import Testing

@testable import VolumeRegistration

/// Rotations and translations keep the laws of a group, and their forms agree.
struct RigidTransformTests {
    @Test func distancesAndHandednessAreKept() async {
        await checkLaw { random in
            let transform = RigidTransform.random(using: &random)
            let (a, b) = (SIMD3<Double>.point(using: &random), SIMD3<Double>.point(using: &random))
            try #require(abs((transform(a) - transform(b)).norm - (a - b).norm) < 1e-9)
            let (x, y, z) = transform.affine.columns
            try #require(((x.cross(y)) - z).norm < 1e-12)
        }
    }

    @Test func compositionAppliesTheInnerOneFirst() async {
        await checkLaw { random in
            let (a, b, c) = (
                RigidTransform.random(using: &random), RigidTransform.random(using: &random),
                RigidTransform.random(using: &random)
            )
            let point = SIMD3<Double>.point(using: &random)
            try #require((a.after(b)(point) - a(b(point))).norm < 1e-9)
            try #require(a.after(b).after(c).affine.largestDifference(from: a.after(b.after(c)).affine) < 1e-9)
            try #require(a.after(.identity).affine.largestDifference(from: a.affine) < 1e-12)
            // Matrices are multiplied by another type.
            try #require(a.affine.after(b.affine).largestDifference(from: a.after(b).affine) < 1e-9)
        }
    }

    @Test func theInverseUndoes() async {
        await checkLaw { random in
            let transform = RigidTransform.random(using: &random)
            let rest = transform.after(transform.inverse).affine
            try #require(rest.largestDifference(from: Affine(spacing: .one)) < 1e-9)
            let matrix = try #require(transform.affine.inverse)
            try #require(matrix.largestDifference(from: transform.inverse.affine) < 1e-9)
        }
    }

    @Test func anglesAreThoseThatItWasMadeFrom() async {
        await checkLaw { random in
            let degrees = SIMD3(
                Double.random(in: -179...179, using: &random), .random(in: -89...89, using: &random),
                .random(in: -179...179, using: &random))
            let shift = SIMD3<Double>.point(using: &random)
            let transform = RigidTransform(degrees: degrees, millimetres: shift)
            try #require((transform.degrees - degrees).norm < 1e-7)
            try #require((transform.translation - shift).norm < 1e-12)
        }
    }

    @Test func rotationsAreRightHandedAndAboutXFirst() {
        let turn = RigidTransform(degrees: [90, 0, 90])
        // About x: y to z. About z: x to y.
        #expect((turn([0, 1, 0]) - [0, 0, 1]).norm < 1e-12)
        #expect((turn([1, 0, 0]) - [0, 1, 0]).norm < 1e-12)
        // z to -y by x, and then to x by z.
        #expect((turn([0, 0, 1]) - [1, 0, 0]).norm < 1e-12)
    }

    @Test(arguments: [90.0, -90]) func anglesAreFoundWhereTwoAxesCoincide(second: Double) {
        let turn = RigidTransform(degrees: [20, second, 35])
        let again = RigidTransform(degrees: turn.degrees)
        #expect(turn.affine.largestDifference(from: again.affine) < 1e-6)
    }

    @Test func theCentreStaysInPlace() async {
        await checkLaw { random in
            let centre = SIMD3<Double>.point(using: &random)
            let turn = RigidTransform(degrees: .point(using: &random), about: centre)
            try #require((turn(centre) - centre).norm < 1e-9)
            let vector = SIMD3<Double>.point(using: &random) / 100
            let about = RigidTransform(radians: vector, millimetres: .zero, about: centre)
            try #require((about(centre + vector) - centre - vector).norm < 1e-9)
            let angle = min(vector.norm, abs(2 * .pi - vector.norm)) * 180 / .pi
            try #require(abs(about.angle - angle) < 1e-6)
        }
    }

    @Test func theNearestRotationIsFound() async {
        await checkLaw { random in
            let transform = RigidTransform.random(using: &random)
            var affine = transform.affine
            func noise() -> SIMD3<Double> { .point(using: &random) * 1e-6 }
            affine.columns.x += noise()
            affine.columns.y += noise()
            affine.columns.z += noise()
            let nearest = try #require(RigidTransform(affine))
            try #require(nearest.affine.largestDifference(from: transform.affine) < 1e-3)
            // No rotation nearby is nearer.
            func distance(_ other: RigidTransform) -> Double {
                zip(other.affine.rows, affine.rows).reduce(0) {
                    let gap = $1.0 - $1.1
                    return $0 + (gap * gap).sum()
                }
            }
            let near = RigidTransform(
                radians: .point(using: &random) * 1e-8, millimetres: .zero, about: .zero)
            let shift = RigidTransform(millimetres: nearest.translation - near.after(nearest).translation)
            try #require(distance(nearest) <= distance(shift.after(near).after(nearest)) + 1e-12)
        }
    }

    @Test func mapsThatAreNotRigidAreNone() {
        #expect(RigidTransform(Affine(spacing: [1, 1, 1.01])) == nil)
        #expect(RigidTransform(Affine(spacing: [-1, 1, 1])) == nil)
        #expect(RigidTransform(Affine(columns: [1, 0, 0], [0.1, 1, 0], [0, 0, 1])) == nil)
        #expect(RigidTransform(Affine(spacing: [.nan, 1, 1])) == nil)
        #expect(RigidTransform(Affine(spacing: .one, translation: [0, .infinity, 0])) == nil)
    }

    @Test func itIsDescribedInOneLine() {
        let transform = RigidTransform(degrees: [1.5, 0, -3], millimetres: [4, 0.25, -11])
        #expect(
            "\(transform)"
                == "rotation 1.5, 0, -3 degrees about x, y, z; translation 4, 0.25, -11 mm")
    }

    /// Values aligned to 32 bytes are not safe in asynchronous functions of Swift 6.3.
    @Test func itIsAlignedAsNumbersAre() {
        #expect(MemoryLayout<RigidTransform>.alignment <= 16)
        #expect(MemoryLayout<RegistrationResult>.alignment <= 16)
    }
}

extension RigidTransform {
    static func random(using random: inout SeededGenerator) -> RigidTransform {
        RigidTransform(degrees: .point(using: &random) * 1.8, millimetres: .point(using: &random))
    }
}

extension SIMD3<Double> {
    /// In -100...100 along each axis.
    static func point(using random: inout SeededGenerator) -> Self { .random(in: -100...100, using: &random) }

    var norm: Double { (self * self).sum().squareRoot() }
}
