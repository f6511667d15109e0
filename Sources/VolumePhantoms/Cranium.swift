/// What lies about every brain: fluid, the skull with its marrow, fat and skin.
struct Cranium {
    /// Thickness of the skull in millimetres.
    let skull: Float
    /// Thickness of what lies on the skull, in millimetres.
    let scalp: Float

    /// From the brain's hull to the inner table of the skull, in millimetres.
    private static let gap: Float = 2.5
    private static let table: Float = 1.9
    private static let skin: Float = 2

    init(_ random: SubjectRandom) {
        skull = Float(random.uniform(.anatomy, 3, in: 5.5...8))
        scalp = Float(random.uniform(.anatomy, 4, in: 5...8))
    }

    /// How far a point lies inside the head, for its depth inside the brain's hull.
    @inline(__always)
    func head(brain: Depth) -> Depth { brain + Self.gap + skull + scalp }

    /// Puts skin, the fat below it, and muscle below that, where `head` is the depth inside the head.
    @inline(__always)
    func putSoftParts(into mix: inout TissueMix, head: Depth, width: Float) {
        mix.put(.muscle, cover(head, width: width))
        mix.put(.fat, cover(head - Self.skin, width: width))
        mix.put(.muscle, cover(head - Self.skin - 0.5 - scalp, width: width))
    }

    /// Puts the skull, its marrow, and fluid in place of the brain.
    @inline(__always)
    func putSkull(into mix: inout TissueMix, brain: Depth, width: Float) {
        let inner = brain + Self.gap
        mix.put(.bone, cover(inner + skull, width: width))
        mix.put(.marrow, cover(min(inner + skull - Self.table, -inner - Self.table), width: width))
        mix.put(.fluid, cover(inner, width: width))
    }
}
