import Foundation

/// The furrows of the cerebral cortex: thin sheets of fluid that run inwards from the brain's hull.
///
/// The sheets lie where a gyroid (sin x cos y + sin y cos z + sin z cos x, after Schoen, 1970) vanishes, whose zeros
/// on a sphere wind as gyri do. It is taken at the point of the hull above the place in question, so that furrows
/// go straight inwards, and its coordinates are bent so that no two gyri are alike.
struct CorticalFolds {
    /// Three phases of the gyroid and three of its bending, for the right hemisphere and for the left.
    let phases: (right: [SIMD3<Float>], left: [SIMD3<Float>])
    /// How wide furrows are, against a young adult's.
    let opening: Float

    /// From a furrow to the second furrow on, in millimetres.
    private static let period: Float = 25

    init(_ random: SubjectRandom, opening: Float) {
        func phases(_ side: Int) -> [SIMD3<Float>] {
            (0..<2).map { SIMD3<Float>(random.point(.anatomy, 10 + 2 * side + $0, in: 0...2 * .pi)) }
        }
        self.phases = (phases(0), phases(1))
        self.opening = opening
    }

    /// How far a point lies from the fluid of the nearest furrow, in millimetres, below zero in the fluid.
    ///
    /// - Parameters:
    ///   - p: the point.
    ///   - hull: the ellipsoid whose surface the furrows run in from.
    ///   - depth: how far the point lies inside the brain.
    func depth(at p: SIMD3<Float>, below hull: Ellipsoid, depth: Depth) -> Depth {
        // Furrows end at 21 mm; all that is deeper than this is white.
        guard depth < 27 else { return 27 }
        let radius = max(hull.radius(at: p), 0.3)
        let surface = hull.centre + (p - hull.centre) / radius
        let side = p.x < 0 ? phases.left : phases.right
        // Bent along the hull, and inwards too: the last term changes with depth.
        let bent =
            surface + 7 * sin(surface.turned * 0.06 + side[1]) + 2.5 * sin(surface * 0.19 + side[0])
            + 2 * sin(p.turned * 0.2 + side[1])
        let wave = 2 * Float.pi / Self.period
        let (s, c) = (sin(bent * wave + side[0]), cos(bent * wave + side[0]))
        let gyroid = (s * c.turned).sum()
        // The derivative along the hull: a furrow's width must not depend on how fast the gyroid grows inwards.
        let slope = c * c.turned - (s * s.turned).turned.turned
        let outwards = (p - hull.centre) / max(length(p - hull.centre), 1)
        let along = slope - outwards * (slope * outwards).sum()
        let distance = abs(gyroid) / (wave * max(length(along), 0.45)) * radius
        let floor = 15 + 6 * sin(surface.x * 0.09 + side[0].y) * sin(surface.y * 0.08 + side[1].z)
        let beyond = max(depth - floor, 0)
        let halfWidth = opening * (0.45 + 0.9 * exp(-max(depth, 0) / 4))
        return (distance * distance + beyond * beyond).squareRoot() - halfWidth
    }
}

extension SIMD3<Float> {
    /// (y, z, x).
    fileprivate var turned: Self { [y, z, x] }
}

private func sin(_ v: SIMD3<Float>) -> SIMD3<Float> {
    [Foundation.sin(v.x), Foundation.sin(v.y), Foundation.sin(v.z)]
}

private func cos(_ v: SIMD3<Float>) -> SIMD3<Float> {
    [Foundation.cos(v.x), Foundation.cos(v.y), Foundation.cos(v.z)]
}
