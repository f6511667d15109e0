import Foundation

/// A brain by formulas: cerebrum with folded cortex, cerebellum, brainstem, ventricles and deep nuclei.
///
/// Places are in millimetres about the anterior commissure, right, front and head upwards, as in MNI space; those
/// of structures that come in pairs are of the right one.
struct AnalyticBrain {
    private let folds: CorticalFolds
    /// The size of the ventricles against a young adult's.
    private let ventricles: Float
    /// The thickness of the cortex in millimetres.
    private let cortex: Float

    init(_ random: SubjectRandom) {
        // Age widens ventricles and furrows together.
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

    /// How far a point lies inside the brain as a glove would: furrows closed, the parts joined.
    func hull(at p: SIMD3<Float>) -> Depth {
        let q = SIMD3(abs(p.x), p.y, p.z)
        var depth = union(Self.cerebrum.depth(at: p), Self.temporalLobe.depth(at: q), width: 12)
        depth = union(depth, Self.cerebellum.depth(at: p), width: 14)
        return union(depth, Self.stem.depth(at: p), width: 8)
    }

    /// How far a point lies inside the spinal cord, below the head.
    func spinalCord(at p: SIMD3<Float>) -> Depth { Self.cord.depth(at: p) }

    /// Puts the brain into a mix that is fluid all through it.
    func put(into mix: inout TissueMix, at p: SIMD3<Float>, width: Float) {
        let q = SIMD3(abs(p.x), p.y, p.z)
        let cerebellum = union(
            min(Self.cerebellum.depth(at: p), 40), Self.hemisphere.depth(at: q), width: 4)
        let stem = union(Self.stem.depth(at: p), Self.pons.depth(at: p), width: 6)
        putCerebrum(into: &mix, at: p, q, cerebellum: cerebellum, width: width)
        putCerebellum(into: &mix, at: p, depth: cerebellum, width: width)
        mix.put(.white, cover(max(stem, Self.cord.depth(at: p)), width: width))
        // The stem's own nuclei make it a little darker than the hemispheres.
        mix.put(.grey, 0.3 * cover(stem - 1, width: width))
        Self.thirdVentricle(mix: &mix, at: p, scale: ventricles, width: width)
        mix.put(.fluid, cover(Self.fourthVentricle.depth(at: p), width: width))
    }

    // MARK: Cerebrum

    private func putCerebrum(
        into mix: inout TissueMix, at p: SIMD3<Float>, _ q: SIMD3<Float>, cerebellum: Depth, width: Float
    ) {
        let hull = union(Self.cerebrum.depth(at: p), Self.temporalLobe.depth(at: q), width: 8)
        // The tentorium and the cisterns about the stem keep the cerebrum from what lies below it.
        let lobes = min(hull, -cerebellum - 2, -Self.basalCistern.depth(at: p))
        guard lobes > -width else { return }
        let furrows = min(
            folds.depth(at: p, below: Self.cerebrum, depth: hull), longitudinalFissure(at: p),
            lateralFissure(at: q))
        let pial = min(lobes, furrows)
        mix.put(.grey, cover(pial, width: width))
        mix.put(.white, cover(pial - cortex, width: width))
        guard lobes > 8 else { return }
        putNuclei(into: &mix, at: q, width: width)
        putVentricles(into: &mix, at: q, width: width)
    }

    /// The distance from the fissure between the hemispheres, which reaches down to the corpus callosum.
    private func longitudinalFissure(at p: SIMD3<Float>) -> Depth {
        let inside = max(Self.callosum.depth(at: [0, p.y, p.z]), 0)
        return (p.x * p.x + inside * inside).squareRoot() - 0.9 * folds.opening
    }

    /// The distance from the fissure above the temporal lobe, at whose floor the insula lies.
    private func lateralFissure(at q: SIMD3<Float>) -> Depth {
        let rise = q.z - (-8 + 0.42 * (q.y + 4) - 0.4 * (q.x - 50))
        let inwards = max(37 - q.x, 0)
        let along = max(abs(q.y + 2) - 30, 0)
        return (rise * rise * 0.75 + inwards * inwards + along * along).squareRoot() - 1.1 * folds.opening
    }

    private static let callosum = Ellipsoid([0, -8, 4], radii: [30, 42, 26])

    private func putNuclei(into mix: inout TissueMix, at q: SIMD3<Float>, width: Float) {
        mix.put(.grey, cover(Self.putamen.depth(at: q), width: width))
        mix.put(.grey, cover(Self.caudate.depth(at: q), width: width))
        mix.put(.grey, cover(Self.caudateTail.depth(at: q), width: width))
        mix.put(.grey, cover(Self.hippocampus.depth(at: q), width: width))
        mix.put(.grey, cover(Self.amygdala.depth(at: q), width: width))
        // Between grey and white on T1, for the fibres that cross them.
        mix.put(.grey, 0.6 * cover(Self.thalamus.depth(at: q), width: width))
        mix.put(.grey, 0.4 * cover(Self.pallidum.depth(at: q), width: width))
    }

    private static let putamen = Ellipsoid([27, 2, 2], radii: [5.5, 16, 11])
    private static let pallidum = Ellipsoid([19.5, -4, 0], radii: [4.5, 9, 7])
    private static let thalamus = Ellipsoid([11, -18, 8], radii: [9, 14, 9])
    private static let caudate = Tube([13, 18, 4], [15, 4, 16], radii: (6, 4))
    private static let caudateTail = Tube([15, 4, 16], [21, -26, 21], radii: (4, 2))
    private static let hippocampus = Tube([26, -12, -20], [27, -34, -5], radii: (5, 3.5))
    private static let amygdala = Ellipsoid([24, -4, -19], radii: [7, 7, 7])

    private func putVentricles(into mix: inout TissueMix, at q: SIMD3<Float>, width: Float) {
        var depth = Depth(-100)
        for tube in Self.lateralVentricle { depth = max(depth, tube.depth(at: q)) }
        // Larger ones reach farther; the septum between them stays.
        let septum = q.x - 1.2
        mix.put(.fluid, cover(min(depth + 4.5 * (ventricles - 1), septum), width: width))
    }

    private static let lateralVentricle = [
        Tube([9, 31, 4], [8.5, 12, 17], radii: (3.5, 5.5)),
        Tube([8.5, 12, 17], [12, -18, 23], radii: (5.5, 5)),
        Tube([12, -18, 23], [25, -42, 14], radii: (5, 7)),
        Tube([25, -42, 14], [24, -66, 7], radii: (6, 2)),
        Tube([25, -42, 14], [35, -20, -16], radii: (4.5, 2)),
    ]

    private static func thirdVentricle(
        mix: inout TissueMix, at p: SIMD3<Float>, scale: Float, width: Float
    ) {
        mix.put(.fluid, cover(third.depth(at: [p.x / scale, p.y, p.z]), width: width))
    }

    private static let third = Ellipsoid([0, -14, -2], radii: [2.4, 14, 10])
    private static let fourthVentricle = Ellipsoid([0, -46, -34], radii: [7, 6, 9])

    // MARK: Cerebellum

    /// Thin leaves of grey matter about a tree of white, which fan out from the fourth ventricle.
    private func putCerebellum(into mix: inout TissueMix, at p: SIMD3<Float>, depth: Depth, width: Float) {
        guard depth > -width else { return }
        let angle = atan2(p.z + 36, -(p.y + 44))
        let bend = 0.12 * sin(abs(p.x) * 0.14 + folds.phases.right[0].x)
        let leaf = 0.5 + 0.5 * sin(20 * (angle + bend))
        // Where the leaves meet there are none.
        let reach = min(max((length(p - [p.x, -44, -36]) - 10) / 14, 0), 1)
        mix.put(.grey, cover(depth - 2.2 * reach * leaf * leaf * leaf, width: width))
        mix.put(.white, cover(depth - 3.5 - 8 * reach * leaf, width: width))
    }
}
