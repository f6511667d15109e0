import Preprocessing

/// A model of a head with the tissues of the brain in a T1 image, and an analytic skull and scalp.
struct SegmentedHead {
    /// The T1 image, 0 outside the brain.
    private let image: Volume
    /// The depth of each voxel inside the hull of the brain, in millimetres.
    private let hull: Volume
    private let classes: TissueClasses

    /// The centre of the brain, in the world of the T1 image.
    let centre: SIMD3<Double>
    /// The size of the bounding box of the head in millimetres.
    let extent: SIMD3<Double>

    /// The margin around the image in millimetres: for the thickest skull and scalp, and for the deformation.
    private static let margin = 32.0

    /// The largest grid: 2^28 voxels, 1 GiB per volume.
    private static let voxelLimit = 1 << 28

    /// The head of a T1 image, with or without skull.
    ///
    /// - Throws: `PhantomError.noBrain` if no brain is found; `PreprocessingError.tooManyVoxels` if the isotropic grid
    ///   would have more than 2^28 voxels.
    init(t1: Volume) throws {
        image = BrainExtraction.brain(in: t1.resampled(onto: try Self.grid(over: t1.grid)))
        let grid = image.grid
        let isBrain = image.voxels.map { $0 > 0 }
        let brain = image.voxels.filter { $0 > 0 }
        // Less than half a cubic centimetre is not a brain.
        guard Double(brain.count) * grid.spacing.x * grid.spacing.x * grid.spacing.x > 500,
            let classes = TissueClasses(of: brain)
        else { throw PhantomError.noBrain }
        self.classes = classes
        hull = Self.hull(of: isBrain, grid: grid)
        let box = Self.box(of: isBrain, grid: grid)
        centre = (box.low + box.high) / 2
        extent = box.high - box.low + 2 * 23
    }

    /// The tissues in a voxel of a width in millimetres at a point.
    ///
    /// - Parameter p: the point in millimetres, in the world of the T1 image.
    func tissues(at p: SIMD3<Float>, width: Float, cranium: Cranium) -> TissueMix {
        var mix = TissueMix()
        let voxel = image.grid.voxel(atWorld: SIMD3<Double>(p))
        guard let depth = hull.interpolated(atVoxel: voxel) else { return mix }
        let head = cranium.head(brain: depth)
        guard head > -width else { return mix }
        cranium.addSoftParts(to: &mix, head: head, width: width)
        cranium.addSkull(to: &mix, brain: depth, width: width)
        guard depth > -width, let intensity = image.interpolated(atVoxel: voxel) else { return mix }
        let fractions = classes.fractions(of: intensity)
        let tissue = fractions.grey + fractions.white
        mix.overlay(.grey, tissue)
        mix.overlay(.white, tissue > 0 ? fractions.white / tissue : 0)
        mix.brain = coverage(depth, width: width)
        return mix
    }

    /// An isotropic grid along the world axes that contains a grid and a margin, with the smallest spacing of the grid, but
    /// at least 1 mm.
    private static func grid(over source: VoxelGrid) throws -> VoxelGrid {
        let spacing = max(source.spacing.min(), 1)
        let last = SIMD3<Double>(source.shape &- 1)
        var (low, high) = (SIMD3(repeating: Double.infinity), SIMD3(repeating: -Double.infinity))
        for corner in 0..<8 {
            let p = source.world(
                atVoxel: [
                    corner & 1 == 0 ? 0 : last.x, corner & 2 == 0 ? 0 : last.y, corner & 4 == 0 ? 0 : last.z,
                ])
            (low, high) = (pointwiseMin(low, p), pointwiseMax(high, p))
        }
        let shape = ((high - low + 2 * margin) / spacing).rounded(.up) + 1
        guard shape.x * shape.y * shape.z <= Double(voxelLimit) else {
            throw PreprocessingError.tooManyVoxels(shape: shape, limit: voxelLimit)
        }
        return VoxelGrid(
            shape: SIMD3<Int>(shape),
            affine: Affine(spacing: SIMD3(repeating: spacing), translation: low - margin))
    }

