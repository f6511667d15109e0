/// How far a point lies inside a shape, in millimetres: above zero inside, below zero outside. Near the surface
/// it is the distance; far from it an estimate.
typealias Depth = Float

/// An ellipsoid along the world's axes.
struct Ellipsoid {
    let centre: SIMD3<Float>
    private let inverseRadii: SIMD3<Float>

    init(_ centre: SIMD3<Float>, radii: SIMD3<Float>) {
        (self.centre, inverseRadii) = (centre, 1 / radii)
    }

    @inline(__always)
    func depth(at p: SIMD3<Float>) -> Depth {
        let scaled = (p - centre) * inverseRadii
        let radius = length(scaled)
        // The first-order distance: how far from the surface, over how fast that grows.
        return radius * (1 - radius) / max(length(scaled * inverseRadii), 1e-6)
    }

    /// The distance from the centre over that of the surface in the same direction.
    @inline(__always)
    func radius(at p: SIMD3<Float>) -> Float { length((p - centre) * inverseRadii) }
}

/// A tube about a line from one point to another, with a radius for each end, round at both.
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
        let share = min(max((offset * run).sum() * inverseLength, 0), 1)
        return radii.0 + share * (radii.1 - radii.0) - length(offset - share * run)
    }
}

/// The depth in the union of two shapes, whose seam is rounded over `width` millimetres.
@inline(__always)
func union(_ a: Depth, _ b: Depth, width: Float) -> Depth {
    let near = max(width - abs(a - b), 0) / width
    return max(a, b) + near * near * width / 4
}

@inline(__always)
func length(_ v: SIMD3<Float>) -> Float { (v * v).sum().squareRoot() }

/// How much of a voxel of a width lies inside a shape, 0 to 1, for the depth at its centre.
@inline(__always)
func cover(_ depth: Depth, width: Float) -> Float { min(max(0.5 + depth / width, 0), 1) }
