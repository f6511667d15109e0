import Foundation

/// An analytic model of a brain: cerebrum with folded cortex, cerebellum, brainstem, ventricles and deep nuclei.
///
/// Positions are in millimetres (RAS+) relative to the anterior commissure, as in MNI space. Of paired structures, they
/// are those of the right one.
struct AnalyticBrain {
    private let folds: CorticalFolds
    /// The size of the ventricles relative to a young adult.
    private let ventricles: Float
    /// The thickness of the cortex in millimetres.
    private let cortex: Float

    init(_ random: SubjectRandom) {
        // Ventricles and sulci widen together with age.
        let age = Float(random.uniform(.anatomy, 0))
        ventricles = 0.8 + 0.6 * age + 0.2 * Float(random.uniform(.anatomy, 1))
        cortex = 3.3 - 0.5 * age + 0.3 * Float(random.uniform(.anatomy, 2))
        folds = CorticalFolds(random, opening: 0.7 + 0.8 * age)
    }

    private static let cerebrum = Ellipsoid([0, -16, 20], radii: [66, 86, 57])
    private static let temporalLobe = Ellipsoid([45, -14, -22], radii: [24, 40, 23])
    private static let basalCistern = Ellipsoid([0, -20, -38], radii: [21, 25, 21])
    private static let cerebellum = Ellipsoid([0, -64, -39], radii: [52, 33, 23])
    private static let hemisphere = Ellipsoid([24, -64, -41], radii: [29, 31, 22])
    private static let stem = Tube([0, -20, -12], [0, -36, -64], radii: (12, 8))
    private static let pons = Ellipsoid([0, -23, -34], radii: [17, 13, 14])
    private static let cord = Tube([0, -36, -64], [0, -42, -140], radii: (7, 5.5))

    /// The depth of a point inside the hull of the brain: sulci closed, parts joined.
    func hull(at p: SIMD3<Float>) -> Depth {
        let q = SIMD3(abs(p.x), p.y, p.z)
        var depth = smoothUnion(Self.cerebrum.depth(at: p), Self.temporalLobe.depth(at: q), width: 12)
        depth = smoothUnion(depth, Self.cerebellum.depth(at: p), width: 14)
        return smoothUnion(depth, Self.stem.depth(at: p), width: 8)
    }

    /// The depth of a point inside the spinal cord.
    func spinalCord(at p: SIMD3<Float>) -> Depth { Self.cord.depth(at: p) }

    /// Adds the brain to a mix that is fluid inside its hull.
    func add(to mix: inout TissueMix, at p: SIMD3<Float>, width: Float) {
        let q = SIMD3(abs(p.x), p.y, p.z)
        let cerebellum = smoothUnion(
            min(Self.cerebellum.depth(at: p), 40), Self.hemisphere.depth(at: q), width: 4)
        let stem = smoothUnion(Self.stem.depth(at: p), Self.pons.depth(at: p), width: 6)
        addCerebrum(to: &mix, at: p, q, cerebellum: cerebellum, width: width)
        addCerebellum(to: &mix, at: p, depth: cerebellum, width: width)
        mix.overlay(.white, coverage(max(stem, Self.cord.depth(at: p)), width: width))
        // The nuclei of the stem make it a little darker than the hemispheres.
        mix.overlay(.grey, 0.3 * coverage(stem - 1, width: width))
        Self.addThirdVentricle(to: &mix, at: p, scale: ventricles, width: width)
        mix.overlay(.fluid, coverage(Self.fourthVentricle.depth(at: p), width: width))
    }

    // MARK: Cerebrum

    private func addCerebrum(
        to mix: inout TissueMix, at p: SIMD3<Float>, _ q: SIMD3<Float>, cerebellum: Depth, width: Float
    ) {
        let hull = smoothUnion(Self.cerebrum.depth(at: p), Self.temporalLobe.depth(at: q), width: 8)
        // The tentorium and the cisterns separate the cerebrum from the stem and the cerebellum.
        let lobes = min(hull, -cerebellum - 2, -Self.basalCistern.depth(at: p))
        guard lobes > -width else { return }
        let sulci = min(
            folds.depth(at: p, below: Self.cerebrum, depth: hull), longitudinalFissure(at: p),
            lateralFissure(at: q))
        let pial = min(lobes, sulci)
        mix.overlay(.grey, coverage(pial, width: width))
        mix.overlay(.white, coverage(pial - cortex, width: width))
        guard lobes > 8 else { return }
        addNuclei(to: &mix, at: q, width: width)
        addVentricles(to: &mix, at: q, width: width)
    }

