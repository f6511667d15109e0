/// An analytic model of a head: skull, scalp, face and neck around an analytic brain.
///
/// Positions are relative to the same origin as those of ``AnalyticBrain``.
struct AnalyticHead {
    private let brain: AnalyticBrain
    private let cranium: Cranium

    init(_ random: SubjectRandom) { (brain, cranium) = (AnalyticBrain(random), Cranium(random)) }

    /// The tissues in a voxel of a width in millimetres at a point.
    func tissues(at p: SIMD3<Float>, width: Float) -> TissueMix {
        var mix = TissueMix()
        let q = SIMD3(abs(p.x), p.y, p.z)
        let hull = brain.hull(at: p)
        let canal = max(hull, brain.spinalCord(at: p))
        let head = outline(at: p, q, hull: hull)
        guard head > -width else { return mix }
        cranium.addSoftParts(to: &mix, head: head, width: width)
        if hull < -3 { addFace(to: &mix, at: p, q, width: width) }
        cranium.addSkull(to: &mix, brain: canal, width: width)
        if hull < 0 { addBase(to: &mix, at: p, q, hull: hull, head: head, width: width) }
        guard canal > -width else { return mix }
        brain.add(to: &mix, at: p, width: width)
        mix.brain = coverage(hull, width: width)
        return mix
    }

    /// The depth of a point inside the head, face and neck.
    private func outline(at p: SIMD3<Float>, _ q: SIMD3<Float>, hull: Depth) -> Depth {
        let head = cranium.head(brain: hull)
        guard p.z < 12 else { return head }
        let face = smoothUnion(Self.face.depth(at: p), Self.nose.depth(at: p), width: 14)
        let front = smoothUnion(head, smoothUnion(face, Self.cheek.depth(at: q), width: 10), width: 22)
        return smoothUnion(front, Self.neck.depth(at: p), width: 24)
    }

    private static let face = Ellipsoid([0, 32, -62], radii: [58, 60, 76])
    private static let nose = Ellipsoid([0, 86, -58], radii: [13, 21, 21])
    private static let cheek = Ellipsoid([38, 46, -72], radii: [28, 36, 40])
    private static let neck = Tube([0, -36, -80], [0, -44, -200], radii: (58, 54))

    // MARK: Face and neck

    private func addFace(to mix: inout TissueMix, at p: SIMD3<Float>, _ q: SIMD3<Float>, width: Float) {
        mix.overlay(.muscle, coverage(Self.temporalMuscle.depth(at: q), width: width))
        guard p.z < 5 else { return }
        addJaws(to: &mix, at: p, q, width: width)
        addSpine(to: &mix, at: p, width: width)
        // The eyes, in the fat of their sockets.
        let socket = Self.socket.depth(at: q)
        mix.overlay(.bone, coverage(min(socket + 2.5, 66 - p.y), width: width))
        mix.overlay(.fat, coverage(socket, width: width))
        mix.overlay(.muscle, coverage(max(Self.opticNerve.depth(at: q), Self.eye.depth(at: q)), width: width))
        mix.overlay(.fluid, coverage(Self.eye.depth(at: q) - 1.5, width: width))
        mix.overlay(.muscle, coverage(Self.lens.depth(at: q), width: width))
        // Sinuses, nose and throat, each with a thin wall of bone.
        let cavity = max(Self.maxillarySinus.depth(at: q), Self.ethmoid.depth(at: q))
        let nose = Self.nasalCavity.depth(at: p)
        mix.overlay(.bone, coverage(max(cavity, min(nose, 74 - p.y)) + 1.6, width: width))
        mix.overlay(.air, coverage(max(cavity, nose), width: width))
        mix.overlay(.muscle, coverage(max(Self.turbinate.depth(at: q), min(1 - q.x, nose)), width: width))
        mix.overlay(.air, coverage(Self.throat.depth(at: [p.x * 0.6, p.y, p.z]), width: width))
    }