    /// The depth of each voxel inside the morphological closing of the brain by a ball, which fills the sulci, in
    /// millimetres: the depth inside the dilated brain, minus the radius.
    private static func hull(of isBrain: [Bool], grid: VoxelGrid) -> Volume {
        let (spacing, radius) = (Float(grid.spacing.x), Float(12))
        let outwards = distanceMap(to: isBrain, shape: grid.shape).map { $0 * spacing }
        let inwards = distanceMap(to: outwards.map { $0 > radius }, shape: grid.shape)
        return Volume(
            grid: grid,
            voxels: zip(outwards, inwards).map { out, inner in out > radius ? -out : inner * spacing - radius })
    }

    private static func box(
        of isBrain: [Bool], grid: VoxelGrid
    ) -> (low: SIMD3<Double>, high: SIMD3<Double>) {
        var (low, high) = (grid.shape, SIMD3<Int>(repeating: 0))
        for z in 0..<grid.shape.z {
            for y in 0..<grid.shape.y {
                for x in 0..<grid.shape.x where isBrain[grid.offset(x, y, z)] {
                    (low, high) = (pointwiseMin(low, [x, y, z]), pointwiseMax(high, [x, y, z]))
                }
            }
        }
        return (grid.world(atVoxel: SIMD3<Double>(low)), grid.world(atVoxel: SIMD3<Double>(high)))
    }
}

// MARK: Tissue classes

/// The mean intensities of fluid, grey and white matter in a T1 image.
struct TissueClasses {
    let fluid: Float
    let grey: Float
    let white: Float

    /// Three classes of the intensities of a foreground, by k-means on their histogram; `nil` if there are fewer than three
    /// levels.
    init?(of intensities: [Float]) {
        let sorted = intensities.sorted()
        // The 99.8th percentile: a few bright vessels must not stretch the scale.
        guard let low = sorted.first, let high = sorted.isEmpty ? nil : sorted[(sorted.count - 1) * 998 / 1000],
            high > low
        else { return nil }
        let bins = 256
        var counts = [Double](repeating: 0, count: bins)
        for value in sorted {
            counts[min(Int((value - low) / (high - low) * Float(bins)), bins - 1)] += 1
        }
        func quantile(_ fraction: Double) -> Double {
            Double((sorted[Int(Double(sorted.count - 1) * fraction)] - low) / (high - low)) * Double(bins)
        }
        var means = [quantile(0.1), quantile(0.45), quantile(0.85)]
        for _ in 0..<100 {
            var (sums, weights) = ([0.0, 0, 0], [0.0, 0, 0])
            for (bin, count) in counts.enumerated() {
                let level = Double(bin) + 0.5
                let nearest = (0..<3).min { abs(means[$0] - level) < abs(means[$1] - level) }!
                sums[nearest] += count * level
                weights[nearest] += count
            }
            guard weights.allSatisfy({ $0 > 0 }) else { return nil }
            let moved = zip(sums, weights).map { $0 / $1 }
            if moved == means { break }
            means = moved
        }
        let levels = means.map { low + Float($0 / Double(bins)) * (high - low) }
        (fluid, grey, white) = (levels[0], levels[1], levels[2])
    }

    /// The fractions of grey and white matter at an intensity; the rest is fluid. Close to the mean of a class the fraction
    /// is one; between two means there are two tissues, as in voxels on a border.
    @inline(__always)
    func fractions(of intensity: Float) -> (grey: Float, white: Float) {
        func fraction(from low: Float, to high: Float) -> Float {
            min(max(((intensity - low) / (high - low) - 0.2) / 0.6, 0), 1)
        }
        let (tissue, white) = (fraction(from: fluid, to: grey), fraction(from: grey, to: white))
        return (tissue - white, white)
    }
}
