/// What a head is made of.
enum Tissue {
    case air, fat, muscle, bone, marrow, fluid, grey, white
}

/// Shares of the tissues at a point, 0 to 1, that sum to one; and how much of it is brain.
struct TissueMix {
    private(set) var shares = Tissue.air.unit
    /// The share that skull stripping leaves: the brain with the fluid in it.
    var brain: Float = 0

    /// Puts a tissue over what is there: `cover` of the point is now of it.
    @inline(__always)
    mutating func put(_ tissue: Tissue, _ cover: Float) { shares += (tissue.unit - shares) * cover }

    /// The sum of the tissues' levels, each weighted by its share.
    @inline(__always)
    func level(_ levels: SIMD8<Float>) -> Float { (shares * levels).sum() }
}

extension Tissue {
    /// The mix of this tissue alone.
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

    /// Levels by their tissue, in the order of the shares of a mix.
    static func levels(
        air: Float, fat: Float, muscle: Float, bone: Float, marrow: Float, fluid: Float, grey: Float,
        white: Float
    ) -> SIMD8<Float> {
        SIMD8(air, fat, muscle, bone, marrow, fluid, grey, white)
    }
}