    private func addJaws(to mix: inout TissueMix, at p: SIMD3<Float>, _ q: SIMD3<Float>, width: Float) {
        var bone = max(Self.zygoma.depth(at: q), Self.zygomaticArch.depth(at: q))
        bone = max(bone, max(Self.ramus.depth(at: q), Self.mandible.depth(at: q)))
        bone = max(bone, Self.palate.depth(at: p))
        mix.overlay(.bone, coverage(bone, width: width))
        // The dental arch.
        let arch = Self.arch.depth(at: [p.x, p.y, Self.arch.centre.z])
        let teeth = min(5 - abs(arch), 9 - abs(p.z + 92), p.y - 32)
        mix.overlay(.bone, coverage(teeth, width: width))
    }

    private func addSpine(to mix: inout TissueMix, at p: SIMD3<Float>, width: Float) {
        let body = Self.vertebrae.depth(at: p)
        mix.overlay(.bone, coverage(body, width: width))
        mix.overlay(.marrow, coverage(body - 2.5, width: width))
    }

    private static let temporalMuscle = Ellipsoid([66, 14, -26], radii: [9, 32, 36])
    private static let socket = Ellipsoid([31, 58, -36], radii: [19, 24, 18])
    private static let eye = Ellipsoid([31, 63, -36], radii: [12, 12, 12])
    private static let lens = Ellipsoid([31, 72, -36], radii: [4.5, 2, 4.5])
    private static let opticNerve = Tube([30, 52, -36], [14, 26, -30], radius: 2)
    private static let maxillarySinus = Ellipsoid([27, 46, -64], radii: [13, 17, 16])
    private static let ethmoid = Ellipsoid([6, 48, -40], radii: [6, 20, 9])
    private static let nasalCavity = Ellipsoid([0, 54, -66], radii: [11, 34, 17])
    private static let turbinate = Ellipsoid([6, 50, -70], radii: [3, 22, 7])
    private static let throat = Tube([0, 10, -66], [0, -4, -150], radius: 7)
    private static let zygoma = Tube([42, 66, -56], [62, 40, -54], radii: (6, 4))
    private static let zygomaticArch = Tube([62, 40, -54], [68, -4, -48], radii: (4, 3))
    private static let ramus = Tube([54, -4, -56], [48, 6, -104], radii: (4, 5.5))
    private static let mandible = Tube([48, 6, -106], [12, 72, -118], radii: (6, 7))
    private static let palate = Ellipsoid([0, 46, -84], radii: [28, 34, 3])
    private static let arch = Ellipsoid([0, 40, -92], radii: [26, 36, 20])
    private static let vertebrae = Tube([0, -12, -84], [0, -18, -200], radius: 12)

    // MARK: Base of the skull

    private func addBase(
        to mix: inout TissueMix, at p: SIMD3<Float>, _ q: SIMD3<Float>, hull: Depth, head: Depth, width: Float
    ) {
        guard p.z < 10 else { return }
        let deep = head - 4
        let petrous = min(Self.petrous.depth(at: q), -hull - 1)
        mix.overlay(.bone, coverage(min(max(petrous, Self.mastoid.depth(at: q)), deep), width: width))
        let sphenoid = max(Self.sphenoidSinus.depth(at: q), Self.frontalSinus.depth(at: q))
        mix.overlay(.bone, coverage(min(sphenoid + 3, -hull - 1, deep), width: width))
        // The air cells of the mastoid are smaller than a voxel.
        mix.overlay(.air, 0.6 * coverage(min(Self.mastoid.depth(at: q), deep) - 3, width: width))
        mix.overlay(
            .air, coverage(max(min(sphenoid, -hull - 3, deep - 3), Self.earCanal.depth(at: q)), width: width))
    }

    private static let petrous = Tube([62, -30, -48], [14, -8, -38], radii: (12, 7))
    private static let mastoid = Ellipsoid([53, -38, -55], radii: [10, 13, 15])
    private static let earCanal = Tube([50, -22, -48], [100, -26, -48], radius: 3.5)
    private static let sphenoidSinus = Ellipsoid([7, 22, -38], radii: [8, 12, 10])
    private static let frontalSinus = Ellipsoid([9, 68, -20], radii: [9, 6, 10])
}