    /// The distance from the longitudinal fissure, which extends down to the corpus callosum.
    private func longitudinalFissure(at p: SIMD3<Float>) -> Depth {
        let inside = max(Self.callosum.depth(at: [0, p.y, p.z]), 0)
        return (p.x * p.x + inside * inside).squareRoot() - 0.9 * folds.opening
    }

    /// The distance from the lateral fissure, with the insula at its floor.
    private func lateralFissure(at q: SIMD3<Float>) -> Depth {
        let rise = q.z - (-8 + 0.42 * (q.y + 4) - 0.4 * (q.x - 50))
        let inwards = max(37 - q.x, 0)
        let along = max(abs(q.y + 2) - 30, 0)
        return (rise * rise * 0.75 + inwards * inwards + along * along).squareRoot() - 1.1 * folds.opening
    }

    private static let callosum = Ellipsoid([0, -8, 4], radii: [30, 42, 26])

    private func addNuclei(to mix: inout TissueMix, at q: SIMD3<Float>, width: Float) {
        mix.overlay(.grey, coverage(Self.putamen.depth(at: q), width: width))
        mix.overlay(.grey, coverage(Self.caudate.depth(at: q), width: width))
        mix.overlay(.grey, coverage(Self.caudateTail.depth(at: q), width: width))
        mix.overlay(.grey, coverage(Self.hippocampus.depth(at: q), width: width))
        mix.overlay(.grey, coverage(Self.amygdala.depth(at: q), width: width))
        // Between grey and white matter on T1, because of their fibres.
        mix.overlay(.grey, 0.6 * coverage(Self.thalamus.depth(at: q), width: width))
        mix.overlay(.grey, 0.4 * coverage(Self.pallidum.depth(at: q), width: width))
    }

    private static let putamen = Ellipsoid([27, 2, 2], radii: [5.5, 16, 11])
    private static let pallidum = Ellipsoid([19.5, -4, 0], radii: [4.5, 9, 7])
    private static let thalamus = Ellipsoid([11, -18, 8], radii: [9, 14, 9])
    private static let caudate = Tube([13, 18, 4], [15, 4, 16], radii: (6, 4))
    private static let caudateTail = Tube([15, 4, 16], [21, -26, 21], radii: (4, 2))
    private static let hippocampus = Tube([26, -12, -20], [27, -34, -5], radii: (5, 3.5))
    private static let amygdala = Ellipsoid([24, -4, -19], radii: [7, 7, 7])

    private func addVentricles(to mix: inout TissueMix, at q: SIMD3<Float>, width: Float) {
        var depth = Depth(-100)
        for tube in Self.lateralVentricle { depth = max(depth, tube.depth(at: q)) }
        // Larger ventricles extend farther; the septum between them is kept.
        let septum = q.x - 1.2
        mix.overlay(.fluid, coverage(min(depth + 4.5 * (ventricles - 1), septum), width: width))
    }

    private static let lateralVentricle = [
        Tube([9, 31, 4], [8.5, 12, 17], radii: (3.5, 5.5)),
        Tube([8.5, 12, 17], [12, -18, 23], radii: (5.5, 5)),
        Tube([12, -18, 23], [25, -42, 14], radii: (5, 7)),
        Tube([25, -42, 14], [24, -66, 7], radii: (6, 2)),
        Tube([25, -42, 14], [35, -20, -16], radii: (4.5, 2)),
    ]

    private static func addThirdVentricle(
        to mix: inout TissueMix, at p: SIMD3<Float>, scale: Float, width: Float
    ) {
        mix.overlay(.fluid, coverage(third.depth(at: [p.x / scale, p.y, p.z]), width: width))
    }

    private static let third = Ellipsoid([0, -14, -2], radii: [2.4, 14, 10])
    private static let fourthVentricle = Ellipsoid([0, -46, -34], radii: [7, 6, 9])

    // MARK: Cerebellum

