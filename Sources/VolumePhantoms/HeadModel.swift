// The building blocks of both models of a head: shapes, tissues, and what surrounds every brain.

/// The depth of a point inside a shape, in millimetres: positive inside, negative outside. It is the distance from the
/// surface near the surface, and an estimate farther away.
typealias Depth = Float

/// An ellipsoid along the world axes.
struct Ellipsoid {
    let centre: SIMD3<Float>
    private let inverseRadii: SIMD3<Float>

    init(_ centre: SIMD3<Float>, radii: SIMD3<Float>) {
        (self.centre, inverseRadii) = (centre, 1 / radii)
    }

    @inline(__always)
    func depth(at p: SIMD3<Float>) -> Depth {
        let scaled = (p - centre) * inverseRadii
        let radius = norm(scaled)
        // The first-order distance: the implicit function divided by the norm of its gradient.
        return radius * (1 - radius) / max(norm(scaled * inverseRadii), 1e-6)
    }

    /// The distance from the centre, relative to that of the surface in the same direction.
    @inline(__always)
    func radius(at p: SIMD3<Float>) -> Float { norm((p - centre) * inverseRadii) }
}

/// A tube around a line segment, with a radius for each end and round ends.
struct Tube {
    private let start: SIMD3<Float>
    private let run: SIMD3<Float>
    private let inverseLength: Float
    private let radii: (Float, Float)

    init(_ start: SIMD3<Float>, _ end: SIMD3<Float>, radii: (Float, Float)) {
        (self.start, run, self.radii) = (start, end - start, radii)
        inverseLength = 1 / ((end - start) * (end - start)).sum()
    }

    init(_ start: SIMD3<Float>, _ end: SIMD3<Float>, radius: Float) {
        self.init(start, end, radii: (radius, radius))
    }

    @inline(__always)
    func depth(at p: SIMD3<Float>) -> Depth {
        let offset = p - start
        let fraction = min(max((offset * run).sum() * inverseLength, 0), 1)
        return radii.0 + fraction * (radii.1 - radii.0) - norm(offset - fraction * run)
    }
}

/// The depth inside the union of two shapes, with the edge between them rounded over `width` millimetres.
@inline(__always)
func smoothUnion(_ a: Depth, _ b: Depth, width: Float) -> Depth {
    let near = max(width - abs(a - b), 0) / width
    return max(a, b) + near * near * width / 4
}

/// The Euclidean norm.
@inline(__always)
func norm(_ v: SIMD3<Float>) -> Float { (v * v).sum().squareRoot() }

/// The fraction of a voxel inside a shape, from the width of the voxel and the depth at its centre.
@inline(__always)
func coverage(_ depth: Depth, width: Float) -> Float { min(max(0.5 + depth / width, 0), 1) }

// MARK: Tissues

/// The tissues of a head.
enum Tissue {
    case air, fat, muscle, bone, marrow, fluid, grey, white
}

/// The fractions of the tissues in a voxel, which sum to one, and the fraction that is brain.
struct TissueMix {
    private(set) var fractions = Tissue.air.unit
    /// The fraction that is a lesion of white matter.
    private(set) var lesion: Float = 0
    /// The fraction that skull stripping keeps: the brain with the fluid in it.
    var brain: Float = 0

    /// Replaces a fraction of the mix by a tissue.
    @inline(__always)
    mutating func overlay(_ tissue: Tissue, _ fraction: Float) {
        fractions += (tissue.unit - fractions) * fraction
    }

    /// The fraction of healthy white matter.
    var white: Float { fractions[7] }

    /// Turns a share of the white matter into a lesion.
    mutating func damage(_ share: Float) {
        lesion += share * white
        fractions[7] -= share * white
    }

    /// The mean of the levels of the tissues, weighted by their fractions.
    @inline(__always)
    func level(_ levels: TissueLevels) -> Float { (fractions * levels.tissues).sum() + lesion * levels.lesion }
}

/// A number for each tissue: a CT number, or a signal.
struct TissueLevels {
    /// In the order of the fractions of a mix.
    let tissues: SIMD8<Float>
    let lesion: Float
}

extension Tissue {
    /// The fractions of a voxel of this tissue alone.
    @inline(__always)
    var unit: SIMD8<Float> {
        switch self {
        case .air: SIMD8(1, 0, 0, 0, 0, 0, 0, 0)
        case .fat: SIMD8(0, 1, 0, 0, 0, 0, 0, 0)
        case .muscle: SIMD8(0, 0, 1, 0, 0, 0, 0, 0)
        case .bone: SIMD8(0, 0, 0, 1, 0, 0, 0, 0)
        case .marrow: SIMD8(0, 0, 0, 0, 1, 0, 0, 0)
        case .fluid: SIMD8(0, 0, 0, 0, 0, 1, 0, 0)
        case .grey: SIMD8(0, 0, 0, 0, 0, 0, 1, 0)
        case .white: SIMD8(0, 0, 0, 0, 0, 0, 0, 1)
        }
    }

    /// Levels of the tissues.
    static func levels(
        air: Float, fat: Float, muscle: Float, bone: Float, marrow: Float, fluid: Float, grey: Float,
        white: Float, lesion: Float
    ) -> TissueLevels {
        TissueLevels(tissues: SIMD8(air, fat, muscle, bone, marrow, fluid, grey, white), lesion: lesion)
    }
}

// MARK: Cranium

/// The layers around a brain: fluid, skull with marrow, fat and skin.
struct Cranium {
    /// Thickness of the skull in millimetres.
    let skull: Float
    /// Thickness of the scalp in millimetres.
    let scalp: Float

    /// Distance from the hull of the brain to the inner table of the skull, in millimetres.
    private static let gap: Float = 2.5
    private static let table: Float = 1.9
    private static let skin: Float = 2

    init(_ random: SubjectRandom) {
        skull = Float(random.uniform(.anatomy, 3, in: 5.5...8))
        scalp = Float(random.uniform(.anatomy, 4, in: 5...8))
    }

    /// The depth of a point inside the head, from its depth inside the hull of the brain.
    @inline(__always)
    func head(brain: Depth) -> Depth { brain + Self.gap + skull + scalp }

    /// Adds skin, fat below it, and muscle below that; `head` is the depth inside the head.
    @inline(__always)
    func addSoftParts(to mix: inout TissueMix, head: Depth, width: Float) {
        mix.overlay(.muscle, coverage(head, width: width))
        mix.overlay(.fat, coverage(head - Self.skin, width: width))
        mix.overlay(.muscle, coverage(head - Self.skin - 0.5 - scalp, width: width))
    }

    /// Adds the skull, its marrow, and fluid in place of the brain.
    @inline(__always)
    func addSkull(to mix: inout TissueMix, brain: Depth, width: Float) {
        let inner = brain + Self.gap
        mix.overlay(.bone, coverage(inner + skull, width: width))
        mix.overlay(.marrow, coverage(min(inner + skull - Self.table, -inner - Self.table), width: width))
        mix.overlay(.fluid, coverage(inner, width: width))
    }
}
