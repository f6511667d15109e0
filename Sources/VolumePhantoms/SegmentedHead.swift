import Preprocessing

/// A head about the brain of a T1 image: the image's own tissues, and a skull and scalp of the phantom's.
struct SegmentedHead {
    /// The T1 image, 0 outside the brain.
    private let image: Volume
    /// How far each voxel lies inside the brain's hull, in millimetres.
    private let hull: Volume
    private let classes: TissueClasses

    /// The middle of the brain, in the T1 image's world.
    let centre: SIMD3<Double>
    /// The size of a box that holds the head, in millimetres.
    let extent: SIMD3<Double>

    /// Room about the image in millimetres: the thickest skull and scalp, and what a deformation moves them by.
    private static let room = 32.0

    /// The largest image that is taken apart: 2^28 voxels, 1 GiB for each quantity kept of them.
    private static let voxelLimit = 1 << 28

    /// The head of a T1 image, skull-stripped or whole.
    ///
    /// - Throws: `PhantomError.noBrain` where no brain is found; `PreprocessingError.tooManyVoxels` where the
    ///   image's isotropic grid would have more than 2^28.
    init(t1: Volume) throws {
        image = BrainExtraction.brain(in: t1.resampled(onto: try Self.grid(over: t1.grid)))
        let grid = image.grid
        let isBrain = image.voxels.map { $0 > 0 }
        let brain = image.voxels.filter { $0 > 0 }
        // Fewer than half a cubic centimetre are no brain of anything.
        guard Double(brain.count) * grid.spacing.x * grid.spacing.x * grid.spacing.x > 500,
            let classes = TissueClasses(of: brain)
        else { throw PhantomError.noBrain }
        self.classes = classes
        hull = Self.hull(of: isBrain, grid: grid)
        let box = Self.box(of: isBrain, grid: grid)
        centre = (box.low + box.high) / 2
        extent = box.high - box.low + 2 * 23
    }

    /// The tissues at a point, in a voxel of a width.
    ///
    /// - Parameter p: millimetres in the T1 image's world.
    func tissues(at p: SIMD3<Float>, width: Float, cranium: Cranium) -> TissueMix {
        var mix = TissueMix()
        let voxel = image.grid.voxel(atWorld: SIMD3<Double>(p))
        guard let depth = hull.interpolated(atVoxel: voxel) else { return mix }
        let head = cranium.head(brain: depth)
        guard head > -width else { return mix }
        cranium.putSoftParts(into: &mix, head: head, width: width)
        cranium.putSkull(into: &mix, brain: depth, width: width)
        guard depth > -width, let intensity = image.interpolated(atVoxel: voxel) else { return mix }
        let shares = classes.shares(of: intensity)
        let tissue = shares.grey + shares.white
        mix.put(.grey, tissue)
        mix.put(.white, tissue > 0 ? shares.white / tissue : 0)
        mix.brain = cover(depth, width: width)
        return mix
    }

    /// An isotropic grid along the world's axes that holds a grid and room about it, at the grid's own spacing but
    /// no finer than 1 mm.
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
        let shape = ((high - low + 2 * room) / spacing).rounded(.up) + 1
        guard shape.x * shape.y * shape.z <= Double(voxelLimit) else {
            throw PreprocessingError.tooManyVoxels(shape: shape, limit: voxelLimit)
        }
        return VoxelGrid(
            shape: SIMD3<Int>(shape),
            affine: Affine(spacing: SIMD3(repeating: spacing), translation: low - room))
    }

    /// How far each voxel lies inside the brain once its furrows are closed by a ball, in millimetres.
    ///
    /// The brain grows by the ball's radius, and the depth below the surface of what it grew to, less the radius,
    /// is that below the closed surface.
    private static func hull(of isBrain: [Bool], grid: VoxelGrid) -> Volume {
        let (spacing, radius) = (Float(grid.spacing.x), Float(12))
        let outwards = distances(to: isBrain, shape: grid.shape).map { $0 * spacing }
        let inwards = distances(to: outwards.map { $0 > radius }, shape: grid.shape)
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