    /// Folia of grey matter around a tree of white matter, which fans out from the fourth ventricle.
    private func addCerebellum(to mix: inout TissueMix, at p: SIMD3<Float>, depth: Depth, width: Float) {
        guard depth > -width else { return }
        let angle = atan2(p.z + 36, -(p.y + 44))
        let bend = 0.12 * sin(abs(p.x) * 0.14 + folds.phases.right[0].x)
        let leaf = 0.5 + 0.5 * sin(20 * (angle + bend))
        // The folia end where they would meet.
        let reach = min(max((norm(p - [p.x, -44, -36]) - 10) / 14, 0), 1)
        mix.overlay(.grey, coverage(depth - 2.2 * reach * leaf * leaf * leaf, width: width))
        mix.overlay(.white, coverage(depth - 3.5 - 8 * reach * leaf, width: width))
    }
}

// MARK: Cortex

/// The sulci of the cerebral cortex: thin sheets of fluid that extend inwards from the hull of the brain.
///
/// The sheets are the zeros of a gyroid (sin x cos y + sin y cos z + sin z cos x; Schoen, 1970), which wind over a sphere
/// as sulci do. The gyroid is evaluated at the projection of a point onto the hull, so that sulci extend straight inwards,
/// in warped coordinates, so that no two gyri are alike.
private struct CorticalFolds {
    /// Three phases of the gyroid and three of the warp, for the right and the left hemisphere.
    let phases: (right: [SIMD3<Float>], left: [SIMD3<Float>])
    /// The width of sulci relative to a young adult.
    let opening: Float

    /// The period of the gyroid in millimetres: twice the distance between sulci.
    private static let period: Float = 25

    init(_ random: SubjectRandom, opening: Float) {
        func phases(_ side: Int) -> [SIMD3<Float>] {
            (0..<2).map { SIMD3<Float>(random.point(.anatomy, 10 + 2 * side + $0, in: 0...2 * .pi)) }
        }
        self.phases = (phases(0), phases(1))
        self.opening = opening
    }

    /// The distance of a point from the fluid of the nearest sulcus in millimetres, negative in the fluid.
    ///
    /// - Parameters:
    ///   - p: the point.
    ///   - hull: the ellipsoid from whose surface sulci extend.
    ///   - depth: the depth of the point inside the brain.
    func depth(at p: SIMD3<Float>, below hull: Ellipsoid, depth: Depth) -> Depth {
        // Sulci end at a depth of 21 mm; below 27 mm all is white matter.
        guard depth < 27 else { return 27 }
        let radius = max(hull.radius(at: p), 0.3)
        let surface = hull.centre + (p - hull.centre) / radius
        let side = p.x < 0 ? phases.left : phases.right
        // The warp: along the hull, and in the last term also with depth.
        let warped =
            surface + 7 * sin(surface.rotated * 0.06 + side[1]) + 2.5 * sin(surface * 0.19 + side[0])
            + 2 * sin(p.rotated * 0.2 + side[1])
        let wave = 2 * Float.pi / Self.period
        let (s, c) = (sin(warped * wave + side[0]), cos(warped * wave + side[0]))
        let gyroid = (s * c.rotated).sum()
        // The derivative along the hull: the width of a sulcus must not depend on the derivative inwards.
        let slope = c * c.rotated - (s * s.rotated).rotated.rotated
        let outwards = (p - hull.centre) / max(norm(p - hull.centre), 1)
        let along = slope - outwards * (slope * outwards).sum()
        let distance = abs(gyroid) / (wave * max(norm(along), 0.45)) * radius
        let floor = 15 + 6 * sin(surface.x * 0.09 + side[0].y) * sin(surface.y * 0.08 + side[1].z)
        let beyond = max(depth - floor, 0)
        let halfWidth = opening * (0.45 + 0.9 * exp(-max(depth, 0) / 4))
        return (distance * distance + beyond * beyond).squareRoot() - halfWidth
    }
}

extension SIMD3<Float> {
    /// (y, z, x).
    fileprivate var rotated: Self { [y, z, x] }
}

private func sin(_ v: SIMD3<Float>) -> SIMD3<Float> {
    [Foundation.sin(v.x), Foundation.sin(v.y), Foundation.sin(v.z)]
}

private func cos(_ v: SIMD3<Float>) -> SIMD3<Float> {
    [Foundation.cos(v.x), Foundation.cos(v.y), Foundation.cos(v.z)]
}
