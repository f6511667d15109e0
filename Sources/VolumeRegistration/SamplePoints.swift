import Volumes
import VoxelSupport

/// Points of the fixed volume at which two volumes are compared, in rows of its grid.
///
/// They are a lattice with a random shift in each cell. Without the shift, similarity would have false maxima where the
/// voxels of both volumes coincide (Pluim et al. 2000).
struct SamplePoints: Sendable {
    /// Each point in millimetres from ``centre`` (x, y, z), and the intensity there as a position in the histogram (w).
    let points: [SIMD4<Float>]

    /// The mean of all points, in millimetres.
    let centre: SIMD3<Double>

    /// The mean of the points, each weighted by its intensity above a tenth of the range, in millimetres.
    let centreOfMass: SIMD3<Double>

    /// The root mean square distance of the points from an axis through the centre: the motion in millimetres for one radian.
    let radius: Double

    /// The edge of a cell of the lattice, in millimetres.
    let spacing: Double

    /// - Parameters:
    ///   - volume: the fixed volume, blurred to the resolution.
    ///   - region: the part of it that is compared.
    ///   - spacing: the edge of a cell, in millimetres.
    init(of volume: SmoothedVolume, in region: SampledRegion, spacing: Double, bins: Int) {
        self.spacing = spacing
        let step = spacing / region.grid.spacing
        let extent = region.last - region.first + 1
        let cells = (extent / step).rounded(.up)
        let counts = SIMD3(max(1, Int(cells.x)), max(1, Int(cells.y)), max(1, Int(cells.z)))
        let toMillimetres = region.grid.affine
        let toVoxel = volume.grid.inverseAffine
        var places: [(world: SIMD3<Double>, bin: Float)] = []
        volume.voxels.withUnsafeBufferPointer { voxels in
            let interpolate = Interpolator(voxels, shape: volume.grid.shape)
            for z in 0..<counts.z {
                for y in 0..<counts.y {
                    for x in 0..<counts.x {
                        let bits = Philox4x32.block(
                            counter: SIMD4(UInt32(x), UInt32(y), UInt32(z), 0), key: .zero)
                        let shift = SIMD3(Double(bits.x), Double(bits.y), Double(bits.z)) * 0x1p-32
                        let cell = SIMD3(Double(x), Double(y), Double(z)) + shift
                        let voxel = region.first - 0.5 + cell * step
                        guard region.contains(voxel) else { continue }
                        let world = toMillimetres(voxel)
                        let position = toVoxel(world)
                        let lanes = SIMD4(Float(position.x), Float(position.y), Float(position.z), 0)
                        guard let value = interpolate(lanes)?.w else { continue }
                        places.append((world, value))
                    }
                }
            }
        }
        let count = Double(max(1, places.count))
        let centre = places.reduce(into: SIMD3<Double>.zero) { $0 += $1.world } / count
        self.centre = centre
        var squares = 0.0
        var mass = Mass(bins: bins)
        points = places.map { world, bin in
            let place = world - centre
            squares += (place * place).sum()
            mass.add(bin, at: world)
            return SIMD4(Float(place.x), Float(place.y), Float(place.z), bin)
        }
        radius = (squares * 2 / 3 / count).squareRoot()
        centreOfMass = mass.centre ?? centre
    }
}

/// The part of the fixed volume that is compared: the box of its foreground with a margin, or a mask.
struct SampledRegion: Sendable {
    let grid: VoxelGrid
    /// The first and the last voxel of the box.
    let (first, last): (SIMD3<Double>, SIMD3<Double>)
    private let mask: [Bool]?

    /// The foreground is what is above a twentieth of the range of intensities; the margin is a tenth of its extent.
    init(foregroundOf volume: SmoothedVolume, bins: Int) {
        let limit = Float(bins - 1) / 20
        self.init(volume.grid, margin: 0.1, mask: nil) { volume.voxels[$0] > limit }
    }

    /// All voxels of a mask that are above zero.
    init(mask: Volume) {
        self.init(mask.grid, margin: 0, mask: mask.voxels.map { $0 > 0 }) { mask.voxels[$0] > 0 }
    }

    private init(_ grid: VoxelGrid, margin: Double, mask: [Bool]?, _ isInside: (Int) -> Bool) {
        var (first, last) = (grid.shape, SIMD3<Int>(repeating: -1))
        var offset = 0
        for z in 0..<grid.shape.z {
            for y in 0..<grid.shape.y {
                for x in 0..<grid.shape.x {
                    if isInside(offset) {
                        first = pointwiseMin(first, SIMD3(x, y, z))
                        last = pointwiseMax(last, SIMD3(x, y, z))
                    }
                    offset += 1
                }
            }
        }
        let extra = SIMD3<Double>(last &- first &+ 1) * margin
        self.grid = grid
        self.mask = mask
        self.first = pointwiseMax((SIMD3<Double>(first) - extra).rounded(.down), .zero)
        self.last = pointwiseMin(
            (SIMD3<Double>(last) + extra).rounded(.up), SIMD3<Double>(grid.shape &- 1))
    }

    /// In cubic millimetres; 0 if nothing is to be compared.
    var volume: Double {
        let extent = pointwiseMax((last - first + 1), .zero)
        let (x, y, z) = grid.affine.columns
        let cell = abs((x * y.cross(z)).sum())
        guard let mask else { return extent.x * extent.y * extent.z * cell }
        return Double(mask.count { $0 }) * cell
    }

    /// Whether a position in voxels is in the box, and in the mask.
    func contains(_ voxel: SIMD3<Double>) -> Bool {
        let nearest = voxel.rounded(.toNearestOrEven)
        guard all(nearest .>= first), all(nearest .<= last) else { return false }
        guard let mask else { return true }
        return mask[grid.offset(Int(nearest.x), Int(nearest.y), Int(nearest.z))]
    }
}

/// A centre of mass.
struct Mass {
    private var (sum, moment): (Double, SIMD3<Double>) = (0, .zero)
    private let limit: Float

    init(bins: Int) { limit = Float(bins - 1) / 10 }

    mutating func add(_ bin: Float, at place: SIMD3<Double>) {
        guard bin > limit else { return }
        sum += Double(bin - limit)
        moment += place * Double(bin - limit)
    }

    var centre: SIMD3<Double>? { sum > 0 ? moment / sum : nil }
}

extension SmoothedVolume {
    /// The mean of the voxels' positions, each weighted by its intensity above a tenth of the range, in millimetres.
    func centreOfMass(bins: Int) -> SIMD3<Double> {
        var mass = Mass(bins: bins)
        var offset = 0
        for z in 0..<grid.shape.z {
            for y in 0..<grid.shape.y {
                for x in 0..<grid.shape.x {
                    mass.add(voxels[offset], at: SIMD3(Double(x), Double(y), Double(z)))
                    offset += 1
                }
            }
        }
        return grid.world(atVoxel: mass.centre ?? (SIMD3<Double>(grid.shape) - 1) / 2)
    }
}
